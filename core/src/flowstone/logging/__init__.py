"""Logging in runs: lines are stored with the run, shown on the terminal, and free of secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.logging.formatting import JsonFormatter
    from flowstone.logging.run_logger import (
        LogEavesdropper,
        RunLogger,
        disable_run_logger,
        flow_run_logger,
        get_logger,
        get_run_logger,
        task_run_logger,
    )

__all__ = [
    "JsonFormatter",
    "LogEavesdropper",
    "RunLogger",
    "disable_run_logger",
    "flow_run_logger",
    "get_logger",
    "get_run_logger",
    "task_run_logger",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".formatting": ("JsonFormatter",),
            ".run_logger": (
                "LogEavesdropper",
                "RunLogger",
                "disable_run_logger",
                "flow_run_logger",
                "get_logger",
                "get_run_logger",
                "task_run_logger",
            ),
        },
    )
