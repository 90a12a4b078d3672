"""The loop that executes runs of deployments: poll, start, collect, until it is stopped."""

from __future__ import annotations

import signal
import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, ClassVar

from flowstone.context.current import services
from flowstone.deployments.executor import RunExecutor, record_crash, record_state
from flowstone.deployments.presence import find_claimed
from flowstone.engine.blocking_calls import call_blocking
from flowstone.errors import ConfigurationError
from flowstone.logging.run_logger import get_logger
from flowstone.records.limits import DEPLOYMENT
from flowstone.records.runs import RunQuery, is_waiting
from flowstone.records.states import (
    CANCELLING,
    AwaitingConcurrencySlot,
    Cancelled,
    Cancelling,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flowstone.deployments.executor import Placement
    from flowstone.records.deployments import Deployment
    from flowstone.records.limits import Limit
    from flowstone.records.runs import Run

#: Seconds between two polls for runs that are due.
LOOK = 1.0
#: Seconds between two polls of jobs that should end soon.
_LOOK_AT_ENDS = 0.1
#: Seconds within which a second signal to stop counts as the first one.
_SAME_TIME = 1.0
#: Number of runs read at once.
_PAGE = 100
#: Maximum number of runs started per poll; the next poll continues.
_MOST = 100

_WAITING = ("Scheduled", "AwaitingConcurrencySlot")
_STOPPING = "no more runs are started; waiting for the running ones (send it again to stop them)"
_STOPPED = "stopped; no run was active"
_logger = get_logger("deployments")


class RunLoop(ABC):
    """Executes scheduled runs, step by step.

    Args:
        limit: the maximum number of runs executed at a time; None for no maximum.
        pool: the work pool of the runs; None if there is no pool.
    """

    #: Maximum number of seconds between two polls.
    look_seconds: ClassVar[float] = LOOK

    def __init__(self, limit: int | None, pool: str | None = None) -> None:
        self._limit = limit
        self._executor = RunExecutor(pool)
        self._stopped_at: float | None = None
        self._ends_runs = False
        self._next_run = inf  # when the next run is due, if that is before the next poll

    @property
    def running(self) -> list[str]:
        """The ids of the runs that are being executed here."""
        return self._executor.running

    @property
    def is_stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped_at is not None

    @property
    def ends_runs(self) -> bool:
        """Whether it was also told to end the runs in progress."""
        return self._ends_runs

    def stop(self) -> None:
        """Stop starting runs; the second time, also end those in progress.

        A second call right after the first is ignored: some tools signal both a process and its
        group.
        """
        now = services().clock.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
        elif now >= self._stopped_at + _SAME_TIME:
            self.end_runs()

    def end_runs(self) -> None:
        """Stop starting runs, and end those in progress."""
        if self._stopped_at is None:
            self._stopped_at = services().clock.monotonic()
        self._ends_runs = True

    def run_until_stopped(self) -> None:
        """Run until `stop` is called, and all jobs have ended."""
        try:
            while self._stopped_at is None or self.running:
                self._pause(self.step())
        finally:
            self.close()

    async def arun_until_stopped(self) -> None:
        """Async version of `run_until_stopped`. Cancelling it stops the loop."""
        import asyncio  # takes 40 ms to import; in a coroutine it is loaded already

        cancelled: asyncio.CancelledError | None = None
        try:
            while not self.is_stopped or self.running:
                try:
                    seconds = await call_blocking(self.step)
                    await asyncio.sleep(seconds)
                except asyncio.CancelledError as error:  # handled like a signal to stop
                    cancelled = error
                    self.stop()
        finally:
            await call_blocking(self.close)
        if cancelled is not None:
            raise cancelled

    def _pause(self, seconds: float) -> None:
        """Wait between two steps."""
        services().clock.sleep(seconds)

    def step(self) -> float:
        """Do what is due now, and return the seconds until the next poll."""
        self._executor.collect()
        if self._stopped_at is not None:
            if self._ends_runs:
                self._executor.end_jobs()
            return _LOOK_AT_ENDS
        now = services().clock.time()
        self._next_run = inf
        soonest = self._look(now)
        # Only needed by loops that run on.
        from flowstone.deployments.code_upkeep import remove_unneeded_code

        remove_unneeded_code(now)
        most = _LOOK_AT_ENDS if self.running else self.look_seconds
        return max(0.0, min(most, self._next_run - now, inf if soonest is None else soonest - now))

    @abstractmethod
    def close(self) -> None:
        """Announce that nothing is executed here any more."""

    @abstractmethod
    def _look(self, now: float) -> float | None:
        """Start what is due, and return when the next schedule is due; None for never."""

    @abstractmethod
    def _place(self, run: Run) -> Placement | None:
        """Return how a run is executed; None if that is unknown for now."""

    @abstractmethod
    def _explain_own_limit(self, limit: int) -> str:
        """Explain that the maximum number of runs is being executed here."""

    def _start_due_runs(
        self,
        deployments: Mapping[str, Deployment],
        now: float,
        is_meant: Callable[[Run], bool] = lambda _: True,
    ) -> int:
        """Start due runs of deployments, within the limits; return how many are waiting.

        They are read page by page. A deployment whose own limit is full is excluded from the next
        page, so that its runs don't block others.
        """
        left = dict(deployments)
        full: dict[str, Limit] = {}
        after: str | None = None
        count, most = 0, len(self.running) + _MOST
        while left:
            query = RunQuery(
                deployments=tuple(left),
                states=_WAITING,
                scheduled_until=now + LOOK,
                after=after,
                limit=_PAGE,
            )
            found = services().runs.runs(query)
            meant = [run for run in found if is_meant(run)]
            due = [run for run in meant if (run.scheduled_time or 0.0) <= now]
            count += self._start_page(due, deployments, full)
            times = (run.scheduled_time or 0.0 for run in meant)
            self._next_run = min([self._next_run, *(at for at in times if at > now)])
            if len(found) < _PAGE or len(self.running) >= most or self._is_full(full):
                break
            after = found[-1].id
            for name in full:
                left.pop(name.removeprefix(DEPLOYMENT), None)
        return count

    def _start_page(
        self, found: Sequence[Run], deployments: Mapping[str, Deployment], full: dict[str, Limit]
    ) -> int:
        """Start those of these runs for which there are slots; return how many are waiting."""
        running = set(self.running)
        waiting = [run for run in found if is_waiting(run) and run.id not in running]
        claimed = find_claimed(run.id for run in waiting)
        for run in waiting:
            if run.id in claimed:
                continue  # its job is about to start it
            if self._limit is not None and len(self.running) >= self._limit:
                tell_wait(run, self._explain_own_limit(self._limit))
            else:
                self._start(run, deployments.get(run.deployment or ""), full)
        return len(waiting)

    def _is_full(self, full: Mapping[str, Limit]) -> bool:
        """Return whether no other deployment has free slots: all share these limits."""
        if self._limit is not None and len(self.running) >= self._limit:
            return True
        return any(not name.startswith(DEPLOYMENT) for name in full)

    def _start(self, run: Run, deployment: Deployment | None, full: dict[str, Limit]) -> None:
        try:
            placement = self._place(run)
        except ConfigurationError as error:
            record_crash(run, f"its job could not be started: {error}")
            return
        if placement is None:
            return
        limit = next((full[name] for name in placement.limits if name in full), None)
        if limit is None:
            limit = self._executor.start(run, placement)
        if limit is None:
            return
        full[limit.name] = limit
        is_own = limit.name.startswith(DEPLOYMENT)
        if deployment is not None and is_own and deployment.collision_strategy != "ENQUEUE":
            if deployment.collision_strategy == "CANCEL_NEW":
                record_state(run, Cancelled(explain_limit(limit)))
                return
            _cancel_oldest(deployment.full_name, run, limit)
        tell_wait(run, explain_limit(limit))


def find_limits(deployment: Deployment) -> tuple[str, ...]:
    """Return the names of a deployment's own limits."""
    limited = deployment.concurrency_limit is not None
    return (f"{DEPLOYMENT}{deployment.full_name}",) if limited else ()


def explain_limit(limit: Limit) -> str:
    """Explain that a limit has no free slots."""
    kind, _, name = limit.name.partition(":")
    count = f"{limit.slots} run{'' if limit.slots == 1 else 's'}"
    return f"the {kind.replace('-', ' ')} {name!r} has a concurrency limit of {count}, and is full"


def tell_wait(run: Run, message: str) -> None:
    """Record in the run why it is waiting."""
    if (run.state.name, run.state.message) != ("AwaitingConcurrencySlot", message):
        record_state(run, AwaitingConcurrencySlot(message))


def _cancel_oldest(full_name: str, new: Run, limit: Limit) -> None:
    """Ask the oldest run in progress of a deployment to end, unless one was asked already."""
    states = ("PENDING", "RUNNING", "CANCELLING")
    query = RunQuery(deployments=(full_name,), states=states, roots=True)
    running = services().runs.runs(query)
    if running and not any(run.state.type is CANCELLING for run in running):
        count = f"{limit.slots} run{'' if limit.slots == 1 else 's'}"
        reason = f"{full_name!r} allows {count} at a time: {new.name} took its place"
        record_state(running[0], Cancelling(reason))


@contextmanager
def stop_by_signals(loop: RunLoop) -> Iterator[None]:
    """Stop a loop on SIGTERM and SIGINT, if this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: object) -> None:
        was_stopped, ended_runs = loop.is_stopped, loop.ends_runs
        loop.stop()
        name = signal.Signals(number).name
        if not was_stopped:
            _logger.info("%s: %s", name, _STOPPING if loop.running else _STOPPED)
        elif loop.ends_runs and not ended_runs:
            count = len(loop.running)
            _logger.info("%s again: stopping %s run%s", name, count, "" if count == 1 else "s")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
