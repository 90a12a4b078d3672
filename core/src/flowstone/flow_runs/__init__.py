"""Operations on flow runs: pause, suspend, resume, retry, wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.flow_runs.cleanup import acleanup_flow_run, cleanup_flow_run
    from flowstone.flow_runs.pauses import (
        apause_flow_run,
        asuspend_flow_run,
        pause_flow_run,
        suspend_flow_run,
    )
    from flowstone.flow_runs.restarts import (
        aresume_flow_run,
        aretry_flow_run,
        resume_flow_run,
        retry_flow_run,
    )
    from flowstone.flow_runs.waits import wait_for_flow_run

__all__ = [
    "acleanup_flow_run",
    "apause_flow_run",
    "aresume_flow_run",
    "aretry_flow_run",
    "asuspend_flow_run",
    "cleanup_flow_run",
    "pause_flow_run",
    "resume_flow_run",
    "retry_flow_run",
    "suspend_flow_run",
    "wait_for_flow_run",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".cleanup": ("acleanup_flow_run", "cleanup_flow_run"),
            ".pauses": (
                "apause_flow_run",
                "asuspend_flow_run",
                "pause_flow_run",
                "suspend_flow_run",
            ),
            ".restarts": (
                "aresume_flow_run",
                "aretry_flow_run",
                "resume_flow_run",
                "retry_flow_run",
            ),
            ".waits": ("wait_for_flow_run",),
        },
    )
