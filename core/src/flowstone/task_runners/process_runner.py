"""ProcessPoolTaskRunner: runs tasks in child processes; a run loads its pool."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowstone.errors import ConfigurationError
from flowstone.task_runners.base import check_counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.ports import Runner
    from flowstone.settings import Settings


@dataclass(frozen=True, slots=True)
class ProcessPoolTaskRunner:
    """Runs the functions of submitted tasks in child processes, which are new interpreters.

    Everything else of a run stays in this process: retries, timeouts, records, results. Functions,
    arguments and values are pickled; closures and lambdas work. If a child dies, its run is
    Crashed,
    and another child replaces it. A timeout or a cancellation kills the child.

    Args:
        max_workers: the maximum number of processes; None for one per processor.
        initializer: called once in each process, before its first task.
        initargs: the arguments of the initializer.
        max_in_flight: as for `ThreadPoolTaskRunner`.
    """

    max_workers: int | None = None
    initializer: Callable[..., object] | None = None
    initargs: tuple[Any, ...] = ()
    max_in_flight: int | None = None

    def __post_init__(self) -> None:
        check_counts(self)

    def open(self, settings: Settings) -> Runner:
        """Return a pool with these options and settings; its processes start with its tasks."""
        if os.name == "nt":
            remedy = "Use a ThreadPoolTaskRunner."
            raise ConfigurationError("ProcessPoolTaskRunner", "it needs a POSIX system", remedy)
        # cloudpickle, subprocess and asyncio take 60 ms to import; only such flows need them.
        from flowstone.task_runners.call_messages import SetupMessage
        from flowstone.task_runners.processes import ProcessPool

        setup = SetupMessage(sys.path, settings, self.initializer, self.initargs)
        window = self.max_in_flight or settings.max_in_flight
        return ProcessPool(self.max_workers or os.cpu_count() or 1, setup, window)
