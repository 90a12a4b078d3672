"""The tasks that are built into the core, packaged like an integration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.builtin.database_tasks import database_execute, database_fetch, database_insert
    from flowstone.builtin.shell_tasks import shell_run_command

__all__ = [
    "database_execute",
    "database_fetch",
    "database_insert",
    "shell_run_command",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".database_tasks": ("database_execute", "database_fetch", "database_insert"),
            ".shell_tasks": ("shell_run_command",),
        },
    )
