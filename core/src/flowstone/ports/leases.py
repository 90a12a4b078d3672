"""The port of leases: what a process holds is renewed by one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowstone.records.runs import Fence, HeartbeatReply


class LeaseStore(Protocol):
    """Stores the leases of runs and of slots. Every method may raise `StoreError`."""

    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        """Renew all leases of a process; return requests of others, and lost leases.

        A process calls it once a second. At least two thirds of each lease remain after it, so that
        not every heartbeat has to write. A run with a request of another process, such as to
        cancel,
        has another version than its fence. The lease of a run is renewed if it has the token of the
        fence and the run has not ended, whatever the run's version.

        Args:
            fences: the fences of the roots.
            seconds: the duration of their renewed leases.
            slots: the duration of renewed leases of slots, by token; None for none.
        """


class HeldSlots(Protocol):
    """The slots that this process holds; the heartbeat of its runs renews their leases."""

    def on_held(self, call: Callable[[], None]) -> None:
        """Call a function from now on when there is something new to renew or to free."""

    def find_pause(self) -> float | None:
        """Return the maximum number of seconds between two heartbeats; None for no maximum."""

    def renew(self, heartbeat: Callable[[Mapping[str, float]], Sequence[str]]) -> None:
        """Renew the leases with a function that takes them and returns the tokens that are lost.

        If it raises `StoreError`, the leases stay valid until they expire.
        """
