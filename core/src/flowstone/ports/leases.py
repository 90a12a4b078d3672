"""The port of leases: what a process holds, renewed by one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowstone.records.runs import Fence, HeartbeatReply


class LeaseStore(Protocol):
    """Keeps the leases of runs and of slots. Every method may raise `StoreError`."""

    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        """Renew all leases of a process; return what others ask of it, and what it has lost.

        A process calls it once a second. At least two thirds of each lease remain after it, so that
        not every heartbeat has to write. A run with a request of others, such as to cancel, has
        another version than its fence. The lease of a run is renewed if it has the token of the
        fence and the run has not ended, whatever the run's version.

        Args:
            fences: of the roots.
            seconds: for how long their leases are renewed.
            slots: for how long the leases of slots are renewed, by token; None for none.
        """


class HeldSlots(Protocol):
    """The slots that this process holds; their leases are renewed by the heartbeat of its runs."""

    def on_held(self, call: Callable[[], None]) -> None:
        """Call a function from now on when there is something new to renew or to free."""

    def find_pause(self) -> float | None:
        """Return how many seconds may lie between two heartbeats; None for any number."""

    def renew(self, heartbeat: Callable[[Mapping[str, float]], Sequence[str]]) -> None:
        """Renew the leases by a function that takes them and returns the tokens that are lost.

        Where it raises `StoreError`, the leases hold on until they expire.
        """
