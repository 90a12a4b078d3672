"""Task runners: where a flow's submitted tasks run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.task_runners.base import (
        ConcurrentTaskRunner,
        TaskRunner,
        ThreadPoolTaskRunner,
    )
    from flowstone.task_runners.process_runner import ProcessPoolTaskRunner

__all__ = [
    "ConcurrentTaskRunner",
    "ProcessPoolTaskRunner",
    "TaskRunner",
    "ThreadPoolTaskRunner",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".base": ("ConcurrentTaskRunner", "TaskRunner", "ThreadPoolTaskRunner"),
            ".process_runner": ("ProcessPoolTaskRunner",),
        },
    )
