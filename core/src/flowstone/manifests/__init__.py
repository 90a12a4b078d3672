"""Manifests: blocks, variables and other documents as YAML files, and how they are applied."""

from flowstone.manifests.export import export_sections
from flowstone.manifests.plan import Change, Plan, Step, make_plan, plan_deletions
from flowstone.manifests.sections import SECTIONS, find_sections
from flowstone.manifests.source import ManifestFile, read

__all__ = [
    "SECTIONS",
    "Change",
    "ManifestFile",
    "Plan",
    "Step",
    "export_sections",
    "find_sections",
    "make_plan",
    "plan_deletions",
    "read",
]
