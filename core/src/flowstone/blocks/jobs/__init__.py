"""Jobs: the interface of external work, and shell commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.blocks.jobs.ended_jobs import EndedJob, EndedJobs
    from flowstone.blocks.jobs.job import Job
    from flowstone.blocks.jobs.job_run import JobRun, get_job_logger
    from flowstone.blocks.jobs.provider import JobProvider, JobStatus, Report
    from flowstone.blocks.jobs.shell import ShellOperation

__all__ = [
    "EndedJob",
    "EndedJobs",
    "Job",
    "JobProvider",
    "JobRun",
    "JobStatus",
    "Report",
    "ShellOperation",
    "get_job_logger",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".ended_jobs": ("EndedJob", "EndedJobs"),
            ".job": ("Job",),
            ".job_run": ("JobRun", "get_job_logger"),
            ".provider": ("JobProvider", "JobStatus", "Report"),
            ".shell": ("ShellOperation",),
        },
    )
