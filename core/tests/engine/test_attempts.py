"""What is left of an attempt that is over writes nothing into the next one of the same process."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest

from flowstone import flow, task
from flowstone.context.current import Services
from flowstone.engine.clock import SystemClock
from flowstone.engine.journal import WriteBehind
from flowstone.engine.recorder import RunRecorder, Takeover
from flowstone.errors import FencedRun
from flowstone.flow_runs import retry_flow_run
from flowstone.records.events import make_birth_event, make_handover_event
from flowstone.records.ids import new_id
from flowstone.records.runs import Kind, Lease, Origin, Run, RunQuery, StateChange
from flowstone.records.states import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PAUSED,
    RUNNING,
    AwaitingRetry,
    State,
)
from flowstone.stores.memory import MemoryRuns
from flowstone_testing.conformance import StoreClock


class Process:
    """A journal with no thread of its own, and the recorders of one run's attempts."""

    def __init__(self) -> None:
        self.clock = StoreClock()
        self.store = MemoryRuns(self.clock.time)
        self.journal = Unthreaded(self.store, SystemClock(), 30)
        self.services: Any = SimpleNamespace(journal=self.journal, clock=SystemClock())

    def begin(self) -> RunRecorder:
        recorder = RunRecorder(
            self.services, _origin("flow", lease=Lease(new_id(), "here/1/x", seconds=4e9))
        )
        recorder.record(RUNNING, "Running")
        return recorder

    def part(self, root: RunRecorder, kind: Kind = "task") -> RunRecorder:
        return RunRecorder(self.services, _origin(kind, root.origin.id), root)

    def again(self, root: RunRecorder) -> RunRecorder:
        """Take the run up, once its attempt has ended for whatever reason."""
        run = self.now(root)
        lease = Lease(new_id(), "here/1/x", seconds=4e9)
        takeover = Takeover(run, make_handover_event(run, AwaitingRetry(), lease))
        recorder = RunRecorder(self.services, takeover.origin)
        recorder.take_up(takeover)
        recorder.record(RUNNING, "Running")
        return recorder

    def now(self, recorder: RunRecorder) -> Run:
        return self.store.run(recorder.origin.id)

    def written(self, recorder: RunRecorder) -> list[State]:
        self.journal.flush()
        events = (event.payload for _, event in self.store.events(run_id=recorder.origin.id))
        return [each.state for each in events if isinstance(each, (Run, StateChange))]


class Unthreaded(WriteBehind):
    def _begin(self) -> None:
        pass


def _origin(kind: Kind, root: str | None = None, lease: Lease | None = None) -> Origin:
    key = new_id()
    return Origin(key, kind, "n", "n", root or key, root, 1.0, (), None, {}, (), lease)


@pytest.fixture
def process() -> Process:
    return Process()


def fenced(work: Callable[[], object]) -> None:
    with pytest.raises(FencedRun, match=r"is (AwaitingRetry|Running) in the store: .* taken over"):
        work()


def test_a_task_that_was_left_over_writes_no_state(process: Process) -> None:
    first = process.begin()
    left = process.part(first)
    left.record(RUNNING, "Running")
    first.record(CANCELLED, "Cancelled")
    again = process.again(first)
    fenced(lambda: left.record(COMPLETED, "Completed"))
    assert [state.type for state in process.written(left)] == [RUNNING, CANCELLED]
    again.record(COMPLETED, "Completed")
    assert process.now(left).state.type is CANCELLED


@pytest.mark.parametrize("kind", ["task", "flow"])
def test_what_is_left_over_begins_no_run(process: Process, kind: Kind) -> None:
    first = process.begin()
    first.record(FAILED, "Failed")
    process.again(first)
    fenced(lambda: process.part(first, kind).record(RUNNING, "Running"))
    process.journal.flush()
    assert len(process.store.runs(RunQuery())) == 1


def test_a_flow_that_was_left_over_begins_no_run_in_what_others_took_up(process: Process) -> None:
    first = process.begin()
    first.record(FAILED, "Failed")
    run = process.now(first)
    lease = Lease(new_id(), "elsewhere/1/x", seconds=4e9)
    process.store.record(make_handover_event(run, AwaitingRetry(), lease))
    fenced(lambda: process.part(first, "flow").record(RUNNING, "Running"))
    assert len(process.store.runs(RunQuery())) == 1


def test_a_fact_that_was_queued_when_its_attempt_was_followed_is_left_out(
    process: Process,
) -> None:
    """Its writer looked, was held up, and comes to the queue when the next attempt has begun."""
    first = process.begin()
    left = process.part(first)
    first.record(FAILED, "Failed")
    seen = make_birth_event(left.origin.make_run(State(RUNNING, at=2.0), 1))
    again = process.again(first)
    process.journal._queue.append((seen, first.token))
    mine = process.part(again)
    mine.record(RUNNING, "Running")
    process.journal.flush()
    assert {run.id for run in process.store.runs(RunQuery())} == {mine.origin.id, first.origin.id}


def test_who_drives_an_attempt_that_was_buried_does_not_drive_the_next(process: Process) -> None:
    """Its process slept for too long, and a thread of that process has taken it up since."""
    first = process.begin()
    process.clock.advance(5e9)
    assert process.store.reap()
    again = process.again(first)
    fenced(first.refresh)
    fenced(lambda: first.record(COMPLETED, "Completed"))
    fenced(lambda: first.record(PAUSED, "Paused"))
    first.abandon()
    before = process.now(again).lease
    process.clock.advance(4e9 - 1)
    process.journal._send_heartbeat()
    after = process.now(again).lease
    assert before is not None
    assert after is not None
    assert after.until != before.until  # its lease is still renewed
    again.record(COMPLETED, "Completed")
    assert process.now(again).state.type is COMPLETED


def test_a_run_that_was_taken_up_three_times_has_one_writer(process: Process) -> None:
    recorders = [process.begin()]
    parts = [process.part(recorders[0])]
    for _ in range(3):
        parts[-1].record(RUNNING, "Running")
        recorders[-1].record(FAILED, "Failed")
        recorders.append(process.again(recorders[-1]))
        parts.append(process.part(recorders[-1]))
    for old in parts[:-1]:
        fenced(lambda old=old: old.record(COMPLETED, "Completed"))  # type: ignore[misc]
    parts[-1].record(RUNNING, "Running")
    parts[-1].record(COMPLETED, "Completed")
    recorders[-1].record(COMPLETED, "Completed")
    ends = [process.now(part).state.type for part in parts]
    assert ends == [CANCELLED, CANCELLED, CANCELLED, COMPLETED]


# ------------------------------------------------------------ with threads

started, let_go, over = Event(), Event(), Event()
told: list[BaseException] = []
attempts: list[int] = []


@task
def small() -> int:
    return 1


@task(retries=1)
def held() -> int:
    started.set()
    let_go.wait()
    try:
        small()
    except BaseException as error:
        told.append(error)
    raise ValueError("now it would be retried")


@flow
def leaves_a_thread() -> int:
    attempts.append(1)
    if len(attempts) == 1:
        Thread(target=copy_context().run, args=(_hold,), daemon=True).start()
        started.wait()
        raise ValueError("not yet")
    let_go.set()
    over.wait()
    return small()


def _hold() -> None:
    try:
        held()
    except BaseException as error:
        told.append(error)
    over.set()


def test_a_thread_of_an_attempt_before_is_told_that_it_is_over(services: Services) -> None:
    assert leaves_a_thread(return_state=True).is_failed()
    root = services.runs.runs(RunQuery(listed=True))[0]
    assert retry_flow_run(root.id).result() == 1
    assert [type(error) for error in told] == [FencedRun, FencedRun]
    services.journal.flush()
    tree = {run.name: run for run in services.runs.runs(RunQuery(root_id=root.id))}
    assert [(run.unit, run.state.name) for run in tree.values()] == [
        ("leaves-a-thread", "Completed"), ("held", "Cancelled"), ("small", "Completed"),
    ]  # fmt: skip
    for run in tree.values():
        facts = (event.payload for _, event in services.runs.events(run_id=run.id))
        versions = [fact.version for fact in facts if isinstance(fact, (Run, StateChange))]
        assert versions == list(range(1, run.version + 1))
