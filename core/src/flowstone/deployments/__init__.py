"""Deployments: flows that run on schedules and on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.calls.sourced_flow import SourcedFlow
    from flowstone.code.sources import GitRepository
    from flowstone.deployments.backfills import BackfillResult, backfill_deployment
    from flowstone.deployments.declarations import deploy
    from flowstone.deployments.documents import (
        add_schedule,
        delete_deployment,
        pause_deployment,
        remove_schedule,
        resume_deployment,
    )
    from flowstone.deployments.requests import arun_deployment, run_deployment
    from flowstone.deployments.schedule_pauses import pause_schedule, resume_schedule
    from flowstone.deployments.server import serve
    from flowstone.records.deployments import (
        ConcurrencyLimitConfig,
        ConcurrencyLimitStrategy,
        Deployment,
    )

__all__ = [
    "BackfillResult",
    "ConcurrencyLimitConfig",
    "ConcurrencyLimitStrategy",
    "Deployment",
    "GitRepository",
    "SourcedFlow",
    "add_schedule",
    "arun_deployment",
    "backfill_deployment",
    "delete_deployment",
    "deploy",
    "pause_deployment",
    "pause_schedule",
    "remove_schedule",
    "resume_deployment",
    "resume_schedule",
    "run_deployment",
    "serve",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".declarations": ("deploy",),
            ".backfills": ("BackfillResult", "backfill_deployment"),
            ".requests": ("arun_deployment", "run_deployment"),
            ".documents": (
                "add_schedule",
                "delete_deployment",
                "pause_deployment",
                "remove_schedule",
                "resume_deployment",
            ),
            ".schedule_pauses": ("pause_schedule", "resume_schedule"),
            ".server": ("serve",),
            "flowstone.calls.sourced_flow": ("SourcedFlow",),
            "flowstone.code.sources": ("GitRepository",),
            "flowstone.records.deployments": (
                "ConcurrencyLimitConfig",
                "ConcurrencyLimitStrategy",
                "Deployment",
            ),
        },
    )
