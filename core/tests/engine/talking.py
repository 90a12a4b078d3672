"""Talk to a life: take its steps, and answer as a world would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flowstone.engine.lifecycle import CallPlan, Continuation, Lifecycle, lifecycle
from flowstone.engine.steps import (
    AcquireSlots,
    AwaitSlots,
    CallFunction,
    CallHook,
    FinishChildren,
    Iterate,
    Record,
    ReleaseSlots,
    Step,
)
from flowstone.records.specs import Spec
from flowstone.settings import Settings
from flowstone.states import State

NOTHING = object()


def plan(spec: Spec | None = None, *, owns_children: bool = False, **options: Any) -> CallPlan:
    return CallPlan(
        unit="the unit",
        spec=spec or Spec("task", "t"),
        settings=options.pop("settings", Settings()),
        run_id="r1",
        run_name="t-0",
        fn=print,
        args=(),
        kwargs={},
        owns_children=owns_children,
        **options,
    )


def talked(story: Lifecycle, answer: Callable[[Step], Any]) -> State:
    """Take the steps of a story out, hand the answers in, and return its end."""
    given: object = None
    error: BaseException | None = None
    while True:
        try:
            step = story.send(given) if error is None else story.throw(error)
            while True:
                try:
                    given = answer(step)
                except BaseException as raised:
                    step = story.throw(raised)
                else:
                    step = story.send(given)
        except StopIteration as stop:
            if not isinstance(stop.value, Continuation):
                return stop.value  # type: ignore[no-any-return]
            story, given, error = stop.value


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
        if isinstance(step, (CallFunction, Iterate)):
            outcome = self.outcomes.pop(0)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        if isinstance(step, AcquireSlots):
            return step.request.take()
        if isinstance(step, AwaitSlots):
            return step.request.wait()
        if isinstance(step, ReleaseSlots):
            return step.request.give_back()
        if isinstance(step, FinishChildren):
            return self.unseen
        if isinstance(step, CallHook):
            return self.consult(step.fn, step.unit, step.state)
        return None

    def talk(self, plan: CallPlan) -> State:
        return talked(lifecycle(plan), self.answer)

    @property
    def states(self) -> list[str]:
        return [step.name for step in self.steps if isinstance(step, Record)]

    def of(self, kind: type[Any]) -> list[Any]:
        return [step for step in self.steps if isinstance(step, kind)]
