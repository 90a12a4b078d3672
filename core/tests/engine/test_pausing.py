"""The life of a pause, talked to with no store, clock or loop."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from flowstone.engine.pause import LOOK, pause
from flowstone.engine.steps import (
    FinishChildren,
    Log,
    Record,
    Refresh,
    Resume,
    Sleep,
    Step,
    Suspend,
)
from flowstone.errors import CancelSignal, PauseTimeout, StoreBusy, SuspendedRun, SuspendSignal
from flowstone.records.specs import Spec
from flowstone.states import Cancelling, Paused, Resuming, State, StateType

from .talking import World, plan, talked


class Person:
    """Answers a pause: what is seen at each look, and whether somebody resumed it at the end."""

    def __init__(self, *looks: object, resumed: bool = True) -> None:
        self.now = 100.0
        self.looks, self.resumed = list(looks), resumed
        self.steps: list[object] = []

    def answer(self, step: object) -> Any:
        self.steps.append(step)
        match step:
            case Record(kind, name, message):
                return State(kind, name, message, self.now)
            case Refresh():
                look = self.looks.pop(0) if self.looks else Paused()
                if isinstance(look, BaseException):
                    raise look
                return self.now, look
            case Sleep(seconds):
                self.now += seconds
            case Resume():
                return self.resumed
        return None

    def talk(self, timeout: float = 60, interval: float = 10) -> State:
        return talked(pause("p", "for Ann", timeout, interval), self.answer)

    def of(self, kind: type[Any]) -> list[Any]:
        return [step for step in self.steps if isinstance(step, kind)]


def test_it_waits_until_somebody_resumes_it() -> None:
    person = Person(Paused(), Paused(), Resuming())
    assert person.talk().is_running()
    assert person.of(Record) == [Record(StateType.PAUSED, "Paused", "for Ann")]
    assert person.of(Sleep) == [Sleep(LOOK)] * 2
    assert person.steps[-2:] == [Resume(), Log(logging.INFO, "resumed")]


@pytest.mark.parametrize(("interval", "nap"), [(10, LOOK), (0.2, 0.2)])
def test_it_looks_at_least_so_often(interval: float, nap: float) -> None:
    person = Person(Paused(), Resuming())
    person.talk(interval=interval)
    assert person.of(Sleep) == [Sleep(nap)]


def test_it_fails_when_the_time_is_over_and_not_before() -> None:
    person = Person(resumed=False)
    with pytest.raises(PauseTimeout, match=r"'p' was not resumed within 2\.5 s"):
        person.talk(timeout=2.5)
    assert person.now == 102.5
    assert person.of(Resume) == [Resume()]  # the code may catch the error, and go on


def test_who_comes_in_the_last_moment_is_heard() -> None:
    assert Person(resumed=True).talk(timeout=0).is_running()


def test_a_store_that_can_not_be_read_for_a_while_is_waited_for() -> None:
    person = Person(StoreBusy("x.db", 1), StoreBusy("x.db", 1), Resuming())
    assert person.talk(timeout=1).is_running()
    assert [step.level for step in person.of(Log)] == [20, 30, 30, 20]


def test_a_cancel_comes_as_a_signal_into_the_sleep() -> None:
    class Cancelled(Person):
        def answer(self, step: object) -> Any:
            if isinstance(step, Sleep) and len(self.of(Refresh)) == 3:
                raise CancelSignal
            return super().answer(step)

    person = Cancelled(Paused(), Cancelling(), Cancelling(), resumed=False)
    with pytest.raises(CancelSignal):
        person.talk(timeout=1.5)
    assert person.of(Resume) == []


# ------------------------------------------------------------ suspending, as a flow's life tells it

FLOW = Spec("flow", "f", retries=3)


def suspended(**world: Any) -> World:
    class Elsewhere(World):
        def answer(self, step: Step) -> Any:
            answer = super().answer(step)
            if isinstance(step, Suspend):
                return State(StateType.PAUSED, "Suspended", step.message, 1.0, step.data)
            return answer

    return Elsewhere([SuspendSignal("for Ann")], **world)


def test_a_suspended_flow_settles_and_gives_itself_up() -> None:
    world = suspended()
    end = world.talk(plan(FLOW, owns_children=True, is_root=True))
    assert (end.type, end.name, end.message) == (StateType.PAUSED, "Suspended", "for Ann")
    with pytest.raises(SuspendedRun, match="flowstone run resume r1"):
        end.result()
    names = [type(step).__name__ for step in world.steps]
    assert names == ["Record", "Log", "CallFunction", "FinishChildren", "Log", "Suspend"]
    assert world.steps[3] == FinishChildren(None)  # what was submitted may finish


@pytest.mark.parametrize("fault", [3, 5])
def test_what_comes_between_ends_it_after_all(fault: int) -> None:
    world = suspended(faults={fault: CancelSignal()})
    end = world.talk(plan(FLOW, owns_children=True, is_root=True))
    assert end.name == "Cancelled"
    assert world.states[-1] == "Cancelled"


@pytest.mark.parametrize("fault", [4, 5, 6])
def test_a_request_that_comes_into_its_own_suspension_asks_for_the_same(fault: int) -> None:
    world = suspended(faults={fault: SuspendSignal()})
    end = world.talk(plan(FLOW, owns_children=True, is_root=True))
    assert end.name == "Suspended"
    assert world.states == ["Running"]


def test_a_request_that_comes_into_the_last_word_is_too_late() -> None:
    world = World([7], faults={5: SuspendSignal()})
    assert world.talk(plan(FLOW, owns_children=True, is_root=True)).result() == 7
    assert world.states[-2:] == ["Completed", "Completed"]  # said again
    assert world.of(Suspend) == []


def test_only_who_owns_the_run_suspends_it() -> None:
    for kind in ("task", "flow"):
        world = suspended()
        end = world.talk(plan(Spec(kind, "t"), owns_children=kind == "flow"))
        assert world.of(Suspend) == []
        assert end.name == "Cancelled"
