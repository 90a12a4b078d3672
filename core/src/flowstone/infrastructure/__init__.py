"""Infrastructure: where the runs of work pools are executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.infrastructure.base import Infrastructure, JobVariables, RunJob
    from flowstone.infrastructure.environ import make_job_environ
    from flowstone.infrastructure.process import ProcessInfrastructure, ProcessVariables

__all__ = [
    "Infrastructure",
    "JobVariables",
    "ProcessInfrastructure",
    "ProcessVariables",
    "RunJob",
    "make_job_environ",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".base": ("Infrastructure", "JobVariables", "RunJob"),
            ".environ": ("make_job_environ",),
            ".process": ("ProcessInfrastructure", "ProcessVariables"),
        },
    )
