"""Rules of all stores: whether slots are free, and which leases are dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flowstone.errors import ConfigurationError
from flowstone.records.limits import (
    GIVES_WAY,
    REMEMBERED,
    Refusal,
    Slot,
    count_used,
    format_slots,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from flowstone.records.limits import Claim, Limit

#: The resolution of the current time as a float, in seconds.
_GRAIN = 1e-6


class Waiter(NamedTuple):
    """A process that waits for slots under a limit.

    Attributes:
        since: the time since which it has been waiting.
        until: the time after which it is ignored, if it has not asked again.
    """

    limit: str
    holder: str
    since: float
    until: float


def make_waiter(limit: str, holder: str, waited: float, now: float) -> Waiter:
    """Return the record of a process that waits for slots."""
    return Waiter(limit, holder, now - waited, now + REMEMBERED)


def find_refusal(
    limits: Sequence[Limit],
    held: Sequence[Slot],
    wishes: Sequence[Waiter],
    claim: Claim,
    now: float,
) -> Refusal | None:
    """Return why a claim is refused; None if it is granted.

    Args:
        limits: the active limits that the claim names.
        held: the leases under them.
        wishes: the other processes that wait for slots under them.
        claim: the claim.
        now: the current time.

    Raises:
        ConfigurationError: it can never be granted.
    """
    for limit in limits:
        check_claim(limit, claim)
    for limit in limits:
        under = tuple(slot for slot in held if slot.limit == limit.name)
        decay = limit.slot_decay_per_second
        over = count_used(limit, under, now) + claim.occupy - limit.slots
        if over > _GRAIN * (1 + decay):
            leased = sum(slot.occupy for slot in under if not slot.is_rate)
            decays = decay and leased + claim.occupy <= limit.slots
            return Refusal(limit, claim.occupy, under, over / decay if decays else None)
        if any(_comes_before(wish, claim, now) for wish in wishes if wish.limit == limit.name):
            return Refusal(limit, claim.occupy, under, None)
    return None


def check_claim(limit: Limit, claim: Claim) -> None:
    """Raise if a limit can never grant a claim."""
    what, name = f"limit {limit.name!r}", limit.name
    if claim.is_rate and not limit.slot_decay_per_second:
        raise ConfigurationError(
            what,
            "it has no decay, so it limits no rate",
            f"Use `flowstone limit set {name} --slots {limit.slots} --decay-per-second X`.",
        )
    if claim.occupy > limit.slots:
        raise ConfigurationError(
            what,
            f"it has {format_slots(limit.slots)} in all, and "
            f"{claim.owner!r} asks for {claim.occupy}",
            f"Use `flowstone limit set {name} --slots {claim.occupy}`, or ask for fewer.",
        )


def grant(limit: Limit, held: Sequence[Slot], claim: Claim, now: float) -> Slot:
    """Return the lease for a claim under a limit."""
    until = now + claim.seconds
    if claim.is_rate:
        ends = [slot.until for slot in held if slot.is_rate and slot.limit == limit.name]
        until = max([now, *ends]) + claim.occupy / limit.slot_decay_per_second
    return Slot(
        limit.name,
        claim.token,
        claim.occupy,
        claim.holder,
        claim.owner,
        claim.run_id,
        now,
        until,
        claim.is_rate,
    )


def is_dead(slot: Slot, now: float, alive: bool | None) -> bool:
    """Return whether a lease is dead; `alive` is whether its holder is, or None if unknown."""
    if slot.is_rate:
        return slot.until <= now
    return not alive if alive is not None else slot.until < now


def choose_page(
    slots: Iterable[Slot], names: Collection[str] | None, after: Slot | None, limit: int | None
) -> list[Slot]:
    """Return a page of slots in their order."""
    wanted = [slot for slot in slots if names is None or slot.limit in names]
    wanted.sort(key=_order_key)
    if after is not None:
        wanted = [slot for slot in wanted if _order_key(slot) > _order_key(after)]
    return wanted[:limit]


def _order_key(slot: Slot) -> tuple[str, float, str]:
    return slot.limit, slot.since, slot.token


def _comes_before(wish: Waiter, claim: Claim, now: float) -> bool:
    return (
        wish.holder != claim.holder
        and now < wish.until
        and wish.since < now - claim.waited - _GRAIN
        and wish.since <= now - GIVES_WAY
    )
