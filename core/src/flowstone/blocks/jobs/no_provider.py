"""What stands for the provider of a job run that is asked by its own methods only."""

from __future__ import annotations

from flowstone.blocks.jobs.provider import JobProvider, Report
from flowstone.errors import ConfigurationError


class NoProvider(JobProvider):
    """No service to ask.

    Args:
        kind: the class of the job run, for messages.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind

    @property
    def where(self) -> str:
        return self._kind

    def start(self) -> str:
        raise self._make_error()

    def report(self, handle: str) -> Report:
        del handle
        raise self._make_error()

    def cancel(self, handle: str) -> None:
        del handle
        raise self._make_error()

    def read_logs(self, handle: str, seen: int) -> list[str]:
        del handle, seen
        raise self._make_error()

    def _make_error(self) -> ConfigurationError:
        problem = "it has no provider that could be asked about the job"
        remedy = "Call the methods that it defines, or return a provider from the job's block."
        return ConfigurationError(self._kind, problem, remedy)
