"""The leases of the slots that this process holds, which the heartbeat renews."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from flowstone.context.current import current_run
from flowstone.errors import ConfigurationError, StoreError
from flowstone.logging.run_logger import RunLogger
from flowstone.records.limits import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowstone.ports import Clock
    from flowstone.ports.slots import SlotStore
    from flowstone.ports.threads import Threads
    from flowstone.records.limits import Claim

#: Minimum number of heartbeats per lease duration.
BEATS = 3
#: Maximum number of seconds until lost slots are requested again.
AGAIN = 5.0
#: Minimum number of seconds between two heartbeats.
SHORTEST = 0.05

_logger = logging.getLogger("flowstone.limits")


def warn(text: str) -> None:
    """Log a warning, in the log of the current run if there is one."""
    run = current_run()
    (_logger if run is None else RunLogger(run, _logger)).warning(text)


class RenewedLease:
    """A lease that is renewed.

    Attributes:
        claim: the claim for taking the slots again.
        seconds: the duration of the lease.
        on_lost: called when it is lost; None to continue without it.
        until: when it expires, as known here.
        again_at: when lost slots are requested again.
        is_lost: whether it is known to be lost; then its slots are requested again.
    """

    __slots__ = ("again_at", "claim", "is_lost", "on_lost", "seconds", "until")

    def __init__(
        self,
        claim: Callable[[], Claim],
        seconds: float,
        on_lost: Callable[[], None] | None,
        now: float,
    ) -> None:
        self.claim, self.seconds, self.on_lost = claim, seconds, on_lost
        self.mark_taken(now)

    def mark_taken(self, now: float) -> None:
        """Set the lease of slots that were taken at that time."""
        self.until, self.again_at = now + self.seconds, now
        self.is_lost = False

    def mark_renewed(self, now: float) -> None:
        """Update the lease after a heartbeat; at least two thirds of it remain."""
        self.until, self.is_lost = max(self.until, now + self.seconds * 2 / 3), False


class SlotLeases:
    """The slots held by this process. No other part of it, such as a forked child, frees them.

    Implements the `HeldSlots` port. The lock is held while slots are freed and while lost ones are
    taken again, so that no slot is taken again while it is being freed. It is not held during a
    heartbeat, which waits for the journal: a thread that frees slots may log a line, and so wait
    for the journal, too.
    """

    def __init__(self, store: SlotStore, clock: Clock, threads: Threads = threading) -> None:
        self._store, self._clock, self._threads = store, clock, threads
        self._tell: Callable[[], None] = _tell_nobody
        self.reset()

    def reset(self) -> None:
        """Forget all slots: in a forked child, they belong to the parent."""
        self._lock = self._threads.RLock()
        self._kept: dict[str, RenewedLease] = {}
        self._asked: set[str] = set()  # may have been granted
        self._left: set[str] = set()  # to be freed
        self._warn_at = float("-inf")

    def ask(self, token: str) -> None:
        """Note that slots are requested under a token."""
        self._asked.add(token)

    def note_refusal(self, token: str) -> None:
        """Note that they were not granted."""
        self._asked.discard(token)

    def keep(
        self,
        token: str,
        claim: Callable[[], Claim],
        seconds: float,
        on_lost: Callable[[], None] | None,
        now: float,
    ) -> None:
        """Renew the lease of slots that were granted for a claim at that time."""
        with self._lock:
            self._kept[token] = RenewedLease(claim, seconds, on_lost, now)
            self._asked.discard(token)
        self._tell()

    def free(self, token: str) -> None:
        """Free the slots of a token; if the store fails, as soon as it can be reached."""
        with self._lock:
            if token in self._kept or token in self._asked:
                self._left.add(token)
                self._kept.pop(token, None)
                self._asked.discard(token)
                self._free_left()
        if self._left:
            self._tell()

    def close(self) -> None:
        """Free all slots."""
        with self._lock:
            self._left |= self._kept.keys() | self._asked
            self._kept.clear()
            self._asked.clear()
            self._free_left()

    # ------------------------------------------------------------ the heartbeat

    def on_held(self, call: Callable[[], None]) -> None:
        self._tell = call

    def find_pause(self) -> float | None:
        # A copy, as another thread may take or free slots in the meantime.
        shortest = min((each.seconds for each in list(self._kept.values())), default=None)
        return None if shortest is None else max(SHORTEST, shortest / BEATS)

    def renew(self, heartbeat: Callable[[Mapping[str, float]], Sequence[str]]) -> None:
        with self._lock:
            self._free_left()
            held = dict(self._kept)
        now = self._clock.monotonic()
        try:
            lost = heartbeat({token: each.seconds for token, each in held.items()})
        except StoreError as error:
            self._report_unrenewed(held, now, error)
            return
        for token, each in held.items():
            if token in lost:
                self._take_again(token, now)
            else:
                each.mark_renewed(now)

    def _free_left(self) -> None:
        if self._left:
            tokens = list(self._left)
            try:
                self._store.give_back_slots(tokens)
            except StoreError as error:
                warn(f"slots could not be freed yet: {error}")
            else:
                self._left.difference_update(tokens)

    def _report_unrenewed(
        self, held: Mapping[str, RenewedLease], now: float, error: StoreError
    ) -> None:
        if held and now >= self._warn_at:  # not at each heartbeat during an outage
            self._warn_at = now + AGAIN
            warn(f"the leases of slots could not be renewed: {error}")
        for each in held.values():
            if now > each.until:
                self._lose(each)

    def _take_again(self, token: str, now: float) -> None:
        """Take slots again that were freed because the holder seemed dead, or by a user."""
        with self._lock:
            each = self._kept.get(token)
            if each is None or now < each.again_at:
                return
            each.again_at = now + min(each.seconds / BEATS, AGAIN)
            claim = each.claim()
            try:
                answer = self._store.take_slots(claim)
            except (StoreError, ConfigurationError) as error:
                why: object = error
            else:
                if not isinstance(answer, Refusal):
                    each.mark_taken(now)
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


def _tell_nobody() -> None:
    """Do nothing: there is no heartbeat."""
