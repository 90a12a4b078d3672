"""Task runners: the choice of where a flow's submitted tasks run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flowstone.errors import ConfigurationError
from flowstone.records.record import record
from flowstone.task_runners.threads import ThreadPool

if TYPE_CHECKING:
    from flowstone.ports import Runner
    from flowstone.settings import Settings


class TaskRunner(Protocol):
    """What `task_runner` of a flow takes: an instance, or its class."""

    def open(self, settings: Settings) -> Runner:
        """Return a runner for one flow run, which closes it."""


@record
class ThreadPoolTaskRunner:
    """Submitted tasks run on threads of this process; async ones on one event loop beside them.

    Args:
        max_workers: so many threads at the most; None takes the setting
            ``FLOWSTONE_TASKS_RUNNER_THREAD_POOL_MAX_WORKERS``, 128. Threads are started as they
            are needed.
        max_in_flight: the window of each `.map` that does not say; None takes the setting
            ``FLOWSTONE_TASKS_MAP_MAX_IN_FLIGHT``, by default no window.
    """

    max_workers: int | None = None
    max_in_flight: int | None = None

    def __post_init__(self) -> None:
        check_counts(self)

    def open(self, settings: Settings) -> ThreadPool:
        """Return a pool as this and the settings say."""
        window = self.max_in_flight or settings.max_in_flight
        return ThreadPool(self.max_workers or settings.max_workers, window)


ConcurrentTaskRunner = ThreadPoolTaskRunner


def check_counts(runner: object) -> None:
    """Check the numbers that a task runner is given.

    Raises:
        ConfigurationError: one is no number of threads, processes or calls.
    """
    for option in ("max_workers", "max_in_flight"):
        value = getattr(runner, option)
        if value is not None and (type(value) is not int or value < 1):
            problem = f"{option}={value!r} is no number of them"
            raise ConfigurationError(type(runner).__name__, problem, "Use 1 or more, or None.")
