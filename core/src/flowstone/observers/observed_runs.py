"""A `RunStore` that notifies observers of its writes, after they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.ports.paging import iterate_events
from flowstone.records.events import KINDS
from flowstone.records.states import CANCELLED, COMPLETED, CRASHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowstone.observers.audience import ObserverGroup
    from flowstone.ports import RunStore
    from flowstone.records.events import Event
    from flowstone.records.runs import Fence, HeartbeatReply, Run, RunQuery

#: The states that a store itself records for a tree whose root ends.
_CLOSINGS = [KINDS[kind][state] for kind in KINDS for state in (CANCELLED, CRASHED)]


class ObservedRuns:
    """A `RunStore` on top of another; without observers it only forwards calls."""

    def __init__(self, store: RunStore, audience: ObserverGroup) -> None:
        self._store, self._audience = store, audience

    def create(self, event: Event) -> None:
        self._store.create(event)
        if self._audience.feeds:
            self._audience.tell([event])

    def record(self, event: Event) -> Run:
        run = self._store.record(event)
        if self._audience.feeds:
            closings: list[Event] = []
            if run.is_root and run.state.is_final() and run.state.type is not COMPLETED:
                closings = self._find_closings(run, event.id)
            self._audience.tell([event, *closings])
        return run

    def append(self, events: Sequence[Event], fence: Fence) -> None:
        self._store.append(events, fence)
        if self._audience.feeds:
            self._audience.tell(events)

    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        return self._store.heartbeat(fences, seconds, slots)

    def reap(self) -> list[Run]:
        ended = self._store.reap()
        if self._audience.feeds:
            for root in ended:
                kinds = [KINDS[root.kind][root.state.type]]
                crash = self._store.events(root_id=root.id, run_id=root.id, kinds=kinds)[-1][1]
                self._audience.tell([crash, *self._find_closings(root, crash.id)])
        return ended

    def delete_trees(self, root_ids: Sequence[str]) -> list[str]:
        return self._store.delete_trees(root_ids)

    def run(self, ref: str) -> Run:
        return self._store.run(ref)

    def runs(self, query: RunQuery) -> list[Run]:
        return self._store.runs(query)

    def tally(self, root_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        return self._store.tally(root_ids)

    def events(
        self,
        after: int = 0,
        *,
        root_id: str | None = None,
        run_id: str | None = None,
        kinds: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[tuple[int, Event]]:
        return self._store.events(after, root_id=root_id, run_id=run_id, kinds=kinds, limit=limit)

    def close(self) -> None:
        self._store.close()

    def _find_closings(self, root: Run, end: str) -> list[Event]:
        """Return the ends that the store itself recorded for runs unfinished at the root's end."""
        found = iterate_events(self._store, root_id=root.root_id, kinds=_CLOSINGS)
        return [event for event in found if event.id > end]
