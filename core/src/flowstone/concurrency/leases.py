"""The leases of the slots that this process holds; one thread renews them."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from flowstone.context.current import current_run
from flowstone.errors import ConfigurationError, StoreError
from flowstone.logging.run_logger import RunLogger
from flowstone.records.limits import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.ports import Clock
    from flowstone.ports.slots import SlotStore
    from flowstone.ports.threads import Thread, Threads
    from flowstone.records.limits import Claim

#: Of a lease, this part passes between two renewals.
PART = 3
#: So long, in seconds, at the most before another try at what has failed.
AGAIN = 5.0

#: So long, in seconds, the thread rests at the least.
SHORTEST = 0.05

_logger = logging.getLogger("flowstone.limits")


def warn(text: str) -> None:
    """Log a warning, as a line of the current run where there is one."""
    run = current_run()
    (_logger if run is None else RunLogger(run, _logger)).warning(text)


class RenewedLease:
    """A lease that is renewed.

    Attributes:
        claim: the claim to take the slots again with.
        seconds: how long the lease is.
        on_lost: called when it is lost; None to go on without.
        until: when it ends, as far as is known here.
        due: when it is next renewed.
        is_lost: whether it is known to be lost; then it is tried to take the slots again.
    """

    __slots__ = ("claim", "due", "is_lost", "on_lost", "seconds", "until")

    def __init__(
        self,
        claim: Callable[[], Claim],
        seconds: float,
        on_lost: Callable[[], None] | None,
        now: float,
    ) -> None:
        self.claim, self.seconds, self.on_lost = claim, seconds, on_lost
        self.mark_renewed(now)

    def mark_renewed(self, now: float) -> None:
        """Take note that it was renewed, or taken, at a time."""
        self.until, self.due = now + self.seconds, now + self.seconds / PART
        self.is_lost = False

    def mark_failed(self, now: float) -> None:
        """Take note that it could not be renewed, or taken."""
        self.due = now + min(self.seconds / PART, AGAIN)


class SlotLeases:
    """Knows what this process holds. Nothing else of a process, such as a forked child, frees it.

    The lock is held while the store is asked, so that nothing is renewed, or taken again, that is
    being freed.
    """

    def __init__(self, store: SlotStore, clock: Clock, threads: Threads = threading) -> None:
        self._store, self._clock, self._threads = store, clock, threads
        self.reset()

    def reset(self) -> None:
        """Know of nothing: in a forked child, all is the parent's, and the thread is not here."""
        self._lock = self._threads.RLock()
        self._wake = self._threads.Condition()
        self._thread: Thread | None = None
        self._closed = False
        self._kept: dict[str, RenewedLease] = {}
        self._asked: set[str] = set()  # may have been granted
        self._left: set[str] = set()  # to be freed

    def ask(self, token: str) -> None:
        """Take note that slots are asked for under a token."""
        self._asked.add(token)

    def note_refusal(self, token: str) -> None:
        """Take note that they were not granted."""
        self._asked.discard(token)

    def keep(
        self,
        token: str,
        claim: Callable[[], Claim],
        seconds: float,
        on_lost: Callable[[], None] | None,
        now: float,
    ) -> None:
        """Renew the lease of slots that were granted by a claim of that time."""
        with self._lock:
            self._kept[token] = RenewedLease(claim, seconds, on_lost, now)
            self._asked.discard(token)
        self._rouse()

    def free(self, token: str) -> None:
        """Free what a token holds; where the store fails, as soon as it can be reached."""
        with self._lock:
            if token in self._kept or token in self._asked:
                self._left.add(token)
                self._kept.pop(token, None)
                self._asked.discard(token)
                self._free_left()
        if self._left:
            self._rouse()

    def close(self) -> None:
        """Free all, and end the thread."""
        with self._lock:
            self._left |= self._kept.keys() | self._asked
            self._kept.clear()
            self._asked.clear()
            self._free_left()
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    # ------------------------------------------------------------ the thread

    def _rouse(self) -> None:
        with self._wake:
            if self._thread is None and not self._closed:
                name = "flowstone-leases"
                self._thread = self._threads.Thread(target=self._loop, name=name, daemon=True)
                self._thread.start()
            self._wake.notify()

    def _loop(self) -> None:
        while True:
            with self._wake:
                if self._closed:
                    return
                self._wake.wait(self._seconds_left())
            self.tend()

    def _seconds_left(self) -> float | None:
        if self._left:
            return 1.0
        # Copied, as another thread may take or free slots meanwhile.
        due = min((each.due for each in list(self._kept.values())), default=None)
        return None if due is None else max(SHORTEST, due - self._clock.monotonic())

    def tend(self) -> None:
        """Renew what is due, take again what was lost, and free what is left."""
        with self._lock:
            self._free_left()
            now = self._clock.monotonic()
            due = {token: each for token, each in self._kept.items() if each.due <= now}
            if not due:
                return
            try:
                lost = self._store.renew_slots({token: due[token].seconds for token in due})
            except StoreError as error:
                self._report_unrenewed(due, now, error)
                return
            for token, each in due.items():
                if token in lost:
                    self._take_again(each, now)
                else:
                    each.mark_renewed(now)

    def _free_left(self) -> None:
        if self._left:
            tokens = list(self._left)
            try:
                self._store.give_back_slots(tokens)
            except StoreError as error:
                warn(f"slots could not be given back yet: {error}")
            else:
                self._left.difference_update(tokens)

    def _report_unrenewed(
        self, due: dict[str, RenewedLease], now: float, error: StoreError
    ) -> None:
        warn(f"the leases of slots could not be renewed: {error}")
        for each in due.values():
            each.mark_failed(now)
            if now > each.until:
                self._lose(each)

    def _take_again(self, each: RenewedLease, now: float) -> None:
        """Take slots that others have freed: the holder was out of sight, or somebody did so."""
        each.mark_failed(now)
        claim = each.claim()
        try:
            answer = self._store.take_slots(claim)
        except (StoreError, ConfigurationError) as error:
            why: object = error
        else:
            if not isinstance(answer, Refusal):
                each.mark_renewed(now)
                return
            why = answer
        if not each.is_lost:
            warn(f"{claim.owner!r} has lost its slots under {', '.join(claim.names)}: {why}")
        self._lose(each)

    def _lose(self, each: RenewedLease) -> None:
        if not each.is_lost:
            each.is_lost = True
            if each.on_lost is not None:
                each.on_lost()
