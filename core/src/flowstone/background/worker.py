"""Task workers: they execute the calls of tasks that were sent to the background."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar

from flowstone.background.answering import AnsweringTask
from flowstone.background.keys import AnyTask, find_key, note_served
from flowstone.background.threads import ThreadInfrastructure
from flowstone.calls.distributed_futures import is_done
from flowstone.calls.kept_calls import PAGE, KeptCall, forget_call, iterate_calls
from flowstone.calls.task import Task
from flowstone.context.current import services
from flowstone.deployments.executor import Placement
from flowstone.deployments.presence import Presence
from flowstone.deployments.run_loop import RunLoop, explain_limit, stop_by_signals, tell_wait
from flowstone.deployments.shared_store import check_shared_store
from flowstone.engine.blocking_calls import call_blocking
from flowstone.errors import ConfigurationError, Conflict
from flowstone.logging.run_logger import get_logger
from flowstone.records.events import KINDS, make_handover_event
from flowstone.records.limits import SERVING_TASKS, TAG
from flowstone.records.option_checks import check_limit_of_runs, check_seconds
from flowstone.records.runs import RunQuery, is_waiting
from flowstone.records.states import CRASHED, AwaitingRetry

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence
    from contextlib import AbstractContextManager

    from flowstone.records.limits import Limit
    from flowstone.records.runs import Run

#: Default maximum of runs executed at a time.
LIMIT = 10
#: A run whose process has died this many times is not executed again: it may be the cause.
MOST_CRASHES = 5
MOST_PORT = 65_535
#: Seconds between two checks that are too slow for each poll: dead processes, full workers.
_RARELY = 1.0

_logger = get_logger("background")


class TaskWorker(RunLoop):
    """Executes calls that were sent by `Task.delay` and `Task.apply_async`, each in a thread.

    Any number of workers may serve a task; each call is executed by one of them. If a worker dies,
    other workers execute its calls again.

    Args:
        *tasks: the tasks to serve.
        limit: the maximum number of runs executed at a time; None for no maximum.
        status_server_port: the port on this machine for ``GET /status`` while it works; 0 for a
            free one, None for none.

    Raises:
        ConfigurationError: there is no task, two have one name, or the limit lets no run start.
    """

    look_seconds: ClassVar[float] = 0.1

    def __init__(
        self,
        *tasks: AnyTask,
        limit: int | None = LIMIT,
        status_server_port: int | None = None,
    ) -> None:
        super().__init__(limit)
        self._status_port = status_server_port
        _check(tasks, limit, status_server_port)
        self._tasks = {find_key(task): AnsweringTask(task) for task in tasks}
        if len(self._tasks) < len(tasks):
            problem = "two tasks have the same name or the same function"
            raise ConfigurationError("serve", problem, "Serve each function once.")
        note_served(self._tasks)
        self._wake = threading.Event()
        self._infrastructure = ThreadInfrastructure(self._tasks, self._wake.set)
        self._presence = Presence(SERVING_TASKS)
        self._next_rare_look, self._until = float("-inf"), float("inf")

    @property
    def limit(self) -> int | None:
        """The maximum number of runs executed at a time; None for no maximum."""
        return self._limit

    @property
    def keys(self) -> list[str]:
        """The keys under which calls of the served tasks are sent."""
        return list(self._tasks)

    def start(self, timeout: float | None = None) -> None:
        """Work until it is stopped.

        After SIGTERM or Ctrl-C it finishes the runs in progress, and then exits; a second signal
        ends those runs, too, and another worker executes them again. Calls that have not begun
        stay.

        Args:
            timeout: seconds after which it stops by itself, but not before it has polled once; None
                for never.
        """
        self._begin(timeout)
        with self._show_status(), stop_by_signals(self):
            self.run_until_stopped()

    def astart(self, timeout: float | None = None) -> Coroutine[object, object, None]:
        """Async version of `start`. Cancelling it stops the worker."""
        self._begin(timeout)
        return self._astart()

    async def _astart(self) -> None:
        with self._show_status(), stop_by_signals(self):
            await self.arun_until_stopped()

    def close(self) -> None:
        """Announce that the tasks are no longer served here."""
        self._presence.leave()

    def describe_status(self) -> dict[str, object]:
        """Return the tasks that are served, the active runs, and whether new calls are accepted."""
        return {
            "tasks": self.keys,
            "running": self.running,
            "limit": self._limit,
            "is_stopping": self.is_stopped,
        }

    def _show_status(self) -> AbstractContextManager[object]:
        if self._status_port is None:
            return nullcontext()
        # Takes 20 ms to import; only needed by workers with a status server.
        from flowstone.background.status_server import serve_status

        return serve_status(self._status_port, self.describe_status)

    def _begin(self, timeout: float | None) -> None:
        check_seconds("serve", "timeout", timeout)
        self._until = float("inf") if timeout is None else services().clock.monotonic() + timeout
        _logger.info("serving %s", ", ".join(self.keys))

    def _pause(self, seconds: float) -> None:
        """Wait until the next poll, or until a run has ended and others can start."""
        self._wake.wait(seconds)
        self._wake.clear()

    def _look(self, _now: float) -> float | None:
        self._presence.announce(self.keys)
        clock = services().clock
        begun = clock.monotonic()
        is_rare = begun >= self._next_rare_look
        if is_rare:
            services().runs.reap()  # calls that dead workers had begun
        if is_rare or self._has_room():
            self._start_calls(is_whole=is_rare)
        if is_rare:
            # If there are many calls that can't be executed now, the others are found a little
            # later.
            seconds = clock.monotonic() - begun
            self._next_rare_look = begun + seconds + max(_RARELY, 4 * seconds)
        if begun >= self._until:
            self.stop()
        return None

    def _start_calls(self, *, is_whole: bool) -> None:
        """Start calls, the oldest first; unless `is_whole`, only look at the first page."""
        full: dict[str, Limit] = {}
        calls = merge(*map(iterate_calls, self.keys), key=attrgetter("run_id"))
        while page := list(islice(calls, PAGE)):
            self._start_page(self._choose(page), {}, full)
            if not is_whole or not self._has_room():
                break

    def _has_room(self) -> bool:
        return self._limit is None or len(self.running) < self._limit

    def _choose(self, calls: Sequence[KeptCall]) -> list[Run]:
        """Return the runs of the calls that can be executed; delete calls that are done."""
        runs = _find_runs(call.run_id for call in calls)
        pending = _find_pending(each for call in calls for each in call.upstream)
        limits = _find_full_tags(runs.values())
        chosen = []
        for call in calls:
            run = runs.get(call.run_id)
            if run is None or call.run_id in self.running:
                continue  # being sent, or being executed
            if run.state.is_final():
                run = _take_back(call, run)
            if run is None or not is_waiting(run) or not pending.isdisjoint(call.upstream):
                continue
            limit = next((limits[tag] for tag in run.tags if tag in limits), None)
            if limit is None:
                chosen.append(run)
            else:
                tell_wait(run, explain_limit(limit))
        return chosen

    def _place(self, _run: Run) -> Placement | None:
        return Placement(self._infrastructure, self._infrastructure.variables())

    def _explain_own_limit(self, _limit: int) -> str:
        # Without the number: workers with different limits would overwrite each other forever.
        return "all processes that serve its task are at their limits"


def serve(
    *tasks: AnyTask,
    limit: int | None = LIMIT,
    status_server_port: int | None = None,
    timeout: float | None = None,
) -> None:
    """Execute the calls of tasks that are sent to the background, until it is stopped.

    Args:
        *tasks: the tasks to serve.
        limit: the maximum number of runs executed at a time; None for no maximum.
        status_server_port: the port on this machine for ``GET /status``; None for none.
        timeout: seconds after which it stops by itself; None for never.

    Raises:
        ConfigurationError: there is no task, two have one name, the limit lets no run start, the
            port can't be used, or the store is in memory or on a network file system.
    """
    _open_worker(tasks, limit, status_server_port).start(timeout)


def aserve(
    *tasks: AnyTask,
    limit: int | None = LIMIT,
    status_server_port: int | None = None,
    timeout: float | None = None,
) -> Coroutine[object, object, None]:
    """Async version of `serve`."""
    return _aserve(tasks, limit, status_server_port, timeout)


async def _aserve(
    tasks: Sequence[AnyTask], limit: int | None, port: int | None, seconds: float | None
) -> None:
    worker = await call_blocking(_open_worker, tasks, limit, port)
    await worker.astart(seconds)


def _open_worker(tasks: Sequence[AnyTask], limit: int | None, port: int | None) -> TaskWorker:
    check_shared_store("serve")
    return TaskWorker(*tasks, limit=limit, status_server_port=port)


def _check(tasks: Sequence[object], limit: object, port: object) -> None:
    if not tasks:
        raise ConfigurationError("serve", "there is nothing to serve", "Pass a task.")
    for each in tasks:
        if not isinstance(each, Task):
            problem = f"{each!r} is not a task"
            raise ConfigurationError("serve", problem, "Put @task on the function.")
    check_limit_of_runs("serve", limit)
    is_port = type(port) is int and 0 <= port <= MOST_PORT
    if port is not None and not is_port:
        problem = f"{port!r} is not a port"
        remedy = f"Pass a number up to {MOST_PORT}; 0 for a free one."
        raise ConfigurationError("status_server_port", problem, remedy)


def _find_runs(run_ids: Iterable[str]) -> dict[str, Run]:
    ids = tuple(dict.fromkeys(run_ids))
    found = services().runs.runs(RunQuery(ids=ids)) if ids else []
    return {run.id: run for run in found}


def _find_pending(run_ids: Iterable[str]) -> set[str]:
    """Return which of these background runs have not ended."""
    runs = _find_runs(run_ids).values()
    return {run.id for run in runs if not (run.state.is_final() and is_done(run))}


def _find_full_tags(runs: Iterable[Run]) -> dict[str, Limit]:
    """Return the limits of these runs' tags that have no free slots, by tag.

    A run takes its slots itself; this avoids starting runs that would only wait for slots.
    """
    known = services().slot_queue.limits()
    tags = {tag for run in runs for tag in run.tags}
    limits = {tag: known[TAG + tag] for tag in tags if TAG + tag in known}
    limits = {tag: limit for tag, limit in limits.items() if limit.active}
    if not limits:
        return {}
    used = services().slots.count_slots([limit.name for limit in limits.values()])
    return {tag: limit for tag, limit in limits.items() if used.get(limit.name, 0.0) >= limit.slots}


def _take_back(call: KeptCall, run: Run) -> Run | None:
    """Delete the call of a run that has ended; reschedule a crashed run, and return it.

    If several workers see it, one of them does so.
    """
    if run.state.type is not CRASHED or _count_crashes(run) >= MOST_CRASHES:
        forget_call(call)
        return None
    state = AwaitingRetry(f"waiting to be executed again, since it crashed: {run.state.message}")
    try:
        return services().runs.record(make_handover_event(run, state, None))
    except Conflict:
        return None


def _count_crashes(run: Run) -> int:
    return len(services().runs.events(run_id=run.id, kinds=(KINDS["task"][CRASHED],)))
