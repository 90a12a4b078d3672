"""The ports of slots: their store, and the queue for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flowstone.ports.leases import LeaseStore

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from flowstone.records.limits import Claim, Limit, Refusal, Slot, SlotDemand


class SlotStore(LeaseStore, Protocol):
    """Stores who holds slots under limits, which are the documents of kind `KIND` beside it.

    A name that begins with `LOCK` is a limit of one slot, without a document. `SERVING`, `WORKING`
    and `SERVING_TASKS` are unlimited.

    The slots in use are the live leases; there is no other count. A lease is dead when it has
    expired by the store's own clock, unless the store can check that its holder is alive. It is
    dead immediately if the store can check that its holder is dead. Every method may raise
    `StoreError`, and may be called from several threads and processes.
    """

    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        """Take slots under all existing and active limits of a claim, or under none.

        Dead leases don't count. A process that has been polling in vain for longer than `GIVES_WAY`
        comes before one that has waited for less time.

        Returns:
            The names of the limits under which slots were taken; or who is in the way.

        Raises:
            ConfigurationError: it can never succeed: a limit has fewer slots than are requested, or
                no decay although a rate is requested.
        """

    def give_back_slots(self, tokens: Sequence[str]) -> None:
        """Free the slots of these tokens; ignore tokens without slots."""

    def list_slots(
        self,
        names: Collection[str] | None = None,
        *,
        after: Slot | None = None,
        limit: int | None = None,
    ) -> list[Slot]:
        """Return the live leases, ordered by limit, by when they were taken, and by token.

        Args:
            names: only leases under these limits.
            after: only leases that come after this one, for the next page.
            limit: the maximum number of leases.
        """

    def count_slots(self, names: Sequence[str]) -> dict[str, float]:
        """Return the number of slots in use under limits, including those of a rate limit.

        Args:
            names: the names of the limits; an unknown one has no slots in use.
        """

    def reap_slots(self) -> list[Slot]:
        """Remove the dead leases, and return them."""


class SlotRequest(Protocol):
    """A request in the queue for slots, and then the slots."""

    def may_block(self) -> bool:
        """Return whether taking or freeing may have to wait for the store."""

    def take(self) -> str | None:
        """Take the slots if it is first in the queue and they are free; else return why not."""

    def wait(self) -> None:
        """Block until the slots are taken."""

    async def await_slots(self) -> None:
        """Wait for the slots without blocking the event loop."""

    def give_back(self) -> None:
        """Leave the queue, or free the slots; do nothing the second time."""


class TimedSlotRequest(SlotRequest, Protocol):
    """A request that can be waited for with a timeout."""

    @property
    def wanted(self) -> SlotDemand:
        """The claim that it is for."""

    @property
    def refused_by(self) -> Limit | None:
        """The limit that had no free slots at the last attempt; None if all had some."""

    @property
    def taken(self) -> tuple[str, ...] | None:
        """The names of the limits under which it has taken slots; None before it has."""

    def retry(self) -> bool:
        """Take the slots if they may have become free since; return whether they are taken.

        It keeps its place in the queue between calls, until `give_back`, and polls the store once a
        second at most.
        """

    def wait(self, seconds: float | None = None, max_retries: int | None = None) -> None:
        """Block until the slots are taken. Raises `SlotTimeout`."""

    async def await_slots(
        self, seconds: float | None = None, max_retries: int | None = None
    ) -> None:
        """Wait for the slots without blocking the event loop. Raises `SlotTimeout`."""


class SlotQueue(Protocol):
    """The process's queue for slots, on top of a `SlotStore`."""

    def make_tag_request(self, tags: Sequence[str], name: str, run_id: str) -> SlotRequest:
        """Return the request of a task run for the limits of its tags."""

    def make_request(self, wanted: SlotDemand) -> TimedSlotRequest:
        """Return a request that is not in the queue yet."""

    def limits(self) -> Mapping[str, Limit]:
        """Return the limits by name, at most a second old."""

    def close(self) -> None:
        """Free all slots that this process holds."""
