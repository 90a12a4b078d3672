"""The current context: the run that the code is in with its flow or task, and its tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context.tags import tags  # imported first, as its module has the same name
from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.context.run_context import (
        FlowRunContext,
        TagsContext,
        TaskRunContext,
        get_run_context,
    )

__all__ = [
    "FlowRunContext",
    "TagsContext",
    "TaskRunContext",
    "get_run_context",
    "tags",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".run_context": ("FlowRunContext", "TagsContext", "TaskRunContext", "get_run_context"),
        },
    )
