"""Manifests: blocks, variables and the like as YAML files, and what makes a store the same."""

from flowstone.manifests.export import exported
from flowstone.manifests.plan import Change, Plan, Step, drawn_up, surplus
from flowstone.manifests.sections import SECTIONS, sections
from flowstone.manifests.source import Source, read

__all__ = [
    "SECTIONS",
    "Change",
    "Plan",
    "Source",
    "Step",
    "drawn_up",
    "exported",
    "read",
    "sections",
    "surplus",
]
