"""The ports of slots: what keeps who holds them, and what hands them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flowstone.ports.leases import LeaseStore

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from flowstone.records.limits import Claim, Limit, Refusal, Slot, SlotDemand


class SlotStore(LeaseStore, Protocol):
    """Keeps who holds slots under limits, which are the documents of kind `KIND` beside it.

    A name that begins with `LOCK` is a limit of one slot, without a document. `SERVING`, `WORKING`
    and `SERVING_TASKS` have room for everybody.

    The slots in use are the live leases; there is no other count. A lease is dead when it has
    expired by the store's own clock, unless the store can tell that its holder is alive. It is
    dead at once if the store can tell that its holder is dead. Every method may raise `StoreError`,
    and may be called from several threads and processes.
    """

    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        """Take slots under all the limits of a claim that are there and active, or under none.

        Leases that are dead don't count. A process that has asked in vain for longer than
        `GIVES_WAY`, and does so still, comes before one that has waited less.

        Returns:
            The names of the limits under which slots were taken; or who is in the way.

        Raises:
            ConfigurationError: it can never be had: a limit has fewer slots than are asked for in
                all, or no decay where a rate is asked for.
        """

    def give_back_slots(self, tokens: Sequence[str]) -> None:
        """Free what these tokens hold; one that holds nothing is fine."""

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
        """Return how many slots are in use under limits, including those of a rate limit.

        Args:
            names: of the limits; an unknown one has no slots in use.
        """

    def reap_slots(self) -> list[Slot]:
        """Remove the dead leases, and return them."""


class SlotRequest(Protocol):
    """Somebody's place in the queue for slots, and then the slots."""

    def may_block(self) -> bool:
        """Tell whether taking or giving back may have to wait for the store."""

    def take(self) -> str | None:
        """Take the slots if it is one's turn and they are free; else say what is in the way."""

    def wait(self) -> None:
        """Block until the slots are taken."""

    async def await_slots(self) -> None:
        """Let other coroutines run until the slots are taken."""

    def give_back(self) -> None:
        """Leave the queue, or free the slots; the second time nothing happens."""


class TimedSlotRequest(SlotRequest, Protocol):
    """A turn that can be waited for only so long."""

    @property
    def wanted(self) -> SlotDemand:
        """What it is a turn for."""

    @property
    def refused_by(self) -> Limit | None:
        """The limit that had no room when it asked last; None where all had."""

    @property
    def taken(self) -> tuple[str, ...] | None:
        """The names of the limits under which it has taken slots; None before it has."""

    def retry(self) -> bool:
        """Take the slots if they may have become free since; tell whether they are taken.

        Whoever calls it, however often, keeps the place in the queue until `give_back`, and has the
        store asked once a second at most.
        """

    def wait(self, seconds: float | None = None, max_retries: int | None = None) -> None:
        """Block until the slots are taken. Raises `SlotTimeout`."""

    async def await_slots(
        self, seconds: float | None = None, max_retries: int | None = None
    ) -> None:
        """Let other coroutines run until the slots are taken. Raises `SlotTimeout`."""


class SlotQueue(Protocol):
    """Lets in only so many at a time: one queue for the process, over a `SlotStore`."""

    def make_tag_request(self, tags: Sequence[str], name: str, run_id: str) -> SlotRequest:
        """Return the turn of a task run under the limits of its tags."""

    def make_request(self, wanted: SlotDemand) -> TimedSlotRequest:
        """Return a turn that is not in the queue yet."""

    def limits(self) -> Mapping[str, Limit]:
        """Return the limits by name, as they were a second ago at most."""

    def close(self) -> None:
        """Give back all that this process holds."""
