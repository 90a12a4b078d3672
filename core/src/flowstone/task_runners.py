"""Task runners: the choice of where a flow's submitted tasks run."""

from __future__ import annotations

from dataclasses import dataclass

from flowstone.errors import ConfigurationError
from flowstone.runners.threads import ThreadPool

__all__ = ["ConcurrentTaskRunner", "ThreadPoolTaskRunner"]


@dataclass(frozen=True, slots=True)
class ThreadPoolTaskRunner:
    """Submitted tasks run on threads of this process; async ones on one event loop beside them.

    Args:
        max_workers: so many threads at the most; None takes the setting
            ``FLOWSTONE_TASKS_RUNNER_THREAD_POOL_MAX_WORKERS``, 128. Threads are started as they
            are needed.
    """

    max_workers: int | None = None

    def __post_init__(self) -> None:
        if self.max_workers is not None and self.max_workers < 1:
            problem = f"max_workers={self.max_workers!r} runs nothing"
            raise ConfigurationError("ThreadPoolTaskRunner", problem, "Use 1 or more, or None.")

    def open(self, default: int) -> ThreadPool:
        """Return a pool of that size; `default` stands in for None."""
        return ThreadPool(self.max_workers or default)


ConcurrentTaskRunner = ThreadPoolTaskRunner
