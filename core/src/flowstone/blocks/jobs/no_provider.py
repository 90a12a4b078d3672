"""The provider of job runs that implement their methods themselves."""

from __future__ import annotations

from flowstone.blocks.jobs.provider import JobProvider, Report
from flowstone.errors import ConfigurationError


class NoProvider(JobProvider):
    """A provider that raises an error from each method.

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
        problem = "it has no provider"
        remedy = "Call only the methods that the class defines, or pass a provider to it."
        return ConfigurationError(self._kind, problem, remedy)
