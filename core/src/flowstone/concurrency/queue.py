"""The process's queue for slots under limits: first come, first served."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakSet

from flowstone.concurrency.leases import SlotLeases, warn
from flowstone.engine.blocking_calls import call_blocking, is_on_loop
from flowstone.errors import SlotTimeout
from flowstone.records.ids import new_id
from flowstone.records.limits import KIND, LOCK, TAG, Claim, Refusal, SlotDemand, read_limit
from flowstone.records.redaction import redact

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Event
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from flowstone.ports import Clock, DocumentStore
    from flowstone.ports.slots import SlotStore
    from flowstone.ports.threads import Threads
    from flowstone.records.limits import Limit

#: Seconds between two polls for slots that other processes free.
LOOK = 1.0
#: Seconds after which a waiting thread wakes up: it can only be stopped when Python code runs.
TICK = 0.5
#: Seconds for which the limits are cached.
FRESH = 1.0

#: The tokens of the slots held around this code.
held_here: ContextVar[frozenset[str]] = ContextVar("flowstone.held", default=frozenset())


class ProcessSlotQueue:
    """The queue of this process, and the slots that it holds.

    Requests are served in order per limit; a request for several limits is in the queue of each.
    Only the first one in a queue polls the store. The lock is held during a poll, so that it is
    quick to determine which one is first.
    """

    def __init__(
        self,
        store: SlotStore,
        documents: DocumentStore,
        clock: Clock,
        holder: Callable[[], str],
        lease_seconds: float,
        threads: Threads = threading,
    ) -> None:
        self._documents, self.threads = documents, threads
        self.store, self.clock, self.holder = store, clock, holder
        self.lease_seconds = lease_seconds
        self.leases = SlotLeases(store, clock, threads)
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Forget all requests and held slots, as in a forked process."""
        self.lock = self.threads.RLock()
        self._lines: dict[str, OrderedDict[QueuedSlotRequest, None]] = {}
        self._served: dict[str, float] = {}
        self._known: tuple[float, dict[str, Limit]] = (float("-inf"), {})

    def make_request(self, wanted: SlotDemand) -> QueuedSlotRequest:
        """Return a request that is not in the queue yet."""
        return QueuedSlotRequest(self, wanted)

    def make_tag_request(self, tags: Sequence[str], name: str, run_id: str) -> TagSlotRequest:
        """Return the request of a task run for the limits of its tags."""
        return TagSlotRequest(self, tags, name, run_id)

    def are_limits_known(self) -> bool:
        """Return whether `limits` returns without reading the store."""
        return self.clock.monotonic() - self._known[0] < FRESH

    def limits(self) -> dict[str, Limit]:
        """Return the limits by name, at most `FRESH` seconds old."""
        _, known = self._known
        if not self.are_limits_known():
            known = {each.name: read_limit(each) for each in self._documents.find(KIND)}
            self._known = self.clock.monotonic(), known
        return known

    def close(self) -> None:
        """Free all slots that this process holds."""
        self.leases.close()

    # ------------------------------------------------------------ for requests, under the lock

    def find_first_ahead(self, turn: QueuedSlotRequest) -> QueuedSlotRequest | None:
        """Return the first other request that is ahead of this one in one of its queues."""
        for name in turn.wanted.names:
            first = next(iter(self._lines.get(name, ())), turn)
            if first is not turn:
                return first
        return None

    def enqueue(self, turn: QueuedSlotRequest) -> None:
        for name in turn.wanted.names:
            self._lines.setdefault(name, OrderedDict())[turn] = None

    def dequeue(self, turn: QueuedSlotRequest) -> None:
        for name in turn.wanted.names:
            line = self._lines.get(name)
            if line is not None and turn in line:
                del line[turn]
                if not line:
                    del self._lines[name]
        self.notify(turn.wanted.names)

    def notify(self, names: Iterable[str]) -> None:
        """Wake the first requests for these limits."""
        for name in names:
            first = next(iter(self._lines.get(name, ())), None)
            if first is not None:
                first.notify()

    def find_wait_start(self, turn: QueuedSlotRequest) -> float:
        """Return since when this process has been waiting for the limits of a request."""
        return max([turn.came, *(self._served.get(name, 0.0) for name in turn.wanted.names)])

    def serve(self, names: Iterable[str], now: float) -> None:
        for name in names:
            self._served[name] = now


class QueuedSlotRequest:
    """A request in the queue, and then its slots; implements `TimedSlotRequest`."""

    def __init__(self, gate: ProcessSlotQueue, wanted: SlotDemand) -> None:
        self._gate, self.wanted = gate, wanted
        self.token = new_id()
        self.came = gate.clock.monotonic()
        self.refused: Refusal | None = None
        self.notify: Callable[[], None] = _ignore
        self._retry_at = float("-inf")
        #: The names of the limits whose slots it holds; None before it has them.
        self.taken: tuple[str, ...] | None = None

    @property
    def refused_by(self) -> Limit | None:
        """The limit that had no free slots at the last attempt; None if all had some."""
        return None if self.refused is None else self.refused.limit

    def may_block(self) -> bool:
        """Return whether it has to access the store."""
        return bool(self.wanted.names)

    def take(self) -> str | None:
        """Take the slots if it is first in the queue and they are free; else return why not."""
        refused = self._try_take()
        return None if refused is None else f"{refused}{self._explain_self_block(refused)}"

    def _try_take(self) -> Refusal | None:
        gate = self._gate
        with gate.lock:
            if not self.wanted.names:
                self.taken = ()
            if self.taken is not None:
                return None
            first = gate.find_first_ahead(self)
            if first is not None and first.refused is not None:
                gate.enqueue(self)
                self.refused = first.refused
                return self.refused
            try:
                self._ask()
            except BaseException:
                self.give_back()  # it may have been granted nevertheless
                raise
            return self.refused

    def _ask(self) -> None:
        gate = self._gate
        now = gate.clock.monotonic()
        gate.leases.ask(self.token)
        answer = gate.store.take_slots(self._make_claim())
        if isinstance(answer, Refusal):
            gate.leases.note_refusal(self.token)
            self.refused = answer
            gate.enqueue(self)
            return
        self.refused, self.taken = None, answer
        gate.serve(answer, now)
        if answer and not self.wanted.is_rate:
            gate.leases.keep(self.token, self._make_claim, self._seconds, self.wanted.on_lost, now)
            held_here.set(held_here.get() | {self.token})
        else:
            gate.leases.note_refusal(self.token)
        gate.dequeue(self)

    @property
    def _seconds(self) -> float:
        return self.wanted.lease_seconds or self._gate.lease_seconds

    def _make_claim(self) -> Claim:
        wanted, gate = self.wanted, self._gate
        return Claim(
            self.token,
            wanted.names,
            wanted.occupy,
            gate.holder(),
            redact(wanted.owner),
            wanted.run_id,
            self._seconds,
            gate.clock.monotonic() - gate.find_wait_start(self),
            wanted.is_rate,
        )

    def retry(self) -> bool:
        if self.taken is None and self._gate.clock.monotonic() >= self._retry_at:
            self.notify = self._retry_now
            self._retry_at = float("inf")  # a notification may come from here on
            refused = self._try_take()
            pause = None if refused is None else self._choose_pause(refused)
            if pause is not None:
                self._retry_at = min(self._retry_at, self._gate.clock.monotonic() + pause)
        return self.taken is not None

    def _retry_now(self) -> None:
        self._retry_at = float("-inf")

    def poll(
        self, seconds: float | None, max_retries: int | None
    ) -> Generator[float | None, None, None]:
        """Poll until the slots are taken; yield the seconds until the next poll, before each.

        None means until a notification.

        Raises:
            SlotTimeout: the timeout has expired, or there were too many polls.
        """
        clock, looked = self._gate.clock, 0
        began = clock.monotonic()
        end = None if seconds is None else began + seconds
        while (refused := self._try_take()) is not None:
            left = None if end is None else end - clock.monotonic()
            if (left is not None and left <= 0) or (
                max_retries is not None and looked >= max_retries
            ):
                waited = clock.monotonic() - began
                raise SlotTimeout(self.wanted.owner, self.wanted.occupy, waited, str(refused))
            looked += 1
            if looked == 1 and (own := self._explain_self_block(refused)):
                warn(f"{self.wanted.owner!r} waits: {refused}{own}")
            yield _pick_least(left, self._choose_pause(refused))

    def _choose_pause(self, refused: Refusal) -> float | None:
        with self._gate.lock:
            if self._gate.find_first_ahead(self) is not None:
                return None
        return LOOK if refused.seconds is None else min(LOOK, refused.seconds)

    def _explain_self_block(self, refused: Refusal) -> str:
        """Explain a deadlock: the slots are held by a caller that waits for this request."""
        around = held_here.get()
        own = sum(slot.occupy for slot in refused.held if slot.token in around)
        if not own or refused.limit.slots - own >= refused.occupy:
            return ""
        circle = ", inside which it was called: that is a deadlock"
        if refused.limit.name.startswith(LOCK):
            return f"{circle}."
        return (
            f"{circle}. Take the slots only once, or give the limit more with "
            f"`flowstone limit set {refused.limit.name} --slots N`."
        )

    def wait(self, seconds: float | None = None, max_retries: int | None = None) -> None:
        """Block until the slots are taken. Raises `SlotTimeout`."""
        rung = self._gate.threads.Event()
        self.notify = rung.set
        for number, pause in enumerate(self.poll(seconds, max_retries)):
            if number == 0 and is_on_loop():
                warn(
                    f"{self.wanted.owner!r} blocks its event loop, and waits: {self.refused}. If "
                    "that needs the loop, both wait for ever. Use `async with`, an async task, or "
                    "`.submit`."
                )
            rung.wait(TICK if pause is None else min(pause, TICK))
            rung.clear()

    async def await_slots(
        self, seconds: float | None = None, max_retries: int | None = None
    ) -> None:
        """Wait for the slots without blocking the event loop. Raises `SlotTimeout`."""
        import asyncio  # takes 40 ms to import; in a coroutine it is loaded already

        loop, rung = asyncio.get_running_loop(), asyncio.Event()
        self.notify = partial(_set_on_loop, loop, rung)
        looks = self.poll(seconds, max_retries)
        while True:
            pause = await call_blocking(next, looks, 0.0)
            if self.taken is not None:
                return
            try:
                async with asyncio.timeout(pause):
                    await rung.wait()
            except TimeoutError:
                pass
            rung.clear()

    def give_back(self) -> None:
        """Leave the queue, or free the slots; do nothing the second time."""
        gate = self._gate
        self.notify = _ignore
        with gate.lock:
            gate.leases.free(self.token)
            self.taken = ()
            gate.dequeue(self)
        held_here.set(held_here.get() - {self.token})


class TagSlotRequest:
    """The request of a task run; the limits of its tags are looked up when it asks for slots."""

    __slots__ = ("_gate", "_name", "_run_id", "_tags", "_turn")

    def __init__(self, gate: ProcessSlotQueue, tags: Sequence[str], name: str, run_id: str) -> None:
        self._gate, self._tags, self._name, self._run_id = gate, tags, name, run_id
        self._turn: QueuedSlotRequest | None = None

    def may_block(self) -> bool:
        """Return whether taking or releasing slots has to access the store."""
        return (
            self._turn is not None
            or not self._gate.are_limits_known()
            or bool(self._find_names(self._gate.limits()))
        )

    def _find_names(self, known: Mapping[str, Limit]) -> tuple[str, ...]:
        return tuple(TAG + tag for tag in self._tags if TAG + tag in known) if known else ()

    def take(self) -> str | None:
        """Take the slots if it is first in the queue and they are free; else return why not."""
        names = self._find_names(self._gate.limits())
        if not names:
            return None
        self._turn = self._gate.make_request(SlotDemand(names, 1, self._name, self._run_id))
        return self._turn.take()

    def wait(self) -> None:
        """Block until the slots are taken."""
        if self._turn is not None:
            self._turn.wait()

    async def await_slots(self) -> None:
        """Wait for the slots without blocking the event loop."""
        if self._turn is not None:
            await self._turn.await_slots()

    def give_back(self) -> None:
        """Leave the queue, or free the slots; do nothing the second time."""
        if self._turn is not None:
            self._turn.give_back()
            self._turn = None  # not before: after an interrupt it may be called again


def _ignore() -> None:
    """Ignore a notification."""


def _pick_least(*seconds: float | None) -> float | None:
    return min((each for each in seconds if each is not None), default=None)


def _set_on_loop(loop: AbstractEventLoop, rung: Event) -> None:
    """Notify an event loop from any thread, unless it is closed."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(rung.set)


_all: WeakSet[ProcessSlotQueue] = WeakSet()


def _after_fork() -> None:
    # Requests and held slots belong to the parent.
    for gate in list(_all):
        gate.reset()
        gate.leases.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
