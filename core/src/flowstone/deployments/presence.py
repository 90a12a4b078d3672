"""Which deployments are being served, as slots that the processes that serve them hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.records.limits import SERVING, SlotDemand

if TYPE_CHECKING:
    from collections.abc import Collection

    from flowstone.ports.slots import TimedSlotRequest
    from flowstone.records.limits import Slot


class Presence:
    """Tells others which deployments this process serves, for as long as it lives."""

    def __init__(self) -> None:
        self._requests: dict[str, TimedSlotRequest] = {}

    def announce(self, names: Collection[str]) -> None:
        """Say what is served from now on."""
        for name in self._requests.keys() - set(names):
            self._requests.pop(name).give_back()
        for name in names:
            if name not in self._requests:
                request = services().slot_queue.make_request(SlotDemand((SERVING,), 1, name))
                self._requests[name] = request
                request.wait()

    def leave(self) -> list[str]:
        """Serve nothing any more; return what was served here."""
        left = list(self._requests)
        self.announce(())
        return left


def find_servers() -> list[Slot]:
    """Return who serves what: a slot's owner is the deployment, its holder the process."""
    return services().slots.list_slots([SERVING])


def choose_unserved(names: Collection[str]) -> list[str]:
    """Return those of these deployments that nobody serves."""
    served = {slot.owner for slot in find_servers()}
    return [name for name in names if name not in served]
