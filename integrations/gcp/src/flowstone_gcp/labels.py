"""Labels of resources that jobs create at Google: their flow, task and run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowstone.runtime import flow_run, task_run

if TYPE_CHECKING:
    from collections.abc import Mapping

_LABEL = re.compile(r"[^\w-]+")
#: The longest value of a label.
LONGEST_LABEL = 63


def make_labels(own: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a job: those of the block, and the names and id of the run."""
    names = {
        "flowstone_flow": flow_run.flow_name,
        "flowstone_task": task_run.task_name,
        "flowstone_run": task_run.id or flow_run.id,
    }
    made = {name: clean_label(value) for name, value in names.items() if value}
    return {**made, **{clean_label(name): clean_label(value) for name, value in own.items()}}


def clean_label(text: str) -> str:
    """Return a valid label for a text: lower case, digits, hyphens and underscores."""
    return _LABEL.sub("-", text.lower())[:LONGEST_LABEL]
