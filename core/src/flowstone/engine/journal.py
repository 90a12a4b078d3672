"""The journal: task facts, written behind in batches, and the leases of the runs driven here."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, cast
from weakref import WeakSet

from flowstone.engine.policy import request
from flowstone.errors import Conflict, FencedRun, StopSignal, StoreError, SuspendSignal
from flowstone.records.events import NOTES
from flowstone.records.ids import new_id
from flowstone.records.runs import Change, Fence, Handover, Run
from flowstone.records.states import PAUSED, TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flowstone.ports import Clock, RunStore
    from flowstone.ports.threads import Thread, Threads
    from flowstone.records.events import Event
    from flowstone.records.runs import Lease

    #: A fact, and the token of the lease that its writer had.
    Told = tuple[Event, str | None]

#: A fact waits so long at the most before it is written.
INTERVAL = 0.05
#: With so many waiting, whoever appends the next one writes them.
FULL = 2000
#: Of so many roots that have ended, late log lines are still taken.
RECENT = 1000
#: So often, in seconds, it is looked whether somebody asks something of a run.
LOOK = 1.0
#: So many facts go into one batch at the most.
BATCH = 2000

logger = logging.getLogger("flowstone.journal")


class WriteBehind:
    """A `Journal` over a `RunStore`, with one thread for the process.

    Appending is a deque's append. The lock is held while a batch is written, so that what is
    written through (`create`, `record`) comes after all that was appended before it.
    """

    def __init__(
        self, store: RunStore, clock: Clock, lease_seconds: float, threads: Threads = threading
    ) -> None:
        self._store, self._clock, self._lease_seconds = store, clock, lease_seconds
        self._threads = threads
        self._reset()
        _all.add(self)

    def _reset(self) -> None:
        self._queue: deque[Told] = deque()
        self._batch: list[Told] = []  # taken from the queue, not yet known to be kept
        self._lock = self._threads.RLock()
        self._wake = self._threads.Condition()
        self._idle = True
        self._closed = False
        self._thread: Thread | None = None
        self._fences: dict[str, Fence] = {}
        self._ended: dict[str, Fence] = {}
        self._retaken: dict[str, Run] = {}  # driven here, by an attempt that is not the first
        self._stops: dict[str, Callable[[type[StopSignal]], None]] = {}
        self._stopped: dict[str, type[StopSignal]] = {}
        self._abandoned: set[str] = set()
        self._lost: dict[str, Run] = {}
        self._left: set[str] = set()
        self._error: StoreError | None = None

    def create(self, event: Event, token: str | None = None) -> None:
        run = event.payload
        assert isinstance(run, Run)
        with self._lock:
            self.flush()
            _check(self, event, token)
            if run.root_id in self._fences:  # so that whoever lost the root begins nothing in it
                self._send(run.root_id, [event])
                _check(self, event, token)
            elif token is not None and not run.is_root:  # it has ended here; others may drive it
                raise _over(self._store.run(run.root_id))
            else:
                self._store.create(event)
            if run.is_root and run.lease is not None:
                self._fences[run.id] = Fence(run.id, run.version, run.lease.token)
        self._start()

    def record(self, event: Event, token: str | None = None) -> Run:
        with self._lock:
            self.flush()
            if isinstance(event.payload, Handover) and event.payload.lease is not None:
                return _take_over(self, event, event.payload.lease)
            _check(self, event, token)
            try:
                run = self._store.record(event)
            except Conflict as conflict:
                if not _is_ours(self, cast("Run", conflict.actual)):
                    raise _fenced(conflict) from conflict
                run = self._store.record(_later(event, conflict))
            if run.id in self._fences:
                self._obey(run)  # where it was kept before, a request may have come on top
            return run

    def heed(self, run_id: str, token: str | None = None) -> Run:
        with self._lock:
            actual = self._store.run(run_id)
            if not _is_ours(self, actual) or self._is_stale(actual.root_id, token):
                raise _over(actual)
            if actual.is_root and actual.version != self._fences[run_id].version:
                self._obey(actual)
            return actual

    def append(self, event: Event, token: str | None = None) -> None:
        if self._lost or self._left or self._retaken:
            _check(self, event, token)
        self._queue.append((event, token))
        if self._idle:
            self._rouse()
        if len(self._queue) >= FULL:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            self._error = None
            self._write()
            if self._error is not None:
                raise self._error

    def on_request(self, root_id: str, stop: Callable[[type[StopSignal]], None]) -> None:
        self._stops[root_id] = stop

    def _obey(self, actual: Run) -> None:
        """Go on under the version that a request made; one to stop does that, once."""
        fence = self._fences[actual.id]
        self._fences[actual.id] = Fence(actual.id, actual.version, fence.token)
        stop, wanted = self._stops.get(actual.id), request(actual.state)
        if stop is not None and wanted is not None and self._stopped.get(actual.id) is not wanted:
            self._stopped[actual.id] = wanted
            stop(wanted)

    def release(self, root_id: str) -> None:
        try:
            self.flush()
        finally:
            with self._lock:
                self._stops.pop(root_id, None)
                self._stopped.pop(root_id, None)
                self._abandoned.discard(root_id)
                fence = self._fences.pop(root_id, None)
                self._retaken.pop(root_id, None)
                self._lost.pop(root_id, None)
                if fence is not None:
                    self._ended[root_id] = fence
                    if len(self._ended) > RECENT:
                        del self._ended[next(iter(self._ended))]

    def abandon(self, root_id: str, token: str | None = None) -> None:
        if self._is_stale(root_id, token):
            return
        self._stops.pop(root_id, None)
        if root_id in self._fences:  # it stays there: what was appended can still be kept
            self._abandoned.add(root_id)
        with self._lock:
            pass  # a request that is being obeyed just now stops its driver here, and not later

    def close(self) -> None:
        self.flush()
        with self._wake:
            self._closed = True
            self._wake.notify()
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(timeout=5)

    def leave(self, run_ids: Iterable[str]) -> None:
        self._left.update(run_ids)

    def _is_stale(self, root_id: str, token: str | None) -> bool:
        """Tell whether somebody writes for an attempt that another has followed, here."""
        fence = self._fences.get(root_id) if root_id in self._retaken else None
        return fence is not None and token is not None and token != fence.token

    def _write(self) -> None:
        """Write all that is queued, in order; called under the lock.

        A signal may interrupt this anywhere. So a fact leaves the queue only when it is in the
        batch, and the batch only when it is kept; what is sent twice is kept once.
        """
        queue, batch = self._queue, self._batch
        while queue or batch:
            while queue and len(batch) < BATCH:
                batch.append(queue[0])
                queue.popleft()
            roots: dict[str, list[Event]] = {}
            for event, token in batch:
                if not (self._retaken and self._is_stale(event.root_id, token)):
                    roots.setdefault(event.root_id, []).append(event)
            try:
                for root_id, events in roots.items():
                    self._send(root_id, events)
            except StoreError as error:
                self._error = error  # kept for the next try; whoever flushes next is told
                return
            batch.clear()

    def _send(self, root_id: str, events: list[Event]) -> None:
        fence = self._fences.get(root_id)
        if fence is None:
            _keep_notes(self._store, self._ended.get(root_id), events)
            return
        try:
            self._store.append(events, fence)
        except Conflict as conflict:
            actual = cast("Run", conflict.actual)
            if _is_ours(self, actual) and actual.version != fence.version:
                self._obey(actual)
                self._send(root_id, events)
                return
            _lose(self, actual)

    # ------------------------------------------------------------ the thread

    def _rouse(self) -> None:
        self._start()
        with self._wake:
            self._idle = False
            self._wake.notify()

    def _start(self) -> None:
        if self._thread is None:
            with self._wake:
                self._begin()

    def _begin(self) -> None:
        if self._thread is None and not self._closed:
            name = "flowstone-journal"
            self._thread = self._threads.Thread(target=self._loop, name=name, daemon=True)
            self._thread.start()

    def _loop(self) -> None:
        renewal = self._lease_seconds / 3
        look = min(LOOK, renewal)
        due = self._clock.time() + look
        renew_at = self._clock.time() + renewal
        while not self._closed:
            with self._wake:
                if self._idle and not self._closed:  # closing may have come before this wait
                    self._wake.wait(max(0.0, due - self._clock.time()))
            if not self._idle:
                with self._wake:
                    if not self._closed:  # only closing ends this early
                        self._wake.wait(INTERVAL)
            self._idle = True  # what is appended from here on rouses again
            with self._lock:
                self._write()
            now = self._clock.time()
            if now >= renew_at:
                renew_at = now + renewal
                self._renew()
            if now >= due:
                due = now + look
                self._look()

    def _look(self) -> None:
        """See whether somebody asks something of a run that is driven here."""
        with self._lock:
            for fence in list(self._fences.values()):
                try:
                    actual = self._store.run(fence.root_id)
                except StoreError:
                    continue
                if actual.version != fence.version and _is_ours(self, actual):
                    self._obey(actual)

    def _renew(self) -> None:
        with self._lock:
            fences = [f for root, f in self._fences.items() if root not in self._abandoned]
            if not fences:
                return
            try:
                lost = self._store.renew(fences, self._clock.time() + self._lease_seconds)
            except StoreError as error:
                logger.warning("the lease could not be renewed: %s", error)
                return
            for run in lost:
                if not _is_ours(self, run):
                    _lose(self, run)


def _take_over(journal: WriteBehind, event: Event, lease: Lease) -> Run:
    run = journal._store.record(event)  # noqa: SLF001
    _forget(journal, run.id)
    journal._retaken[run.id] = run  # noqa: SLF001
    journal._fences[run.id] = Fence(run.id, run.version, lease.token)  # noqa: SLF001
    journal._start()  # noqa: SLF001
    return run


def _lose(journal: WriteBehind, actual: Run) -> None:
    journal._lost[actual.id] = actual  # noqa: SLF001
    journal._fences.pop(actual.id, None)  # noqa: SLF001
    journal._retaken.pop(actual.id, None)  # noqa: SLF001


def _is_ours(journal: WriteBehind, actual: Run) -> bool:
    """Tell whether a run has moved only by us, or because somebody asks something of it."""
    fence = journal._fences.get(actual.root_id)  # noqa: SLF001
    return fence is not None and _holds(fence, actual)


def _later(event: Event, conflict: Conflict) -> Event:
    """Return a change of a run again, after what somebody has asked of the run meanwhile.

    Of one that is to stop only the end: with anything else it would go on.
    """
    change, actual = event.payload, cast("Run", conflict.actual)
    assert isinstance(change, Change)
    if actual.state.type in TERMINAL or change.version > actual.version:
        raise _fenced(conflict) from conflict
    wanted = request(actual.state)
    may = (*TERMINAL, PAUSED) if wanted is SuspendSignal else TERMINAL
    if wanted is not None and change.state.type not in may:
        raise wanted from conflict
    return replace(event, id=new_id(), payload=replace(change, version=actual.version + 1))


def _fenced(conflict: Conflict) -> FencedRun:
    return _over(cast("Run", conflict.actual))


def _over(actual: Run) -> FencedRun:
    return FencedRun(actual.name, actual.state.name)


def _check(journal: WriteBehind, event: Event, token: str | None) -> None:
    """Refuse a fact of a run that was lost or left behind, or of an attempt that is over."""
    if event.run_id in journal._left:  # noqa: SLF001
        raise FencedRun(event.run_id, "left behind")
    root_id = event.root_id
    actual = journal._lost.get(root_id)  # noqa: SLF001
    if actual is None and journal._is_stale(root_id, token):  # noqa: SLF001
        actual = journal._retaken.get(root_id)  # noqa: SLF001
    if actual is not None:
        raise _over(actual)


def _forget(journal: WriteBehind, root_id: str) -> None:
    """Let go of what was known of a root in an attempt before."""
    journal._lost.pop(root_id, None)  # noqa: SLF001
    journal._ended.pop(root_id, None)  # noqa: SLF001
    journal._stops.pop(root_id, None)  # noqa: SLF001
    journal._stopped.pop(root_id, None)  # noqa: SLF001
    journal._abandoned.discard(root_id)  # noqa: SLF001


def _keep_notes(store: RunStore, fence: Fence | None, events: list[Event]) -> None:
    """Write what hooks and threads say after the end of a root; of a lost root, nothing."""
    notes = [event for event in events if isinstance(event.payload, NOTES)]
    if fence is not None and notes:
        with suppress(Conflict):  # somebody else has taken it up
            store.append(notes, fence)


def _holds(fence: Fence, run: Run) -> bool:
    """Tell whether a fence's holder still writes a run of its tree, at whatever version."""
    if run.state.type in TERMINAL:
        return False
    return not run.is_root or (run.lease is not None and run.lease.token == fence.token)


_all: WeakSet[WriteBehind] = WeakSet()


def _after_fork() -> None:
    # What was queued is the parent's to write, and its thread is not here.
    for journal in list(_all):
        fences = dict(journal._fences)  # noqa: SLF001
        journal._reset()  # noqa: SLF001
        journal._fences.update(fences)  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
