"""Stores in memory: the reference for other stores, and the store of tests."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace
from threading import RLock
from time import time
from typing import TYPE_CHECKING, Any

from flowstone.errors import (
    ObjectNotFound,
    RunNotFound,
)
from flowstone.records.documents import Document, choose_documents
from flowstone.records.encoding import dumps, loads, strip_event
from flowstone.records.events import INFORMATIONAL, Event
from flowstone.records.runs import HeartbeatReply, Run, RunQuery, StateChange
from flowstone.stores import rules
from flowstone.stores.memory_slots import MemorySlots, name_holder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from flowstone.records.runs import Fence, Lease


class MemoryRuns:
    """A `RunStore` in memory, which is lost at the end of the process."""

    def __init__(self, now: Callable[[], float] = time) -> None:
        self._now = now
        self._lock = RLock()
        self._events: list[Event] = []
        self._cursors: list[int] = []
        self._newest = 0
        self._kept: set[tuple[str, str]] = set()
        self._runs: dict[str, Run] = {}
        self._history: dict[str, list[Event]] = {}

    def create(self, event: Event) -> None:
        with self._lock:
            root = self._runs.get(event.root_id)
            if self._is_kept(event):
                return
            rules.check_root_open(root)
            self._keep([self._start_lease(event)])

    def record(self, event: Event) -> Run:
        with self._lock:
            run = self._runs.get(event.run_id)
            if run is None:
                raise RunNotFound(event.run_id)
            if self._is_kept(event):
                return run
            event = self._start_lease(event)
            assert isinstance(event.payload, StateChange)
            after = self._apply_change(run, event.payload)
            if not run.is_root and not after.state.is_final():
                rules.check_root_open(self._runs.get(run.root_id))
            self._keep([event])
            self._runs[run.id] = replace(self._runs[run.id], lease=after.lease)
            if after.is_root and after.state.is_final():
                self._close_tree(after)
            return after

    def append(self, events: Sequence[Event], fence: Fence) -> None:
        with self._lock:
            self._check_batch(events, fence)
            self._keep(events)

    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        with self._lock:
            moved = [run for fence in fences if (run := self._renew(fence, seconds)) is not None]
        return HeartbeatReply(moved, self._renew_slots(slots or {}))

    def _renew_slots(self, leases: Mapping[str, float]) -> list[str]:
        return list(leases)  # it stores runs only

    def reap(self) -> list[Run]:
        with self._lock:
            now = self._now()
            return [
                self._end_lost(run, now)
                for run in sorted(self._runs.values(), key=_get_id)
                if run.is_root and not run.state.is_final() and self._is_lapsed(run, now)
            ]

    def delete_trees(self, root_ids: Sequence[str]) -> list[str]:
        with self._lock:
            gone = [root_id for root_id in dict.fromkeys(root_ids) if self._is_deletable(root_id)]
            self._drop(frozenset(gone))
        return gone

    def run(self, ref: str) -> Run:
        with self._lock:
            if ref in self._runs:
                return self._runs[ref]
            parts = [key for key in self._runs if _is_part(ref, key)]
            if len(parts) == 1:
                return self._runs[parts[0]]
            named = [run for run in self._runs.values() if run.name == ref]
            if not named:
                listed = RunQuery(listed=True)
                names = [run.name for run in self._runs.values() if _fits(run, listed)]
                raise rules.make_not_found(ref, parts, names)
            return max(named, key=_get_id)

    def runs(self, query: RunQuery) -> list[Run]:
        with self._lock:
            found = [run for run in self._runs.values() if _fits(run, query)]
        found.sort(key=_get_id, reverse=query.newest_first)
        return found[: query.limit]

    def tally(self, root_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        with self._lock:
            for run in self._runs.values():
                if run.kind == "task" and run.parent_id and run.root_id in root_ids:
                    of_parent = counts.setdefault(run.parent_id, {})
                    state = "SKIPPED" if run.state.name == "Skipped" else run.state.type.value
                    of_parent[state] = of_parent.get(state, 0) + 1
        return counts

    def events(
        self,
        after: int = 0,
        *,
        root_id: str | None = None,
        run_id: str | None = None,
        kinds: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[tuple[int, Event]]:
        with self._lock:
            first = bisect_right(self._cursors, after)
            found = [
                (cursor, event)
                for cursor, event in zip(self._cursors[first:], self._events[first:], strict=True)
                if root_id in {None, event.root_id}
                and run_id in {None, event.run_id}
                and (not kinds or event.kind in kinds)
            ]
        return found[:limit]

    def close(self) -> None:
        pass

    def _is_kept(self, event: Event) -> bool:
        return (event.root_id, event.id) in self._kept

    def _apply_change(self, run: Run, change: StateChange) -> Run:
        return rules.apply_change(run, change)

    def _check_batch(self, events: Sequence[Event], fence: Fence) -> None:
        rules.check_batch(self._runs.get(fence.root_id), fence, events)

    def _is_lapsed(self, root: Run, now: float) -> bool:
        return rules.is_lapsed(root, now)

    def _is_due(self, lease: Lease, seconds: float) -> bool:
        return rules.is_due(lease.until, self._now(), seconds)

    def _start_lease(self, event: Event) -> Event:
        return rules.start_lease(event, self._now())

    def _is_deletable(self, root_id: str) -> bool:
        root = self._runs.get(root_id)
        return root is not None and root.is_root and root.state.is_final()

    def _drop(self, gone: Collection[str]) -> None:
        for run in [run for run in self._runs.values() if run.root_id in gone]:
            del self._runs[run.id]
            self._history.pop(run.id, None)
        self._kept = {key for key in self._kept if key[0] not in gone}
        facts = zip(self._cursors, self._events, strict=True)
        left = [(cursor, event) for cursor, event in facts if event.root_id not in gone]
        self._cursors = [cursor for cursor, _ in left]
        self._events = [event for _, event in left]

    def _keep(self, events: Sequence[Event]) -> None:
        for told in events:
            if not self._is_kept(told):
                event = strip_event(told)
                self._kept.add((event.root_id, event.id))
                self._events.append(event)
                self._newest += 1
                self._cursors.append(self._newest)
                self._fold(event)

    def _fold(self, event: Event) -> None:
        if isinstance(event.payload, INFORMATIONAL):
            return
        history = self._history.setdefault(event.run_id, [])
        history.append(event)
        run = self._runs.get(event.run_id)
        if run is not None and event.payload.version == run.version + 1:
            assert isinstance(event.payload, StateChange)
            self._runs[run.id] = run.apply(event.payload)
        elif (again := rules.refold(history)) is not None:
            self._runs[again.id] = again if run is None else replace(again, lease=run.lease)

    def _close_tree(self, root: Run) -> None:
        unfinished = [
            run
            for run in sorted(self._runs.values(), key=_get_id)
            if run.root_id == root.id and not run.state.is_final()
        ]
        self._keep(rules.make_closing_events(root, unfinished))

    def _renew(self, fence: Fence, seconds: float) -> Run | None:
        root = self._runs.get(fence.root_id)
        if root is None:
            return None
        if root.lease is None or root.lease.token != fence.token:
            return root
        if not root.state.is_final() and self._is_due(root.lease, seconds):
            root = replace(root, lease=replace(root.lease, until=self._now() + seconds))
            self._runs[root.id] = root
        return root if root.version != fence.version else None

    def _end_lost(self, root: Run, now: float) -> Run:
        last = max(event.at for event in self._events if event.root_id == root.id)
        event = rules.make_loss_event(root, now, known_dead=False, last_fact=last)
        return self._end_without_lease(event)

    def _end_without_lease(self, event: Event) -> Run:
        ended = replace(self.record(event), lease=None)
        self._runs[ended.id] = ended
        return ended


class MemoryDocuments:
    """A `DocumentStore` in memory, which is lost at the end of the process."""

    def __init__(self, now: Callable[[], float] = time) -> None:
        self._now = now
        self._documents_lock = RLock()
        self._documents: dict[tuple[str, str], Document] = {}

    def put(
        self, kind: str, name: str, body: Mapping[str, Any], *, expected: int | None = None
    ) -> Document:
        kept = loads(dumps(dict(body)))
        now = self._now()
        with self._documents_lock:
            old = self._documents.get((kind, name))
            self._check(kind, name, old, expected)
            version = old.version + 1 if old else 1
            document = Document(kind, name, kept, version, old.created if old else now, now)
            self._documents[kind, name] = document
        return _copy(document)

    def get(self, kind: str, name: str) -> Document:
        with self._documents_lock:
            document = self._documents.get((kind, name))
            if document is None:
                raise self._make_not_found(kind, name)
            return _copy(document)

    def find(
        self,
        kind: str,
        *,
        prefix: bool = False,
        names: Collection[str] | None = None,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> list[Document]:
        with self._documents_lock:
            found = choose_documents(
                self._documents.values(),
                kind,
                prefix=prefix,
                names=names,
                after=after,
                limit=limit,
            )
            return list(map(_copy, found))

    def delete(self, kind: str, name: str) -> None:
        with self._documents_lock:
            if self._documents.pop((kind, name), None) is None:
                raise self._make_not_found(kind, name)

    def close(self) -> None:
        pass

    def _check(self, kind: str, name: str, old: Document | None, expected: int | None) -> None:
        rules.check_expected(kind, name, old.version if old else 0, expected)

    def _make_not_found(self, kind: str, name: str) -> ObjectNotFound:
        return ObjectNotFound(
            kind, name, [name for other, name in self._documents if other == kind]
        )


class MemoryStore(MemorySlots, MemoryRuns, MemoryDocuments):
    """All stores in one; a heartbeat renews the leases of runs and slots.

    Args:
        now: the store's clock.
    """

    def __init__(self, now: Callable[[], float] = time) -> None:
        MemoryRuns.__init__(self, now)
        MemoryDocuments.__init__(self, now)
        MemorySlots.__init__(self, self, now)

    def holder(self) -> str:
        """Return the name of this process for its leases."""
        return name_holder()


def _get_id(run: Run) -> str:
    return run.id


def _copy(document: Document) -> Document:
    return replace(document, body=loads(dumps(document.body)))


def _is_part(ref: str, key: str) -> bool:
    return len(ref) >= rules.SHORTEST_PART and (key.startswith(ref) or key.endswith(ref))


def _fits(run: Run, query: RunQuery) -> bool:
    return (
        (query.ids is None or run.id in query.ids)
        and query.root_id in {None, run.root_id}
        and (not query.roots or run.is_root)
        and (not query.listed or run.kind == "flow" or run.is_root)
        and (not query.states or not {run.state.type, run.state.name}.isdisjoint(query.states))
        and (query.unit is None or _is_like(run.unit, query.unit))
        and set(query.tags) <= set(run.tags)
        and (not query.deployments or run.deployment in query.deployments)
        and _is_within(run, query)
    )


def _is_like(unit: str, pattern: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, unit, re.DOTALL) is not None


def _is_within(run: Run, query: RunQuery) -> bool:
    after = query.after
    return (
        (query.scheduled_until is None or _is_scheduled(run, query.scheduled_until))
        and (query.created_since is None or run.created >= query.created_since)
        and (query.created_until is None or run.created < query.created_until)
        and (query.ended_until is None or (run.ended or query.ended_until) < query.ended_until)
        and (after is None or (run.id < after if query.newest_first else run.id > after))
    )


def _is_scheduled(run: Run, until: float) -> bool:
    is_due = run.scheduled_time is not None and run.scheduled_time <= until
    return is_due and not run.state.is_final()
