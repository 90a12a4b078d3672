"""What others ask of a run by a write: journal and recorder go on under the version it makes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flowstone.engine.clock import SystemClock
from flowstone.engine.journal import WriteBehind
from flowstone.engine.recorder import RunRecorder, Takeover
from flowstone.errors import CancelSignal, Conflict, FencedRun, StopSignal, SuspendSignal
from flowstone.records.events import LogLine, make_change_event, make_handover_event, make_log_event
from flowstone.records.ids import new_id
from flowstone.records.runs import Lease, Origin, Run
from flowstone.records.states import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PAUSED,
    RUNNING,
    AwaitingRetry,
    Cancelling,
    Crashed,
    Failed,
    Resuming,
    Suspending,
)
from flowstone.stores.memory import MemoryRuns


class Unthreaded(WriteBehind):
    """Looks and writes only when it is told to."""

    def _begin(self) -> None:
        pass

    def look(self) -> None:
        self._send_heartbeat()


class Desk:
    """A process: a journal over the store that it shares, and the recorders of its runs."""

    def __init__(self, store: MemoryRuns) -> None:
        self.store = store
        self.journal = Unthreaded(store, SystemClock(), 30)
        self.stops: list[type[StopSignal]] = []
        self.services: Any = SimpleNamespace(journal=self.journal, clock=SystemClock())

    def lease(self) -> Lease:
        return Lease(new_id(), "elsewhere/1/x", seconds=4e9)

    def flow(self) -> RunRecorder:
        key = new_id()
        recorder = RunRecorder(
            self.services,
            Origin(key, "flow", "f", "f", key, None, 1.0, (), None, {"n": 1}, (), self.lease()),
        )
        recorder.record(RUNNING, "Running")
        recorder.on_request(self.stops.append)
        return recorder

    def take_up(self, run: Run) -> RunRecorder:
        takeover = Takeover(run, make_handover_event(run, AwaitingRetry(), self.lease()))
        recorder = RunRecorder(self.services, takeover.origin)
        recorder.take_up(takeover)
        return recorder

    def now(self, recorder: RunRecorder) -> Run:
        return self.store.run(recorder.origin.id)

    def ask(self, recorder: RunRecorder, state: Any) -> None:
        run = self.now(recorder)
        self.store.record(make_change_event(run, state, run.attempt))


@pytest.fixture
def desk() -> Desk:
    return Desk(MemoryRuns())


def line(recorder: RunRecorder) -> Any:
    return make_log_event(recorder.run, 1.0, LogLine(20, "x", "hello"))


def test_a_resumed_run_goes_on_in_its_attempt(desk: Desk) -> None:
    recorder = desk.flow()
    recorder.record(PAUSED, "Paused")
    desk.ask(recorder, Resuming())
    assert recorder.refresh().state.name == "Resuming"
    assert recorder.resume()
    recorder.record(COMPLETED, "Completed")
    after = desk.now(recorder)
    assert (after.state.name, after.attempt, after.version) == ("Completed", 1, 5)


def test_who_resumes_it_in_the_last_moment_is_heard(desk: Desk) -> None:
    recorder = desk.flow()
    recorder.record(PAUSED, "Paused")
    recorder.refresh()
    desk.ask(recorder, Resuming())
    assert recorder.resume()
    assert desk.now(recorder).state.name == "Running"


def test_a_run_that_nobody_resumed_knows_it(desk: Desk) -> None:
    recorder = desk.flow()
    recorder.record(PAUSED, "Paused")
    assert recorder.refresh().state.name == "Paused"
    assert not recorder.resume()


@pytest.mark.parametrize("way", ["look", "append"])
def test_facts_are_kept_under_the_version_of_a_request(desk: Desk, way: str) -> None:
    recorder = desk.flow()
    recorder.record(PAUSED, "Paused")
    desk.ask(recorder, Resuming())
    if way != "append":
        getattr(desk.journal, way)()
    desk.journal.append(line(recorder))
    desk.journal.flush()
    assert len(desk.store.events(kinds=["LogWritten"])) == 1
    assert recorder.resume()


@pytest.mark.parametrize(
    ("state", "signal"), [(Cancelling(), CancelSignal), (Suspending(), SuspendSignal)]
)
def test_what_is_to_stop_is_told_once(desk: Desk, state: Any, signal: type[StopSignal]) -> None:
    recorder = desk.flow()
    desk.ask(recorder, state)
    for _ in range(3):
        desk.journal.look()
    assert desk.stops == [signal]
    with pytest.raises(signal):
        recorder.record(RUNNING, "Retrying")


def test_a_cancel_comes_through_after_a_suspension(desk: Desk) -> None:
    recorder = desk.flow()
    for state in (Suspending(), Cancelling()):
        desk.ask(recorder, state)
        desk.journal.look()
    assert desk.stops == [SuspendSignal, CancelSignal]
    with pytest.raises(CancelSignal):
        recorder.suspend("", ValueError())
    recorder.record(CANCELLED, "Cancelled")
    assert desk.now(recorder).state.name == "Cancelled"


@pytest.mark.parametrize("state", [None, Suspending()])
def test_a_suspended_run_is_nobodys(desk: Desk, state: Any) -> None:
    recorder = desk.flow()
    if state is not None:
        desk.ask(recorder, state)
    recorder.suspend("for Ann", ValueError())
    run = desk.now(recorder)
    assert (run.state.name, run.lease) == ("Suspended", None)
    desk.journal.append(line(recorder))
    desk.journal.flush()
    assert desk.store.events(kinds=["LogWritten"]) == []
    desk.store._now = lambda: 9e9
    assert desk.store.reap() == []


def test_a_run_that_ends_while_it_is_asked_to_suspend_has_ended(desk: Desk) -> None:
    recorder = desk.flow()
    desk.ask(recorder, Suspending())
    recorder.record(COMPLETED, "Completed")
    assert desk.now(recorder).state.name == "Completed"


@pytest.mark.parametrize("end", [Failed(), Crashed()])
def test_who_lost_a_run_hears_of_it_whichever_way_it_asks(desk: Desk, end: Any) -> None:
    recorder = desk.flow()
    recorder.record(PAUSED, "Paused")
    desk.ask(recorder, end)
    for word in (recorder.refresh, recorder.resume, lambda: recorder.suspend("", ValueError())):
        with pytest.raises(FencedRun):
            word()


def test_a_run_is_taken_up_by_another_process(desk: Desk) -> None:
    recorder = desk.flow()
    desk.ask(recorder, Crashed())
    other = Desk(desk.store)
    again = other.take_up(desk.now(recorder))
    again.record(RUNNING, "Running")
    assert (again.attempt, again.run.parameters) == (2, {"n": 1})
    with pytest.raises(FencedRun):
        recorder.refresh()
    desk.journal.append(line(recorder))
    desk.journal.flush()
    assert desk.store.events(kinds=["LogWritten"]) == []
    other.journal.append(line(again))
    other.journal.flush()
    assert len(desk.store.events(kinds=["LogWritten"])) == 1
    again.record(COMPLETED, "Completed")


def test_what_a_process_takes_up_again_is_asked_and_renewed_as_at_first(desk: Desk) -> None:
    recorder = desk.flow()
    desk.ask(recorder, Suspending())
    desk.journal.look()
    recorder.abandon()
    desk.ask(recorder, Failed())
    again = desk.take_up(desk.now(recorder))
    again.record(RUNNING, "Running")
    again.on_request(desk.stops.append)
    desk.ask(again, Suspending())
    desk.journal.look()
    assert desk.stops == [SuspendSignal, SuspendSignal]
    desk.journal.look()
    lease = desk.now(again).lease
    assert lease is not None
    assert lease.until != desk.lease().until


def test_a_process_can_take_up_what_it_has_lost_or_ended(desk: Desk) -> None:
    recorder = desk.flow()
    for end in (Crashed(), None):
        if end is None:
            recorder.record(FAILED, "Failed")
        else:
            desk.ask(recorder, end)
            desk.journal.append(line(recorder))
            desk.journal.flush()  # here it learns that it has lost it
        recorder = desk.take_up(desk.now(recorder))
        recorder.record(RUNNING, "Running")
        desk.journal.append(line(recorder))
        desk.journal.flush()
    assert recorder.attempt == 3
    assert len(desk.store.events(kinds=["LogWritten"])) == 2


def test_of_two_that_take_it_up_one_is_refused_and_holds_nothing(desk: Desk) -> None:
    recorder = desk.flow()
    recorder.record(FAILED, "Failed")
    run = desk.now(recorder)
    first, second = Desk(desk.store), Desk(desk.store)
    first.take_up(run)
    with pytest.raises(Conflict):
        second.take_up(run)
    second.journal.look()
    assert desk.now(recorder).lease != run.lease
