"""Writes of which the writer does not know whether they were kept: a fault came after them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flowstone.engine.clock import SystemClock
from flowstone.engine.journal import WriteBehind
from flowstone.engine.recorder import RunRecorder
from flowstone.errors import CancelSignal, FencedRun, StoreBusy
from flowstone.records.events import Event, make_change_event, make_handover_event
from flowstone.records.ids import new_id
from flowstone.records.runs import Lease, Origin, Run, RunQuery
from flowstone.records.states import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PENDING,
    RUNNING,
    SCHEDULED,
    AwaitingRetry,
    Cancelling,
    Failed,
)
from flowstone.stores.memory import MemoryRuns
from flowstone_testing.conformance import StoreClock


class Unsure(MemoryRuns):
    """Keeps what is written through, and then may say that it could not."""

    fails = False

    def __init__(self) -> None:
        self.clock = StoreClock()
        super().__init__(self.clock.time)

    def create(self, event: Event) -> None:
        super().create(event)
        self._fail()

    def record(self, event: Event) -> Run:
        run = super().record(event)
        self._fail()
        return run

    def _fail(self) -> None:
        if self.fails:
            raise StoreBusy("x.db", 1.0)


class Unthreaded(WriteBehind):
    def _begin(self) -> None:
        pass


@pytest.fixture
def store() -> Unsure:
    return Unsure()


@pytest.fixture
def journal(store: Unsure) -> WriteBehind:
    return Unthreaded(store, SystemClock(), 30)


def recorder(journal: WriteBehind, root: RunRecorder | None = None) -> RunRecorder:
    key, lease = new_id(), Lease(new_id(), "here/1/x", seconds=4e9)
    root_id = root.origin.id if root else None
    kind: Any = "task" if root else "flow"
    origin = Origin(
        key, kind, kind, kind, root_id or key, root_id, 1.0, (), None, None, (),
        None if root else lease,
    )  # fmt: skip
    services: Any = SimpleNamespace(journal=journal, clock=SystemClock())
    return RunRecorder(services, origin)


def states(store: Unsure, recorder: RunRecorder) -> list[str]:
    found = [event.payload for _, event in store.events(run_id=recorder.origin.id)]
    return [payload.state.name for payload in found if not hasattr(payload, "logger")]  # type: ignore[union-attr]


def test_a_birth_that_was_kept_is_not_repeated(store: Unsure, journal: WriteBehind) -> None:
    flow = recorder(journal)
    store.fails = True
    with pytest.raises(StoreBusy):
        flow.record(RUNNING, "Running")
    store.fails = False
    flow.record(FAILED, "Failed", "the store was busy")
    assert states(store, flow) == ["Running", "Failed"]


def test_a_change_that_was_kept_does_not_fence_its_own_run(
    store: Unsure, journal: WriteBehind
) -> None:
    flow = recorder(journal)
    flow.record(RUNNING, "Running")
    store.fails = True
    with pytest.raises(StoreBusy):
        flow.record(SCHEDULED, "AwaitingRetry")
    store.fails = False
    flow.record(FAILED, "Failed")
    assert states(store, flow) == ["Running", "AwaitingRetry", "Failed"]


def test_what_follows_a_change_that_was_kept_is_kept_too(
    store: Unsure, journal: WriteBehind
) -> None:
    flow = recorder(journal)
    flow.record(RUNNING, "Running")
    store.fails = True
    with pytest.raises(StoreBusy):
        flow.record(SCHEDULED, "AwaitingRetry")
    store.fails = False
    task = recorder(journal, flow)
    task.record(PENDING, "Pending")
    journal.flush()
    assert states(store, task) == ["Pending"]
    flow.record(RUNNING, "Retrying")
    store.fails = True
    with pytest.raises(StoreBusy):
        flow.record(FAILED, "Failed")
    journal._send_heartbeat()  # it has ended, and is nobody else's
    assert store.run(flow.origin.id).state.is_failed()


def take_over(store: Unsure, root_id: str) -> Event:
    """Let another process take a root over, once its lease has expired."""
    store.clock.advance(5e9)
    lease = Lease(new_id(), "elsewhere/1/x", seconds=4e9)
    event = make_handover_event(store.run(root_id), AwaitingRetry(), lease)
    store.record(event)
    return event


def test_a_change_that_is_repeated_after_a_takeover_is_fenced(
    store: Unsure, journal: WriteBehind
) -> None:
    flow = recorder(journal)
    flow.record(RUNNING, "Running")
    change = make_change_event(store.run(flow.origin.id), Failed("no"), 1)
    store.fails = True
    with pytest.raises(StoreBusy):
        journal.record(change)
    store.fails = False
    take_over(store, flow.origin.id)
    with pytest.raises(FencedRun):
        journal.record(change)


def test_a_takeover_that_is_repeated_after_another_is_fenced(
    store: Unsure, journal: WriteBehind
) -> None:
    flow = recorder(journal)
    flow.record(RUNNING, "Running")
    flow.record(FAILED, "Failed")
    journal.release(flow.origin.id)
    mine = take_over(store, flow.origin.id)
    store.record(make_change_event(store.run(flow.origin.id), Failed("no"), 2))
    take_over(store, flow.origin.id)
    with pytest.raises(FencedRun):
        journal.record(mine)
    assert not journal._roots.list_fences()


def test_a_takeover_that_is_repeated_after_the_end_is_fenced(
    store: Unsure, journal: WriteBehind
) -> None:
    flow = recorder(journal)
    flow.record(RUNNING, "Running")
    flow.record(FAILED, "Failed")
    journal.release(flow.origin.id)
    mine = take_over(store, flow.origin.id)
    store.clock.advance(5e9)
    (ended,) = store.reap()
    assert ended.lease is None
    with pytest.raises(FencedRun):
        journal.record(mine)
    assert not journal._roots.list_fences()


def test_a_change_that_was_refused_is_not_repeated(store: Unsure, journal: WriteBehind) -> None:
    flow = recorder(journal)
    flow.record(RUNNING, "Running")
    run = store.run(flow.origin.id)
    store.record(make_change_event(run, Cancelling("asked"), run.attempt))
    with pytest.raises(CancelSignal):
        flow.record(SCHEDULED, "AwaitingRetry")
    flow.record(CANCELLED, "Cancelled")
    assert states(store, flow) == ["Running", "Cancelling", "Cancelled"]


def test_an_interrupt_behind_an_append_does_not_give_a_version_twice(store: Unsure) -> None:
    class Interrupted(Unthreaded):
        interrupts = False

        def append(self, event: Event, token: str | None = None) -> None:
            super().append(event, token)
            if self.interrupts:
                self.interrupts = False
                raise CancelSignal

    journal = Interrupted(store, SystemClock(), 30)
    flow = recorder(journal)
    flow.record(RUNNING, "Running")
    task = recorder(journal, flow)
    task.record(RUNNING, "Running")
    journal.interrupts = True
    with pytest.raises(CancelSignal):
        task.record(SCHEDULED, "AwaitingRetry")
    task.record(CANCELLED, "Cancelled")
    journal.flush()
    assert states(store, task) == ["Running", "AwaitingRetry", "Cancelled"]
    assert store.run(task.origin.id).state.is_cancelled()


def test_a_root_whose_end_cannot_be_kept_is_let_go(store: Unsure, journal: WriteBehind) -> None:
    flow, stops = recorder(journal), list[str]()
    flow.record(RUNNING, "Running")
    flow.on_request(lambda _: stops.append("stopped"))
    task = recorder(journal, flow)
    task.record(RUNNING, "Running")
    task.record(COMPLETED, "Completed")
    flow.abandon()
    before = store.run(flow.origin.id)
    store.clock.advance(4e9 - 1)
    journal._send_heartbeat()
    journal.flush()
    after = store.run(flow.origin.id)
    assert before.lease is not None
    assert after.lease is not None
    assert after.lease.until == before.lease.until
    assert store.run(task.origin.id).state.is_completed()
    store.record(make_change_event(before, Cancelling("asked"), before.attempt))
    journal._send_heartbeat()
    assert stops == []
    store.clock.advance(5e9)
    assert {run.state.name for run in store.reap()} == {"Cancelled"}
    assert len(store.runs(RunQuery(root_id=flow.origin.id))) == 2
