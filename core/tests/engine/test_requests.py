"""What others ask of a run by a write: journal and keeper go on under the version it makes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flowstone.engine.clock import SystemClock
from flowstone.engine.journal import WriteBehind
from flowstone.engine.recorder import Keeper, Taken
from flowstone.errors import CancelSignal, Conflict, FencedRun, StopSignal, SuspendSignal
from flowstone.records.events import Line, changed, handed_over, written
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
        self._poll_requests()

    def renew(self) -> None:
        self._renew()


class Desk:
    """A process: a journal over the store that it shares, and the keepers of its runs."""

    def __init__(self, store: MemoryRuns) -> None:
        self.store = store
        self.journal = Unthreaded(store, SystemClock(), 30)
        self.stops: list[type[StopSignal]] = []
        self.services: Any = SimpleNamespace(journal=self.journal, clock=SystemClock())

    def lease(self) -> Lease:
        return Lease(new_id(), "elsewhere/1/x", 4e9)

    def flow(self) -> Keeper:
        key = new_id()
        keeper = Keeper(
            self.services,
            Origin(key, "flow", "f", "f", key, None, 1.0, (), None, {"n": 1}, (), self.lease()),
        )
        keeper.record(RUNNING, "Running")
        keeper.on_request(self.stops.append)
        return keeper

    def take_up(self, run: Run) -> Keeper:
        taken = Taken(run, handed_over(run, AwaitingRetry(), self.lease()))
        keeper = Keeper(self.services, taken.origin)
        keeper.take_up(taken)
        return keeper

    def now(self, keeper: Keeper) -> Run:
        return self.store.run(keeper.origin.id)

    def ask(self, keeper: Keeper, state: Any) -> None:
        run = self.now(keeper)
        self.store.record(changed(run, state, run.attempt))


@pytest.fixture
def desk() -> Desk:
    return Desk(MemoryRuns())


def line(keeper: Keeper) -> Any:
    return written(keeper.run, 1.0, Line(20, "x", "hello"))


def test_a_resumed_run_goes_on_in_its_attempt(desk: Desk) -> None:
    keeper = desk.flow()
    keeper.record(PAUSED, "Paused")
    desk.ask(keeper, Resuming())
    assert keeper.heed().state.name == "Resuming"
    assert keeper.regain()
    keeper.record(COMPLETED, "Completed")
    after = desk.now(keeper)
    assert (after.state.name, after.attempt, after.version) == ("Completed", 1, 5)


def test_who_resumes_it_in_the_last_moment_is_heard(desk: Desk) -> None:
    keeper = desk.flow()
    keeper.record(PAUSED, "Paused")
    keeper.heed()
    desk.ask(keeper, Resuming())
    assert keeper.regain()
    assert desk.now(keeper).state.name == "Running"


def test_a_run_that_nobody_resumed_knows_it(desk: Desk) -> None:
    keeper = desk.flow()
    keeper.record(PAUSED, "Paused")
    assert keeper.heed().state.name == "Paused"
    assert not keeper.regain()


@pytest.mark.parametrize("way", ["look", "renew", "append"])
def test_facts_are_kept_under_the_version_of_a_request(desk: Desk, way: str) -> None:
    keeper = desk.flow()
    keeper.record(PAUSED, "Paused")
    desk.ask(keeper, Resuming())
    if way != "append":
        getattr(desk.journal, way)()
    desk.journal.append(line(keeper))
    desk.journal.flush()
    assert len(desk.store.events(kinds=["LogWritten"])) == 1
    assert keeper.regain()


@pytest.mark.parametrize(
    ("state", "signal"), [(Cancelling(), CancelSignal), (Suspending(), SuspendSignal)]
)
def test_what_is_to_stop_is_told_once(desk: Desk, state: Any, signal: type[StopSignal]) -> None:
    keeper = desk.flow()
    desk.ask(keeper, state)
    for _ in range(3):
        desk.journal.look()
    assert desk.stops == [signal]
    with pytest.raises(signal):
        keeper.record(RUNNING, "Retrying")


def test_a_cancel_comes_through_after_a_suspension(desk: Desk) -> None:
    keeper = desk.flow()
    for state in (Suspending(), Cancelling()):
        desk.ask(keeper, state)
        desk.journal.look()
    assert desk.stops == [SuspendSignal, CancelSignal]
    with pytest.raises(CancelSignal):
        keeper.suspend("", ValueError())
    keeper.record(CANCELLED, "Cancelled")
    assert desk.now(keeper).state.name == "Cancelled"


@pytest.mark.parametrize("state", [None, Suspending()])
def test_a_suspended_run_is_nobodys(desk: Desk, state: Any) -> None:
    keeper = desk.flow()
    if state is not None:
        desk.ask(keeper, state)
    keeper.suspend("for Ann", ValueError())
    run = desk.now(keeper)
    assert (run.state.name, run.lease) == ("Suspended", None)
    desk.journal.append(line(keeper))
    desk.journal.flush()
    assert desk.store.events(kinds=["LogWritten"]) == []
    assert desk.store.reap(5e9) == []


def test_a_run_that_ends_while_it_is_asked_to_suspend_has_ended(desk: Desk) -> None:
    keeper = desk.flow()
    desk.ask(keeper, Suspending())
    keeper.record(COMPLETED, "Completed")
    assert desk.now(keeper).state.name == "Completed"


@pytest.mark.parametrize("end", [Failed(), Crashed()])
def test_who_lost_a_run_hears_of_it_whichever_way_it_asks(desk: Desk, end: Any) -> None:
    keeper = desk.flow()
    keeper.record(PAUSED, "Paused")
    desk.ask(keeper, end)
    for word in (keeper.heed, keeper.regain, lambda: keeper.suspend("", ValueError())):
        with pytest.raises(FencedRun):
            word()


def test_a_run_is_taken_up_by_another_process(desk: Desk) -> None:
    keeper = desk.flow()
    desk.ask(keeper, Crashed())
    other = Desk(desk.store)
    again = other.take_up(desk.now(keeper))
    again.record(RUNNING, "Running")
    assert (again.attempt, again.run.parameters) == (2, {"n": 1})
    with pytest.raises(FencedRun):
        keeper.heed()
    desk.journal.append(line(keeper))
    desk.journal.flush()
    assert desk.store.events(kinds=["LogWritten"]) == []
    other.journal.append(line(again))
    other.journal.flush()
    assert len(desk.store.events(kinds=["LogWritten"])) == 1
    again.record(COMPLETED, "Completed")


def test_what_a_process_takes_up_again_is_asked_and_renewed_as_at_first(desk: Desk) -> None:
    keeper = desk.flow()
    desk.ask(keeper, Suspending())
    desk.journal.look()
    keeper.abandon()
    desk.ask(keeper, Failed())
    again = desk.take_up(desk.now(keeper))
    again.record(RUNNING, "Running")
    again.on_request(desk.stops.append)
    desk.ask(again, Suspending())
    desk.journal.look()
    assert desk.stops == [SuspendSignal, SuspendSignal]
    desk.journal.renew()
    lease = desk.now(again).lease
    assert lease is not None
    assert lease.until != desk.lease().until


def test_a_process_can_take_up_what_it_has_lost_or_ended(desk: Desk) -> None:
    keeper = desk.flow()
    for end in (Crashed(), None):
        if end is None:
            keeper.record(FAILED, "Failed")
        else:
            desk.ask(keeper, end)
            desk.journal.append(line(keeper))
            desk.journal.flush()  # here it learns that it has lost it
        keeper = desk.take_up(desk.now(keeper))
        keeper.record(RUNNING, "Running")
        desk.journal.append(line(keeper))
        desk.journal.flush()
    assert keeper.attempt == 3
    assert len(desk.store.events(kinds=["LogWritten"])) == 2


def test_of_two_that_take_it_up_one_is_refused_and_holds_nothing(desk: Desk) -> None:
    keeper = desk.flow()
    keeper.record(FAILED, "Failed")
    run = desk.now(keeper)
    first, second = Desk(desk.store), Desk(desk.store)
    first.take_up(run)
    with pytest.raises(Conflict):
        second.take_up(run)
    second.journal.renew()
    assert desk.now(keeper).lease != run.lease
