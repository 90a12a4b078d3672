"""The journal: writes task events in batches in the background, and sends heartbeats."""

from __future__ import annotations

import logging
import os
import threading
from collections import defaultdict, deque
from contextlib import suppress
from typing import TYPE_CHECKING, cast
from weakref import WeakSet

from flowstone.engine.blocking_calls import is_on_loop
from flowstone.engine.driven_roots import DrivenRoots
from flowstone.engine.policy import find_request
from flowstone.errors import Conflict, FencedRun, StopSignal, StoreError, SuspendSignal
from flowstone.records.events import INFORMATIONAL
from flowstone.records.ids import new_id
from flowstone.records.record import evolve
from flowstone.records.runs import Handover, Run, StateChange
from flowstone.records.states import PAUSED, TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flowstone.ports import Clock, RunStore
    from flowstone.ports.leases import HeldSlots
    from flowstone.ports.threads import Thread, Threads
    from flowstone.records.events import Event
    from flowstone.records.runs import Lease

    #: An event, and the token of its writer's lease.
    Entry = tuple[Event, str | None]

#: Maximum number of seconds before an event is written.
INTERVAL = 0.05
#: Maximum number of queued events: the next `append` then writes them; on an event loop, the next
#: run that changes its state writes them in a thread.
FULL = 2000
#: Seconds between two heartbeats, which also return requests, such as to cancel a run.
HEARTBEAT = 1.0
#: Seconds before a store that has failed is retried, except by barriers.
RETRY = 1.0
#: Maximum number of events in one batch.
BATCH = 2000

logger = logging.getLogger("flowstone.journal")


class WriteBehind:
    """A `Journal` over a `RunStore`, with one thread for the process.

    Appending is a deque's append. The lock is held while a batch is written, so that synchronous
    writes (`create`, `record`) come after all events that were appended before them.

    The same thread sends the process's heartbeat, which also renews the leases of `slots`.
    """

    def __init__(
        self,
        store: RunStore,
        clock: Clock,
        lease_seconds: float,
        threads: Threads = threading,
        slots: HeldSlots | None = None,
    ) -> None:
        self._store, self._clock, self._lease_seconds = store, clock, lease_seconds
        self._threads, self._slots = threads, slots
        self._reset(DrivenRoots())
        _all.add(self)
        if slots is not None:
            slots.on_held(self._look_at_slots)

    def _reset(self, roots: DrivenRoots) -> None:
        self._queue: deque[Entry] = deque()
        self._batch: list[Entry] = []  # taken from the queue, not yet confirmed by the store
        self._lock = self._threads.RLock()
        self._wake = self._threads.Condition()
        self._idle = True
        self._closed = False
        self._thread: Thread | None = None
        self._roots = roots
        self._error: StoreError | None = None
        self._retry_at = float("-inf")  # in the future while the store fails
        self._warn_at = float("-inf")

    def restart_in_child(self) -> None:
        """Reset in a forked child, which has the parent's queue, but not its thread."""
        self._reset(DrivenRoots(self._roots.list_fences()))

    def create(self, event: Event, token: str | None = None) -> None:
        run = event.payload
        assert isinstance(run, Run)
        with self._lock:
            self.flush()
            self._roots.check(event, token)
            if self._roots.find_fence(run.root_id) is not None:
                self._send(run.root_id, [event])
                self._roots.check(event, token)  # a process that lost the root starts nothing in it
            elif token is not None and not run.is_root:  # it has ended here; others may drive it
                raise _fence_off(self._store.run(run.root_id))
            else:
                self._store.create(event)
            if run.is_root and run.lease is not None:
                self._roots.drive(run)
        self._start()

    def record(self, event: Event, token: str | None = None) -> Run:
        with self._lock:
            self.flush()
            if isinstance(event.payload, Handover) and event.payload.lease is not None:
                return self._take_over(event, event.payload.lease)
            self._roots.check(event, token)
            try:
                run = self._store.record(event)
            except Conflict as conflict:
                if not self._roots.owns(cast("Run", conflict.actual)):
                    raise _fence_off(cast("Run", conflict.actual)) from conflict
                run = self._store.record(_rebase(event, conflict))
            if (fence := self._roots.find_fence(run.id)) is not None:
                _check_holder(run, fence.token)
                # If it was stored before, a request may have followed.
                self._roots.follow_request(run)
            return run

    def _take_over(self, event: Event, lease: Lease) -> Run:
        run = self._store.record(event)
        if run.lease is None:  # it was ended or suspended before the call was repeated
            raise _fence_off(run)
        _check_holder(run, lease.token)
        self._roots.take_over(run, lease.token)
        self._start()
        return run

    def refresh(self, run_id: str, token: str | None = None) -> Run:
        with self._lock:
            actual = self._store.run(run_id)
            if not self._roots.owns(actual) or self._roots.is_stale(actual.root_id, token):
                raise _fence_off(actual)
            if actual.is_root and self._roots.has_moved(actual):
                self._roots.follow_request(actual)
            return actual

    def append(self, event: Event, token: str | None = None) -> None:
        if self._roots.refusing:
            self._roots.check(event, token)
        self._queue.append((event, token))
        if self._idle:
            self._rouse()
        if len(self._queue) >= FULL and not is_on_loop():
            self._make_room()

    def _make_room(self) -> None:
        """Write the queued events; while the store fails, raise its last error without retrying.

        Each attempt encodes a whole batch, and thousands of tasks may append in the meantime.
        """
        with self._lock:
            if self._error is not None and self._clock.monotonic() < self._retry_at:
                raise self._error.with_traceback(None)
            self.flush()

    def is_full(self) -> bool:
        return len(self._queue) >= FULL - 1

    def flush(self) -> None:
        with self._lock:
            self._error = None
            self._write()
            if self._error is not None:
                raise self._error

    def on_request(self, root_id: str, stop: Callable[[type[StopSignal]], None]) -> None:
        self._roots.register_stop(root_id, stop)

    def release(self, root_id: str) -> None:
        try:
            self.flush()
        finally:
            with self._lock:
                self._roots.release(root_id)

    def abandon(self, root_id: str, token: str | None = None) -> None:
        if self._roots.is_stale(root_id, token):
            return
        self._roots.abandon(root_id)
        with self._lock:
            pass  # waits for a request that is being handled, which stops its driver now, not later

    def leave(self, root_id: str, run_ids: Iterable[str]) -> None:
        self._roots.leave(root_id, run_ids)

    def close(self) -> None:
        try:
            self.flush()
        finally:
            with self._wake:
                self._closed = True
                self._wake.notify()
            thread = self._thread
            if thread is not None and thread.is_alive():
                thread.join(timeout=5)

    def count_unwritten(self) -> int:
        with self._lock:
            return len(self._batch) + len(self._queue)

    # ------------------------------------------------------------ batches, under the lock

    def _write(self) -> None:
        """Write all queued events, in order.

        A signal may interrupt this anywhere. An event therefore leaves the queue only when it is in
        the batch, and the batch only when it is stored; an event that is sent twice is stored once.
        """
        queue, batch = self._queue, self._batch
        while queue or batch:
            while queue and len(batch) < BATCH:
                batch.append(queue[0])
                queue.popleft()
            refusing = self._roots.refusing
            roots: defaultdict[str, list[Event]] = defaultdict(list)
            for event, token in batch:
                if not (refusing and self._roots.is_stale(event.root_id, token)):
                    roots[event.root_id].append(event)
            try:
                for root_id, events in roots.items():
                    self._send(root_id, events)
            except StoreError as error:
                self._error = error  # the batch is kept for a retry; the next flush raises it
                self._retry_at = self._clock.monotonic() + RETRY
                return
            batch.clear()
        self._retry_at = float("-inf")

    def _send(self, root_id: str, events: list[Event]) -> None:
        fence = self._roots.find_fence(root_id)
        if fence is None:
            self._send_notes(root_id, events)
            return
        try:
            self._store.append(events, fence)
        except Conflict as conflict:
            actual = cast("Run", conflict.actual)
            if self._roots.has_moved(actual):
                self._roots.follow_request(actual)
                self._send(root_id, events)
                return
            self._roots.mark_lost(actual)

    def _send_notes(self, root_id: str, events: list[Event]) -> None:
        """Write log lines of hooks and threads after the end of a root, unless it was lost."""
        fence = self._roots.find_ended_fence(root_id)
        notes = [event for event in events if isinstance(event.payload, INFORMATIONAL)]
        if fence is not None and notes:
            with suppress(Conflict):  # another process has taken it over
                self._store.append(notes, fence)

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

    def _look_at_slots(self) -> None:
        """Notify the thread that there are leases of slots, which may be short."""
        self._start()
        with self._wake:
            if self._idle:  # if it is waiting for a batch, it checks anyway
                self._wake.notify()

    def _find_pause(self) -> float:
        """Return the seconds between two heartbeats."""
        pause = None if self._slots is None else self._slots.find_pause()
        return min(HEARTBEAT, self._lease_seconds / 3, HEARTBEAT if pause is None else pause)

    def _loop(self) -> None:
        heartbeat_at = self._clock.monotonic() + self._find_pause()
        while not self._closed:
            with self._wake:
                if self._idle and not self._closed:  # it may have been closed before this wait
                    self._wake.wait(max(0.0, heartbeat_at - self._clock.monotonic()))
            if not self._idle:
                with self._wake:
                    if not self._closed:  # only closing ends this early
                        self._wake.wait(INTERVAL)
            self._idle = True  # from here on, an append wakes this thread again
            with self._lock:
                if self._clock.monotonic() >= self._retry_at:
                    self._write()
            now = self._clock.monotonic()
            if now >= heartbeat_at:
                heartbeat_at = now + self._find_pause()
                self._send_heartbeat()
            else:
                heartbeat_at = min(heartbeat_at, now + self._find_pause())

    def _send_heartbeat(self) -> None:
        """Renew the leases of all runs and slots held here, and handle requests."""
        if self._slots is None:
            with suppress(StoreError):  # it has been reported
                self._renew({})
        else:
            self._slots.renew(self._renew)

    def _renew(self, slots: Mapping[str, float]) -> list[str]:
        """Renew the leases of all runs driven here, and those of slots; return the lost tokens."""
        with self._lock:
            fences = self._roots.list_renewable_fences()
            if not (fences or slots):
                return []
            try:
                reply = self._store.heartbeat(fences, self._lease_seconds, slots)
            except StoreError as error:
                if fences:
                    self._report_unrenewed(error)
                raise
            for run in reply.runs:
                if self._roots.has_moved(run):
                    self._roots.follow_request(run)
                elif not self._roots.owns(run):
                    self._roots.mark_lost(run)
        return reply.lost_slots

    def _report_unrenewed(self, error: StoreError) -> None:
        """Log a warning, once per outage rather than at each heartbeat."""
        now = self._clock.monotonic()
        if now >= self._warn_at:
            self._warn_at = now + self._lease_seconds / 3
            logger.warning("the lease could not be renewed: %s", error)


def _rebase(event: Event, conflict: Conflict) -> Event:
    """Return a change of a run, rebased on a request that came in the meantime.

    If the request is to stop, only a final state is accepted: any other change would continue it.
    """
    change, actual = event.payload, cast("Run", conflict.actual)
    assert isinstance(change, StateChange)
    if actual.state.type in TERMINAL or change.version > actual.version:
        raise _fence_off(actual) from conflict
    signal = find_request(actual.state)
    allowed = (*TERMINAL, PAUSED) if signal is SuspendSignal else TERMINAL
    if signal is not None and change.state.type not in allowed:
        raise signal from conflict
    return evolve(event, id=new_id(), payload=evolve(change, version=actual.version + 1))


def _check_holder(actual: Run, token: str) -> None:
    """Refuse a root that another process holds.

    A call whose response was lost is repeated, and the run may have been taken over in between.
    """
    if actual.lease is not None and actual.lease.token != token:
        raise _fence_off(actual)


def _fence_off(actual: Run) -> FencedRun:
    """Return the error for a writer that has lost its run."""
    return FencedRun(actual.name, actual.state.name)


_all: WeakSet[WriteBehind] = WeakSet()


def _restart_all() -> None:
    for journal in list(_all):
        journal.restart_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all)
