"""Task runners: where a flow's submitted tasks run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flowstone.errors import ConfigurationError
from flowstone.records.record import record
from flowstone.task_runners.threads import ThreadPool

if TYPE_CHECKING:
    from flowstone.ports import Runner
    from flowstone.settings import Settings


class TaskRunner(Protocol):
    """The option `task_runner` of a flow: an instance, or its class."""

    def open(self, settings: Settings) -> Runner:
        """Return a runner for one flow run, which closes it."""


@record
class ThreadPoolTaskRunner:
    """Runs submitted tasks on threads of this process; async ones on event loops.

    Args:
        max_workers: the maximum number of threads, which are started as needed; None for the
            setting ``FLOWSTONE_TASKS_RUNNER_THREAD_POOL_MAX_WORKERS``, 128 by default.
        max_in_flight: the default maximum of calls in flight of a `.map`; None for the setting
            ``FLOWSTONE_TASKS_MAP_MAX_IN_FLIGHT``, by default no maximum.
    """

    max_workers: int | None = None
    max_in_flight: int | None = None

    def __post_init__(self) -> None:
        check_counts(self)

    def open(self, settings: Settings) -> ThreadPool:
        """Return a pool with these options and settings."""
        window = self.max_in_flight or settings.max_in_flight
        return ThreadPool(self.max_workers or settings.max_workers, window)


ConcurrentTaskRunner = ThreadPoolTaskRunner


def check_counts(runner: object) -> None:
    """Check the numbers of a task runner.

    Raises:
        ConfigurationError: one is not a valid number of threads, processes or calls.
    """
    for option in ("max_workers", "max_in_flight"):
        value = getattr(runner, option)
        if value is not None and (type(value) is not int or value < 1):
            problem = f"{option}={value!r} is not a valid number"
            raise ConfigurationError(type(runner).__name__, problem, "Use 1 or more, or None.")
