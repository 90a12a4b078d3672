"""Concurrency limits, and the slots held under them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flowstone.errors import ConfigurationError, InvalidName
from flowstone.records.names import check_printable_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from flowstone.records.documents import Document

#: The kind of the documents of limits.
KIND = "limit"
#: With a tag, the name of the limit for task runs with that tag.
TAG = "tag:"
#: With a name, the name of a lock: a limit with one slot, which exists without being saved.
LOCK = "lock:"
#: With a run's id, the name of the lock that is held while the run is claimed.
CLAIM = f"{LOCK}run:"
#: The limit whose slots show which processes serve which deployments; also exists without being
#: saved.
SERVING = "serving:deployments"
#: The same for workers, by their pools.
WORKING = "serving:work-pools"
#: The same for processes that serve background tasks, by their keys.
SERVING_TASKS = "serving:tasks"
_PRESENCE = frozenset({SERVING, WORKING, SERVING_TASKS})
#: With a name, the limits saved for a deployment, a work pool and a queue of one.
DEPLOYMENT, POOL, QUEUE = "deployment:", "work-pool:", "work-queue:"
_OWN = (LOCK, DEPLOYMENT, POOL, QUEUE)
#: The number of slots of an unlimited limit.
_ROOM = 1_000_000


class Limit(NamedTuple):
    """The number of slots under a name.

    Attributes:
        slots: the maximum number of slots held at a time.
        active: whether it is enforced; one that is not active has no effect.
        slot_decay_per_second: the number of slots taken by `rate_limit` that are freed per second;
            0 if it is not a rate limit.
    """

    name: str
    slots: int
    active: bool = True
    slot_decay_per_second: float = 0.0


def read_limit(document: Document) -> Limit:
    """Return the limit in a document of the kind `KIND`."""
    body = document.body
    return Limit(
        document.name,
        int(body["slots"]),
        bool(body.get("active", True)),
        float(body.get("slot_decay_per_second", 0.0)),
    )


def add_unsaved(saved: Iterable[Limit], names: Collection[str]) -> list[Limit]:
    """Return the limits of these names, ordered by name: saved ones, and Flowstone's own."""
    own = {name: 1 for name in names if name.startswith(LOCK)}
    own |= dict.fromkeys(_PRESENCE.intersection(names), _ROOM)
    return sorted([*saved, *(Limit(name, slots) for name, slots in own.items())])


def is_own(name: str) -> bool:
    """Return whether a limit is Flowstone's own, and can't be set by name."""
    return name.startswith(_OWN) or name in _PRESENCE


def encode_limit(limit: Limit) -> dict[str, object]:
    """Return a limit as JSON values, without its name."""
    return {
        "slots": limit.slots,
        "active": limit.active,
        "slot_decay_per_second": limit.slot_decay_per_second,
    }


class SlotDemand(NamedTuple):
    """A request for slots.

    Attributes:
        names: the names of limits; those that don't exist are not enforced.
        occupy: the number of slots under each.
        owner, run_id: the requester, for others to see.
        lease_seconds: seconds after its last heartbeat until a holder that can't be checked counts
            as dead; None for the setting.
        is_rate: whether the slots decay, and are not freed.
        on_lost: called from another thread when the lease is lost; None to continue without it.
    """

    names: tuple[str, ...]
    occupy: int
    owner: str
    run_id: str | None = None
    lease_seconds: float | None = None
    is_rate: bool = False
    on_lost: Callable[[], None] | None = None


class Claim(NamedTuple):
    """A claim of slots under one or more limits, all or none.

    Attributes:
        token: a unique token; repeating a claim with its token changes nothing.
        names: the names of the limits.
        occupy: the number of slots under each.
        holder: the claiming process, from `Services.holder`.
        owner: the claimant's name for people: a run's name.
        run_id: the run, if it is one.
        seconds: the duration of the lease.
        waited: for how many seconds the process has been waiting for slots of these limits.
        is_rate: whether the slots decay by themselves, and are never freed.
    """

    token: str
    names: tuple[str, ...]
    occupy: int
    holder: str
    owner: str
    run_id: str | None
    seconds: float
    waited: float
    is_rate: bool = False


class Slot(NamedTuple):
    """Slots held under one limit: a lease. Only leases are counted.

    Attributes:
        limit: the limit's name.
        token, occupy, holder, owner, run_id, is_rate: the claim's.
        since: when they were taken, in seconds since the epoch by the store's clock.
        until: the end of the lease; for a rate, when the last slot has decayed.
    """

    limit: str
    token: str
    occupy: int
    holder: str
    owner: str
    run_id: str | None
    since: float
    until: float
    is_rate: bool = False


class Refusal(NamedTuple):
    """Why slots were refused.

    Attributes:
        limit: the first limit that has too few left.
        occupy: the number of requested slots.
        held: the slots held under it.
        seconds: seconds until there are enough slots, if no other process takes them; None if that
            depends on a holder freeing its slots.
    """

    limit: Limit
    occupy: int
    held: tuple[Slot, ...]
    seconds: float | None

    def __str__(self) -> str:
        if self.limit.name.startswith(LOCK):
            return f"the lock is {describe_holders(self.held)}"
        slots = format_slots(self.limit.slots)
        return f"limit {self.limit.name!r} has {slots}, {describe_holders(self.held)}"


def format_slots(number: int) -> str:
    """Return ``1 slot``, ``2 slots``."""
    return f"{number} slot{'' if number == 1 else 's'}"


def describe_holders(held: Sequence[Slot]) -> str:
    """Return the holders of slots, in words."""
    owners = list(dict.fromkeys(slot.owner for slot in held))
    if not owners:
        return "reserved for a process that has waited longer"
    names = ", ".join(map(repr, owners[:5])) + (" …" if len(owners) > 5 else "")
    return f"held by {names}"


def count_used(limit: Limit, slots: Iterable[Slot], now: float) -> float:
    """Return the number of slots in use under a limit: those held, and the rest of a rate's."""
    taken, end = 0, now
    for slot in slots:
        if slot.limit != limit.name:
            continue
        if slot.is_rate:
            end = max(end, slot.until)
        else:
            taken += slot.occupy
    return taken + (end - now) * limit.slot_decay_per_second


def count_used_slots(limits: Iterable[Limit], held: Sequence[Slot], now: float) -> dict[str, float]:
    """Return the numbers of slots in use, by the names of limits."""
    return {limit.name: count_used(limit, held, now) for limit in limits}


def check_limit(limit: Limit) -> Limit:
    """Return a limit if it is valid.

    Raises:
        InvalidName: its name is not valid.
        ConfigurationError: one of its numbers is not valid.
    """
    name, decay = limit.name, limit.slot_decay_per_second
    check_printable_name(KIND, name)
    if is_own(name):
        problem = "names with this prefix are reserved for Flowstone"
        raise InvalidName(KIND, name, problem)
    if limit.slots < 0 or not 0 <= decay < float("inf"):
        problem = f"it can't have {limit.slots!r} slots and a decay of {decay!r} per second"
        raise ConfigurationError(f"limit {name!r}", problem, "Use numbers from 0 up.")
    return limit


#: Seconds of unsuccessful polling after which other processes let this one go first …
GIVES_WAY = 2.0
#: … and seconds for which a poll shows that a process is still waiting.
REMEMBERED = 2.0
