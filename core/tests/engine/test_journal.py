"""The journal over a real store: order, batches, fences, faults."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from time import time
from types import SimpleNamespace
from typing import Any

import pytest

from flowstone.engine.clock import SystemClock
from flowstone.engine.driven_roots import RECENT
from flowstone.engine.journal import FULL, WriteBehind
from flowstone.engine.recorder import RunRecorder
from flowstone.errors import FencedRun, StoreBusy
from flowstone.records.events import (
    Event,
    LogLine,
    make_birth_event,
    make_change_event,
    make_log_event,
)
from flowstone.records.ids import new_id
from flowstone.records.runs import Fence, Lease, Origin, Run, RunQuery
from flowstone.states import State, StateType
from flowstone.stores.memory import MemoryRuns


def root(seconds: float = 4e9) -> Run:
    key = new_id()
    state = State(StateType.RUNNING, at=1.0)
    lease = Lease(new_id(), "here/1/x", seconds=seconds)
    return Run(key, "flow", "calm-otter", "f", key, None, state=state, lease=lease, started=1.0)


def child(parent: Run, number: int = 0) -> Run:
    state = State(StateType.RUNNING, at=2.0)
    return Run(new_id(), "task", f"t-{number}", "t", parent.id, parent.id, state=state, started=2.0)


class Watched(MemoryRuns):
    """A store that counts its batches, and can be made to fail."""

    def __init__(self) -> None:
        self.ahead = 0.0
        super().__init__(lambda: time() + self.ahead)
        self.batches: list[int] = []
        self.fault: BaseException | None = None
        self.tries = 0
        self.written = threading.Event()

    def append(self, events: Sequence[Event], fence: Fence) -> None:
        self.tries += 1
        if self.fault is not None:
            raise self.fault
        super().append(events, fence)
        self.batches.append(len(events))
        self.written.set()


@pytest.fixture
def store() -> Watched:
    return Watched()


@pytest.fixture
def journal(store: Watched) -> Iterator[WriteBehind]:
    made = WriteBehind(store, SystemClock(), 30)
    yield made
    store.fault = None
    made.close()


def driven(journal: WriteBehind, seconds: float = 4e9) -> Run:
    run = root(seconds)
    journal.create(make_birth_event(run))
    return run


def test_what_is_appended_is_written_soon_without_asking(
    journal: WriteBehind, store: Watched
) -> None:
    run = driven(journal)
    for number in range(10):
        journal.append(make_birth_event(child(run, number)))
    assert store.written.wait(300)
    journal.flush()
    assert len(store.runs(RunQuery(root_id=run.id))) == 11
    assert len(store.batches) <= 3


def test_what_is_written_through_comes_after_what_was_appended(
    journal: WriteBehind, store: Watched
) -> None:
    run = driven(journal)
    journal.append(make_birth_event(child(run)))
    journal.record(make_change_event(run, State(StateType.COMPLETED, at=3.0), 1))
    kinds = [event.kind for _, event in store.events()]
    assert kinds[:2] == ["FlowRunStarted", "TaskRunStarted"]
    assert "FlowRunCompleted" in kinds[2:]


def test_a_full_journal_is_written_by_who_fills_it(journal: WriteBehind, store: Watched) -> None:
    run = driven(journal)
    for number in range(3 * FULL):
        journal.append(make_log_event(run, 1.0, LogLine(20, "x", str(number))))
        assert len(journal._queue) < FULL
    journal.flush()
    lines = [event.payload.message for _, event in store.events(kinds=["LogWritten"])]  # type: ignore[union-attr]
    assert lines == [str(number) for number in range(3 * FULL)]


def test_a_run_that_was_ended_from_outside_writes_nothing_more(
    journal: WriteBehind, store: Watched
) -> None:
    run = driven(journal)
    journal.append(make_birth_event(child(run)))
    journal.flush()
    store.ahead = 5e9
    store.reap()
    journal.append(make_birth_event(child(run, 1)))
    journal.flush()
    with pytest.raises(FencedRun, match="is Crashed in the store"):
        journal.append(make_birth_event(child(run, 2)))
    with pytest.raises(FencedRun):
        journal.record(make_change_event(run, State(StateType.COMPLETED, at=3.0), 1))
    assert len(store.runs(RunQuery(root_id=run.id))) == 2
    assert all(found.state.is_crashed() for found in store.runs(RunQuery()))


def test_of_a_run_that_was_left_behind_nothing_more_is_taken(
    journal: WriteBehind, store: Watched
) -> None:
    """Its thread may speak again when the flow is executed once more, with the same root."""
    run = driven(journal)
    left, other = child(run, 0), child(run, 1)
    journal.append(make_birth_event(left))
    journal.append(make_birth_event(other))
    journal.leave(run.id, [left.id])
    end = State(StateType.COMPLETED, at=3.0)
    journal.append(make_change_event(other, end, 1))
    with pytest.raises(FencedRun, match="left behind"):
        journal.append(make_change_event(left, end, 1))
    journal.flush()
    assert store.run(left.id).state.type is StateType.RUNNING, "what it said before is kept"
    assert store.run(other.id).state.type is StateType.COMPLETED


def test_a_store_that_fails_for_a_while_loses_nothing(journal: WriteBehind, store: Watched) -> None:
    run = driven(journal)
    store.fault = StoreBusy("x.db", 1)
    journal.append(make_birth_event(child(run, 0)))
    with pytest.raises(StoreBusy):
        journal.flush()
    journal.append(make_birth_event(child(run, 1)))
    store.fault = None
    journal.flush()
    assert len(store.runs(RunQuery(root_id=run.id))) == 3


class StoppedClock(SystemClock):
    """A clock whose seconds pass by hand."""

    passed = 0.0

    def monotonic(self) -> float:
        return self.passed


def test_a_store_that_fails_is_not_tried_by_each_who_appends(store: Watched) -> None:
    """Else a full disk keeps thousands of tasks busy with batches that can't be written."""
    clock = StoppedClock()
    journal = WriteBehind(store, clock, 30)
    root_run = driven(journal)
    store.fault = StoreBusy("a file", 1.0)
    store.tries = 0
    facts = [make_birth_event(child(root_run, number)) for number in range(2 * FULL + 100)]
    refused = 0
    for fact in facts:
        try:
            journal.append(fact)
        except StoreBusy:
            refused += 1
    assert refused >= 100
    assert store.tries == 1
    with pytest.raises(StoreBusy):
        journal.flush()  # a barrier tries
    store.fault, clock.passed = None, 2.0
    journal.flush()
    assert len(store.events(kinds=["TaskRunStarted"])) == len(facts)
    journal.close()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_the_middle_of_a_write_loses_nothing(
    journal: WriteBehind, store: Watched, stop: Callable[[], BaseException]
) -> None:
    run = driven(journal)
    with journal._lock:  # the journal's own thread must not meet the fault
        journal.append(make_birth_event(child(run, 0)))
        store.fault = stop()
        with pytest.raises(type(store.fault)):
            journal.flush()
        store.fault = None
    journal.flush()
    assert len(store.runs(RunQuery(root_id=run.id))) == 2


def test_notes_that_come_after_the_end_are_kept(journal: WriteBehind, store: Watched) -> None:
    run = driven(journal)
    journal.record(make_change_event(run, State(StateType.COMPLETED, at=3.0), 1))
    journal.release(run.id)
    journal.append(make_birth_event(child(run)))  # too late: a run can't begin any more
    journal.append(make_log_event(run, 4.0, LogLine(20, "x", "said a hook")))
    journal.flush()
    kinds = [event.kind for _, event in store.events()]
    assert kinds == ["FlowRunStarted", "FlowRunCompleted", "LogWritten"]


def test_only_recent_ends_are_remembered(journal: WriteBehind, store: Watched) -> None:
    runs = [driven(journal) for _ in range(RECENT + 1)]
    for run in runs:
        journal.release(run.id)
    for run in (runs[0], runs[-1]):
        journal.append(make_log_event(run, 4.0, LogLine(20, "x", "late")))
    journal.flush()
    [(_, event)] = store.events(kinds=["LogWritten"])
    assert event.run_id == runs[-1].id


def test_what_was_left_behind_is_remembered_as_long_as_its_root(
    journal: WriteBehind, store: Watched
) -> None:
    end = State(StateType.COMPLETED, at=3.0)
    runs = [driven(journal) for _ in range(RECENT + 1)]
    left = [child(run) for run in runs]
    for run, part in zip(runs, left, strict=True):
        journal.leave(run.id, [part.id])
        journal.release(run.id)
    with pytest.raises(FencedRun, match="left behind"):
        journal.append(make_change_event(left[-1], end, 1))
    journal.append(make_change_event(left[0], end, 1))
    journal.flush()
    assert not store.events(run_id=left[0].id)


def test_a_released_root_is_not_renewed(store: Watched) -> None:
    journal = WriteBehind(store, SystemClock(), 0.06)
    kept, gone = driven(journal, 0.06), driven(journal, 0.06)
    journal.release(gone.id)
    before = {run.id: run.lease.until for run in store.runs(RunQuery()) if run.lease}
    renewed = threading.Event()

    def look() -> bool:
        leases = {run.id: run.lease.until for run in store.runs(RunQuery()) if run.lease}
        return leases[kept.id] != before[kept.id] and leases[gone.id] == before[gone.id]

    for _ in range(20_000):
        if look():
            break
        renewed.wait(0.005)
    assert look()
    journal.close()


def test_facts_of_several_roots_are_kept_apart(journal: WriteBehind, store: Watched) -> None:
    one, two = driven(journal), driven(journal)
    store.reap()
    for number in range(4):
        journal.append(make_birth_event(child(one if number % 2 else two, number)))
    journal.flush()
    assert len(store.runs(RunQuery(root_id=one.id))) == 3
    assert len(store.runs(RunQuery(root_id=two.id))) == 3


def test_an_interrupt_after_the_end_is_kept_does_not_end_the_run_twice(store: Watched) -> None:
    class Interrupted(WriteBehind):
        times = 0

        def release(self, root_id: str) -> None:
            super().release(root_id)
            self.times += 1
            if self.times == 1:
                raise KeyboardInterrupt

    journal = Interrupted(store, SystemClock(), 30)
    run = root()
    origin = Origin(
        run.id, "flow", run.name, "f", run.id, None, 1.0, (), None, None, (), run.lease
    )  # fmt: skip
    services: Any = SimpleNamespace(journal=journal, clock=SystemClock())
    recorder = RunRecorder(services, origin)
    recorder.record(StateType.RUNNING, "Running")
    with pytest.raises(KeyboardInterrupt):
        recorder.record(StateType.COMPLETED, "Completed")
    assert recorder.record(StateType.COMPLETED, "Completed").type is StateType.COMPLETED
    kinds = [event.kind for _, event in store.events()]
    assert kinds == ["FlowRunStarted", "FlowRunCompleted"]
    journal.close()


def test_a_value_does_not_wait_with_its_fact(journal: WriteBehind, store: Watched) -> None:
    class Value:
        pass

    run = driven(journal)
    store.fault = StoreBusy("here", 1.0)
    origin = Origin(new_id(), "task", "t-0", "t", run.id, run.id, 1.0, (), None, None, (), None)
    services: Any = SimpleNamespace(journal=journal, clock=SystemClock())
    recorder = RunRecorder(services, origin)
    recorder.record(StateType.RUNNING, "Running")
    value = Value()
    assert recorder.record(StateType.COMPLETED, "Completed", data=value).data is value
    assert recorder.state.data is value
    gone = weakref.ref(value)
    del value, recorder
    assert gone() is None
    store.fault = None
    journal.flush()
    assert [event.kind for _, event in store.events(run_id=origin.id)] == [
        "TaskRunStarted",
        "TaskRunCompleted",
    ]


@pytest.mark.parametrize("appended", [False, True])
def test_who_lost_a_root_begins_no_flow_in_it(
    journal: WriteBehind, store: Watched, appended: bool
) -> None:
    run = driven(journal)
    store.ahead = 5e9
    store.reap()
    [ended] = store.runs(RunQuery(root_id=run.id))
    store.record(make_change_event(ended, State(StateType.SCHEDULED), 1))  # somebody takes it up
    inner = replace(child(run), kind="flow")
    if appended:
        journal.append(make_log_event(run, 2.0, LogLine(20, "x", "still here")))
    with pytest.raises(FencedRun, match="is Scheduled in the store"):
        journal.create(make_birth_event(inner))
    assert store.runs(RunQuery(root_id=run.id)) == [store.run(run.id)]
