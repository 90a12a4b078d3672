"""A worker: creates the due runs of a pool, takes the scheduled ones, and executes them."""

from __future__ import annotations

import os
from socket import gethostname
from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.deployments.changes import read_changes
from flowstone.deployments.documents import find_deployments
from flowstone.deployments.executor import Placement
from flowstone.deployments.presence import Presence
from flowstone.deployments.run_loop import RunLoop, find_limits, stop_by_signals
from flowstone.deployments.run_options import apply_options, find_options, forget_ended
from flowstone.deployments.shared_store import check_shared_store
from flowstone.deployments.timetable import Timetable
from flowstone.errors import ConfigurationError, ObjectNotFound
from flowstone.infrastructure.variables import check_variables
from flowstone.infrastructure.work_pools import (
    create_work_pool,
    load_infrastructure_of,
    load_work_pool,
)
from flowstone.logging.run_logger import get_logger
from flowstone.records.limits import LOCK, POOL, QUEUE, WORKING, SlotDemand
from flowstone.records.names import check_part_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowstone.ports.slots import TimedSlotRequest
    from flowstone.records.codec import Json
    from flowstone.records.deployments import Deployment
    from flowstone.records.runs import Run
    from flowstone.records.work_pools import WorkPool, WorkQueue

#: Number of polls after which the deployments of the pool are read again even if no change was
#: announced: a process may have died before it could.
_LOOKS = 60

_logger = get_logger("workers")


class Worker(RunLoop):
    """Executes the runs of a work pool; any number of workers may share one.

    Args:
        work_pool_name: the pool.
        work_queues: only take runs of these queues; None for all, including new ones.
        name: its own name; None to derive one from the host and the process.
        limit: the maximum number of runs executed at a time; None for no maximum.
        infrastructure: the required type of the pool. If there is no such pool, one of this type is
            created; None to create none.

    Raises:
        ObjectNotFound: there is no such pool, or it has no such queue.
        ConfigurationError: the pool has another type or was created by a newer version of it, the
            limit lets no run start, or the store is in memory or on a network file system.
        InvalidName: the name is not valid.
        UnknownName: no installed package offers the pool's infrastructure.
    """

    def __init__(
        self,
        work_pool_name: str,
        work_queues: Iterable[str] | None = None,
        *,
        name: str | None = None,
        limit: int | None = None,
        infrastructure: str | None = None,
    ) -> None:
        super().__init__(limit, work_pool_name)
        self.name = check_part_name("worker", name or f"{gethostname()}-{os.getpid()}")
        self._pool = _open_pool(work_pool_name, infrastructure)
        self._queues = None if work_queues is None else frozenset(work_queues)
        _check(self._pool, self._queues or (), limit)
        self._infrastructure = load_infrastructure_of(self._pool)
        self._names: set[str] = set()  # of the deployments in the pool
        self._timetable = Timetable(())
        self._number: int | None = None  # of the changes that are known here
        self._looks = 0
        self._waiting = 0
        self._options: dict[str, Json] = {}  # of runs with their own job options
        self._is_deleted = False
        self._presence = Presence(WORKING)
        self._lead: TimedSlotRequest | None = None

    def start(self, run_once: bool = False) -> None:
        """Work until it is stopped.

        After SIGTERM or Ctrl-C it finishes the runs in progress, and then exits; a second signal
        ends those runs, too. Runs that have not started stay scheduled.

        Args:
            run_once: whether to exit as soon as all due runs have been executed.
        """
        limit = "" if self._limit is None else f", {self._limit} at a time"
        _logger.info(
            "%s executes the runs of the work pool %r%s", self.name, self._pool.name, limit
        )
        with stop_by_signals(self):
            if run_once:
                self.run_until_idle()
            else:
                self._infrastructure.prepare()
                self.run_until_stopped()

    def run_until_idle(self) -> None:
        """Execute what is due, and return when there is nothing more."""
        clock = services().clock
        try:
            pause = self.step()
            while self.running or (self._waiting and not self.is_stopped):
                clock.sleep(pause)
                pause = self.step()
        finally:
            self.close()

    def close(self) -> None:
        """Announce that it is no longer online."""
        self._presence.leave()
        if self._lead is not None:
            self._lead.give_back()
            self._lead = None

    def _look(self, now: float) -> float | None:
        self._presence.announce([f"{self._pool.name}/{self.name}"])
        self._reload_pool()
        if self._is_deleted or self.is_stopped:
            return None
        self._find_members()
        soonest = self._make_due_runs(now)
        self._options = find_options(self._pool.name)
        self._executor.adopt(self._place)
        if self._looks % _LOOKS == 0:
            forget_ended(self._pool.name, self._options.keys())
        self._waiting = 0
        if not self._pool.paused:
            for queue in self._pool.queues:
                if not queue.paused and (self._queues is None or queue.name in self._queues):
                    self._waiting += self._start_runs_of_queue(queue, now)
        return soonest

    def _start_runs_of_queue(self, queue: WorkQueue, now: float) -> int:
        """Start due runs of a queue; return how many are waiting."""
        if not any(each.get("work_queue_name") for each in self._options.values()):
            return self._start_due_runs(self._list_deployments(queue), now)
        deployments = self._timetable.deployments

        def is_meant(run: Run) -> bool:
            own = apply_options(deployments[run.deployment or ""], self._options.get(run.id))
            return self._pool.find_queue(own.work_queue_name) == queue

        return self._start_due_runs(deployments, now, is_meant)

    def _reload_pool(self) -> None:
        try:
            self._pool = load_work_pool(self._pool.name)
        except ObjectNotFound:
            if not self._is_deleted:
                _logger.warning("the work pool %r has been deleted", self._pool.name)
            self._is_deleted = True
        else:
            self._is_deleted = False
            if self._pool.schema_version > self._infrastructure.schema_version:
                _logger.error("the work pool %r was changed by a newer version", self._pool.name)
                self.stop()  # the next start reports the problem

    def _make_due_runs(self, now: float) -> float | None:
        """Create the runs that are due, unless another worker of the pool does."""
        if self._lead is None:
            demand = SlotDemand((f"{LOCK}schedules:{self._pool.name}",), 1, self.name)
            self._lead = services().slot_queue.make_request(demand)
        if self._lead.retry():
            return self._timetable.tick(now)
        self._timetable.refresh(now)
        return None

    def _find_members(self) -> None:
        """Find the deployments of the pool, if any deployment has changed."""
        number = read_changes().number
        self._looks += 1
        if number == self._number and self._looks % _LOOKS:
            return
        found = find_deployments()
        names = {each.full_name for each in found if each.work_pool_name == self._pool.name}
        if names != self._names:
            self._names, self._timetable = names, Timetable(names)
        self._number = number

    def _list_deployments(self, queue: WorkQueue) -> dict[str, Deployment]:
        return {
            name: each
            for name, each in self._timetable.deployments.items()
            if self._pool.find_queue(each.work_queue_name) == queue
        }

    def _place(self, run: Run) -> Placement | None:
        deployment = self._timetable.deployments.get(run.deployment or "")
        if deployment is None:
            return None
        deployment = apply_options(deployment, self._options.get(run.id))
        variables = check_variables(
            f"deployment {deployment.full_name!r}",
            self._infrastructure,
            self._pool.job_variables,
            deployment.job_variables,
        )
        limits = list(find_limits(deployment))
        if self._pool.concurrency_limit is not None:
            limits.append(f"{POOL}{self._pool.name}")
        queue = self._pool.find_queue(deployment.work_queue_name)
        if queue is not None and queue.concurrency_limit is not None:
            limits.append(f"{QUEUE}{self._pool.name}/{queue.name}")
        return Placement(self._infrastructure, variables, tuple(limits))

    def _explain_own_limit(self, limit: int) -> str:
        return f"the worker {self.name!r} is at its limit of concurrent runs (limit={limit})"


def _open_pool(name: str, kind: str | None) -> WorkPool:
    check_shared_store("worker")
    try:
        pool = load_work_pool(name)
    except ObjectNotFound:
        if kind is None:
            raise
        pool = create_work_pool(name, kind)
        _logger.info("created the work pool %r of type %r", name, kind)
    if kind is not None and pool.type != kind:
        problem = f"its type is {pool.type!r}, not {kind!r}"
        remedy = "Omit the type, or work for another pool."
        raise ConfigurationError(f"work pool {name!r}", problem, remedy)
    return pool


def _check(pool: WorkPool, queues: Iterable[str], limit: int | None) -> None:
    for name in queues:
        if pool.find_queue(name) is None:
            raise ObjectNotFound("work queue", name, [each.name for each in pool.queues])
    if limit is not None and limit < 1:
        raise ConfigurationError("worker", f"limit={limit} lets no run start", "Use 1 or more.")
