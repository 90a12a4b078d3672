"""Limits: how many may do a thing at a time, and who holds slots under them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flowstone.errors import ConfigurationError, InvalidName
from flowstone.records.names import check_printable_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from flowstone.records.documents import Document

#: The kind of the documents that limits are.
KIND = "limit"
#: The limit of this and a tag is one for task runs with that tag.
TAG = "tag:"
#: The limit of this and a name is a lock: it has one slot, and is there without being saved.
LOCK = "lock:"
#: The lock of this and a run's id is held by who has claimed the run.
CLAIM = f"{LOCK}run:"
#: The limit whose slots say who serves which deployment; it is there without being saved, too.
SERVING = "serving:deployments"
#: The same for workers, by their pools.
WORKING = "serving:work-pools"
#: The same for who serves background tasks, by their keys.
SERVING_TASKS = "serving:tasks"
_PRESENCE = frozenset({SERVING, WORKING, SERVING_TASKS})
#: The limits of these and a name are kept beside a deployment, a work pool and a queue of one.
DEPLOYMENT, POOL, QUEUE = "deployment:", "work-pool:", "work-queue:"
_OWN = (LOCK, DEPLOYMENT, POOL, QUEUE)
#: The slots of a limit that has room for everybody.
_ROOM = 1_000_000


class Limit(NamedTuple):
    """How many slots there are under a name.

    Attributes:
        slots: so many may be held at a time.
        active: whether it is obeyed; one that is not is as if it were not there.
        slot_decay_per_second: so many slots that were taken by `rate_limit` become free in each
            second; 0 where it is no limit of a rate.
    """

    name: str
    slots: int
    active: bool = True
    slot_decay_per_second: float = 0.0


def read_limit(document: Document) -> Limit:
    """Return the limit that a document of the kind `KIND` is."""
    body = document.body
    return Limit(
        document.name,
        int(body["slots"]),
        bool(body.get("active", True)),
        float(body.get("slot_decay_per_second", 0.0)),
    )


def add_unsaved(saved: Iterable[Limit], names: Collection[str]) -> list[Limit]:
    """Return limits of these names, ordered by name: the saved ones, and those of our own."""
    own = {name: 1 for name in names if name.startswith(LOCK)}
    own |= dict.fromkeys(_PRESENCE.intersection(names), _ROOM)
    return sorted([*saved, *(Limit(name, slots) for name, slots in own.items())])


def is_own(name: str) -> bool:
    """Tell whether a limit is Flowstone's own: nobody sets it by its name."""
    return name.startswith(_OWN) or name in _PRESENCE


def encode_limit(limit: Limit) -> dict[str, object]:
    """Return what is kept of a limit under its name."""
    return {
        "slots": limit.slots,
        "active": limit.active,
        "slot_decay_per_second": limit.slot_decay_per_second,
    }


class SlotDemand(NamedTuple):
    """What somebody wants of a gate.

    Attributes:
        names: of limits; those that are not there limit nothing.
        occupy: how many slots under each.
        owner, run_id: for whom, as others see it.
        lease_seconds: so long a holder that is out of sight counts as alive; None for the setting.
        is_rate: whether the slots decay, and are not given back.
        on_lost: called from another thread when the lease could not be kept; None to go on.
    """

    names: tuple[str, ...]
    occupy: int
    owner: str
    run_id: str | None = None
    lease_seconds: float | None = None
    is_rate: bool = False
    on_lost: Callable[[], None] | None = None


class Claim(NamedTuple):
    """What somebody asks for: so many slots under each of some limits, all or none.

    Attributes:
        token: known to the asker only by making it up; a claim again under it changes nothing.
        names: the limits' names.
        occupy: how many slots under each.
        holder: the process that asks, as `Services.holder` says it.
        owner: who asks, in words for a person: a run's name.
        run_id: the run, where it is one.
        seconds: how long the lease lasts.
        waited: for how many seconds the process has been waiting for slots of these limits.
        is_rate: whether the slots decay by themselves, and are never given back.
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
    """Slots that are held under one limit: a lease, which is also all that is counted.

    Attributes:
        limit: the limit's name.
        token, occupy, holder, owner, run_id, is_rate: the claim's.
        since: when they were taken, in seconds since the epoch by the store's clock.
        until: the end of the lease; of a rate's, when the last of it has decayed.
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
    """Why slots were not given.

    Attributes:
        limit: the first limit that has too few left.
        occupy: how many are asked for.
        held: what is held under it.
        seconds: after so long there is room, if nobody else takes it; None where that depends on
            somebody giving slots back.
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
    """Return who holds slots, in words."""
    owners = list(dict.fromkeys(slot.owner for slot in held))
    if not owners:
        return "kept for somebody who has waited for longer"
    names = ", ".join(map(repr, owners[:5])) + (" …" if len(owners) > 5 else "")
    return f"held by {names}"


def count_used(limit: Limit, slots: Iterable[Slot], now: float) -> float:
    """Return how many slots under a limit are taken: those held, and what is left of a rate's."""
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
    """Return how many slots are taken, by the limits' names."""
    return {limit.name: count_used(limit, held, now) for limit in limits}


def check_limit(limit: Limit) -> Limit:
    """Return a limit that may be saved.

    Raises:
        InvalidName: nobody could use it by its name.
        ConfigurationError: it has a number that can't be obeyed.
    """
    name, decay = limit.name, limit.slot_decay_per_second
    check_printable_name(KIND, name)
    if is_own(name):
        problem = "names that begin so are Flowstone's own"
        raise InvalidName(KIND, name, problem)
    if limit.slots < 0 or not 0 <= decay < float("inf"):
        problem = f"it can't have {limit.slots!r} slots of which {decay!r} decay in a second"
        raise ConfigurationError(f"limit {name!r}", problem, "Use numbers from 0 up.")
    return limit


#: So long, in seconds, a process asks in vain before others let it go first …
GIVES_WAY = 2.0
#: … and so long it is known by one asking that it asks.
REMEMBERED = 2.0
