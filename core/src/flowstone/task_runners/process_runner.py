"""ProcessPoolTaskRunner: the choice of child processes, whose pool is loaded by a run."""

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
        check_counts(self)

    def open(self, settings: Settings) -> Runner:
        """Return a pool as this and the settings say; its processes start with its tasks."""
        if os.name == "nt":
            remedy = "Use a ThreadPoolTaskRunner."
            raise ConfigurationError("ProcessPoolTaskRunner", "it needs a POSIX system", remedy)
        # cloudpickle, subprocess and asyncio take 60 ms, which only these flows need pay.
        from flowstone.task_runners.call_messages import SetupMessage
        from flowstone.task_runners.processes import ProcessPool

        setup = SetupMessage(sys.path, settings, self.initializer, self.initargs)
        window = self.max_in_flight or settings.max_in_flight
        return ProcessPool(self.max_workers or os.cpu_count() or 1, setup, window)
