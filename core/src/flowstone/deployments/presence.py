"""The processes that are online: slots of those that serve deployments or work for pools."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flowstone.context.current import services
from flowstone.records.limits import CLAIM, SERVING, SERVING_TASKS, WORKING, SlotDemand

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from flowstone.ports.slots import TimedSlotRequest
    from flowstone.records.limits import Slot


class Presence:
    """Shows other processes what this one serves, while it is alive.

    Args:
        kind: `SERVING` for deployments, `WORKING` for work pools, `SERVING_TASKS` for tasks.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._requests: dict[str, TimedSlotRequest] = {}

    def announce(self, names: Collection[str]) -> None:
        """Set what is served from now on."""
        for name in self._requests.keys() - set(names):
            self._requests.pop(name).give_back()
        for name in names:
            if name not in self._requests:
                request = services().slot_queue.make_request(SlotDemand((self._kind,), 1, name))
                self._requests[name] = request
                request.wait()

    def leave(self) -> list[str]:
        """Stop serving; return what was served here."""
        left = list(self._requests)
        self.announce(())
        return left


def find_servers() -> list[Slot]:
    """Return the servers: a slot's owner is the deployment, its holder the process."""
    return services().slots.list_slots([SERVING])


def find_served() -> set[str]:
    """Return the full names of the deployments that are served."""
    return {slot.owner for slot in find_servers()}


def find_served_tasks() -> set[str]:
    """Return the keys of the tasks whose background calls are executed."""
    return {slot.owner for slot in services().slots.list_slots([SERVING_TASKS])}


class OnlineWorker(NamedTuple):
    """A worker that is online.

    Attributes:
        pool: the pool that it works for.
        name: its name.
        slot: its holder is the process.
    """

    pool: str
    name: str
    slot: Slot


def find_workers() -> list[OnlineWorker]:
    """Return the workers that are online, by pool and name."""
    slots = services().slots.list_slots([WORKING])
    names = [slot.owner.partition("/") for slot in slots]
    found = [
        OnlineWorker(pool, name, slot) for (pool, _, name), slot in zip(names, slots, strict=True)
    ]
    return sorted(found, key=lambda each: (each.pool, each.name))


def find_worked_pools() -> set[str]:
    """Return the names of the pools with workers that are online."""
    return {each.pool for each in find_workers()}


def choose_unserved(names: Collection[str]) -> list[str]:
    """Return those of these deployments that are not served."""
    served = find_served()
    return [name for name in names if name not in served]


def find_claimed(run_ids: Iterable[str]) -> set[str]:
    """Return those of these runs that a process has claimed."""
    names = [f"{CLAIM}{run_id}" for run_id in run_ids]
    found = services().slots.list_slots(names) if names else []
    return {each.limit.removeprefix(CLAIM) for each in found}
