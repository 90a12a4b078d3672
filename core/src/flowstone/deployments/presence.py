"""Which deployments are being served, as slots that the processes that serve them hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.records.ids import new_id
from flowstone.records.limits import SERVING, Claim

if TYPE_CHECKING:
    from collections.abc import Collection

    from flowstone.records.limits import Slot


class Presence:
    """Tells others which deployments this process serves, for as long as it lives."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}
        self._renew_at = float("-inf")

    def announce(self, names: Collection[str]) -> None:
        """Say what is served from now on; to be called again and again."""
        current = services()
        now, seconds = current.clock.monotonic(), current.settings.lease_seconds
        gone = [name for name in self._tokens if name not in names]
        current.slots.give_back_slots([self._tokens.pop(name) for name in gone])
        if now >= self._renew_at:
            self._renew_at = now + seconds / 3
            leases = dict.fromkeys(self._tokens.values(), seconds)
            lost = current.slots.heartbeat((), seconds, leases).lost_slots
            self._tokens = {name: own for name, own in self._tokens.items() if own not in lost}
        for name in names:
            if name not in self._tokens:
                self._tokens[name] = _take_slot(name, seconds)

    def leave(self) -> list[str]:
        """Serve nothing any more; return what was served here."""
        left = list(self._tokens)
        services().slots.give_back_slots(list(self._tokens.values()))
        self._tokens = {}
        return left


def find_servers() -> list[Slot]:
    """Return who serves what: a slot's owner is the deployment, its holder the process."""
    return services().slots.list_slots([SERVING])


def choose_unserved(names: Collection[str]) -> list[str]:
    """Return those of these deployments that nobody serves."""
    served = {slot.owner for slot in find_servers()}
    return [name for name in names if name not in served]


def _take_slot(name: str, seconds: float) -> str:
    current = services()
    token = new_id()
    current.slots.take_slots(
        Claim(token, (SERVING,), 1, current.holder(), name, None, seconds, 0.0)
    )
    return token
