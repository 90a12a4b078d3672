"""Talk to a life: take its steps, and answer as a world would."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from flowstone.engine.lifecycle import Plan, life
from flowstone.engine.steps import Admit, Call, Dismiss, Iterate, Queue, Record, Settle, Step
from flowstone.records.specs import Spec
from flowstone.settings import Settings
from flowstone.states import State

NOTHING = object()


def plan(spec: Spec | None = None, *, settles: bool = False, **options: Any) -> Plan:
    return Plan(
        unit="the unit",
        spec=spec or Spec("task", "t"),
        settings=options.pop("settings", Settings()),
        run_id="r1",
        run_name="t-0",
        fn=print,
        args=(),
        kwargs={},
        settles=settles,
        **options,
    )


def talked(story: Generator[Step, Any, State], answer: Callable[[Step], Any]) -> State:
    """Take the steps of a story out, hand the answers in, and return its end."""
    try:
        step = next(story)
        while True:
            try:
                given = answer(step)
            except BaseException as error:
                step = story.throw(error)
            else:
                step = story.send(given)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


class Turnstile:
    """A turn that says what it is told to, and knows whether its slots are held."""

    def __init__(self, in_the_way: str | None = None) -> None:
        self.in_the_way = in_the_way
        self.held = False

    def take(self) -> str | None:
        self.held = self.in_the_way is None
        return self.in_the_way

    def wait(self) -> None:
        self.held = True

    async def await_slots(self) -> None:
        self.held = True

    def give_back(self) -> None:
        self.held = False


class World:
    """Answers each step; what a function does is a list of outcomes, one for each call."""

    def __init__(
        self,
        outcomes: Sequence[Any] = (),
        *,
        unseen: Sequence[Any] = (),
        consult: Callable[..., Any] = lambda *_: None,
        faults: dict[int, BaseException] | None = None,
    ) -> None:
        self.outcomes = list(outcomes)
        self.unseen = list(unseen)
        self.consult = consult
        self.faults = faults or {}
        self.steps: list[Step] = []

    def answer(self, step: Step) -> Any:
        number = len(self.steps)
        self.steps.append(step)
        if number in self.faults:
            raise self.faults[number]
        if isinstance(step, Record):
            return State(step.type, step.name, step.message, 1.0, step.data)
        if isinstance(step, (Call, Iterate)):
            outcome = self.outcomes.pop(0)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        if isinstance(step, Admit):
            return step.turn.take()
        if isinstance(step, Queue):
            return step.turn.wait()
        if isinstance(step, Dismiss):
            return step.turn.give_back()
        if isinstance(step, Settle):
            return self.unseen
        if step.__class__.__name__ == "Consult":
            return self.consult(*step)
        return None

    def talk(self, plan: Plan) -> State:
        return talked(life(plan), self.answer)

    @property
    def states(self) -> list[str]:
        return [step.name for step in self.steps if isinstance(step, Record)]

    def of(self, kind: type[Any]) -> list[Any]:
        return [step for step in self.steps if isinstance(step, kind)]
