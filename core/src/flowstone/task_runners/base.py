"""Task runners: the choice of where a flow's submitted tasks run."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from flowstone.errors import ConfigurationError
from flowstone.task_runners.threads import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.ports import Runner
    from flowstone.settings import Settings


class TaskRunner(Protocol):
    """What `task_runner` of a flow takes: an instance, or its class."""

    def open(self, settings: Settings) -> Runner:
        """Return a runner for one flow run, which closes it."""


@dataclass(frozen=True, slots=True)
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
        _check_counts(self)

    def open(self, settings: Settings) -> ThreadPool:
        """Return a pool as this and the settings say."""
        window = self.max_in_flight or settings.max_in_flight
        return ThreadPool(self.max_workers or settings.max_workers, window)


ConcurrentTaskRunner = ThreadPoolTaskRunner


@dataclass(frozen=True, slots=True)
class ProcessPoolTaskRunner:
    """The functions of submitted tasks run in child processes, which are new interpreters.

    All else of a run stays in this process: retries, timeouts, records, results. Functions,
    arguments and values are pickled; closures and lambdas work. A child that dies makes its run
    Crashed, and another takes its place. A timeout, and a cancel, kill the child.

    Args:
        max_workers: so many processes at the most; None for one for each processor.
        initializer: called once in each process, before its first task.
        initargs: what it is called with.
        max_in_flight: as `ThreadPoolTaskRunner` has it.
    """

    max_workers: int | None = None
    initializer: Callable[..., object] | None = None
    initargs: tuple[Any, ...] = ()
    max_in_flight: int | None = None

    def __post_init__(self) -> None:
        _check_counts(self)

    def open(self, settings: Settings) -> Runner:
        """Return a pool as this and the settings say; its processes start with its tasks."""
        if os.name == "nt":
            remedy = "Use a ThreadPoolTaskRunner."
            raise ConfigurationError("ProcessPoolTaskRunner", "it needs a POSIX system", remedy)
        # cloudpickle, subprocess and asyncio take 60 ms, which only these flows need pay.
        from flowstone.task_runners.processes import ProcessPool
        from flowstone.task_runners.worker_process import SetupMessage

        setup = SetupMessage(sys.path, settings, self.initializer, self.initargs)
        window = self.max_in_flight or settings.max_in_flight
        return ProcessPool(self.max_workers or os.cpu_count() or 1, setup, window)


def _check_counts(runner: object) -> None:
    for option in ("max_workers", "max_in_flight"):
        value = getattr(runner, option)
        if value is not None and (type(value) is not int or value < 1):
            problem = f"{option}={value!r} is no number of them"
            raise ConfigurationError(type(runner).__name__, problem, "Use 1 or more, or None.")
