"""The environment of jobs on the worker's machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.settings import make_child_environ

if TYPE_CHECKING:
    from flowstone.infrastructure.base import RunJob


def make_job_environ(job: RunJob) -> dict[str, str]:
    """Return the environment of a job's process: the worker's, that of its store, and the job's."""
    return {**make_child_environ(services().settings), **job.env}
