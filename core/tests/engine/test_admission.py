"""The life of a run under limits: when it takes slots, waits for them, and gives them back."""

from __future__ import annotations

from contextlib import suppress

import pytest

from flowstone.engine.steps import (
    AcquireSlots,
    AwaitSlots,
    CallFunction,
    Record,
    ReleaseSlots,
    Sleep,
    Step,
)
from flowstone.errors import CancelSignal, FencedRun, StoreBusy
from flowstone.records.specs import Spec
from flowstone.states import StateType

from .talking import Turnstile, World, plan


def told(steps: list[Step]) -> list[str]:
    shown = (AcquireSlots, AwaitSlots, ReleaseSlots, Record, CallFunction, Sleep)
    return [
        step.name if isinstance(step, Record) else type(step).__name__
        for step in steps
        if isinstance(step, shown)
    ]


def test_a_run_without_limits_is_not_asked() -> None:
    world = World([1])
    world.talk(plan())
    assert told(world.steps) == ["Running", "CallFunction", "Completed"]


def test_slots_are_taken_before_it_runs_and_given_back_after_its_end_is_kept() -> None:
    world = World([1])
    world.talk(plan(slot_request=Turnstile()))
    assert told(world.steps)[:5] == [
        "AcquireSlots",
        "Running",
        "CallFunction",
        "Completed",
        "ReleaseSlots",
    ]


def test_it_waits_in_a_state_that_says_for_what() -> None:
    world = World([1])
    world.talk(plan(slot_request=Turnstile("limit 'tag:db' has 1 slot, held by 'load-0'")))
    assert told(world.steps)[:4] == [
        "AcquireSlots",
        "AwaitingConcurrencySlot",
        "AwaitSlots",
        "Running",
    ]
    waiting = world.of(Record)[0]
    assert waiting.type is StateType.SCHEDULED
    assert waiting.message == "limit 'tag:db' has 1 slot, held by 'load-0'"


def test_between_retries_it_holds_nothing() -> None:
    turn = Turnstile()
    held: list[bool] = []

    class Watching(World):
        def answer(self, step: Step) -> object:
            if isinstance(step, (Sleep, CallFunction)):
                held.append(turn.held)
            return super().answer(step)

    world = Watching([ValueError(), 1])
    end = world.talk(plan(Spec("task", "t", retries=1, retry_delay_seconds=5), slot_request=turn))
    assert end.is_completed()
    assert held == [True, False, True]
    assert told(world.steps)[:9] == [
        "AcquireSlots", "Running", "CallFunction", "AwaitingRetry", "ReleaseSlots", "Sleep",
        "AcquireSlots", "Retrying", "CallFunction",
    ]  # fmt: skip


def test_hooks_of_the_end_hold_nothing() -> None:
    turn = Turnstile()
    held: list[bool] = []
    spec = Spec("task", "t", hooks={StateType.FAILED: (lambda *_: None,)})
    world = World([ValueError()], consult=lambda *_: held.append(turn.held))
    world.talk(plan(spec, slot_request=turn))
    assert held == [False]


@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("in_the_way", [None, "full"])
@pytest.mark.parametrize(
    "error", [ValueError(), KeyboardInterrupt(), CancelSignal(), StoreBusy("x", 1),
              FencedRun("t", "Crashed")], ids=lambda error: type(error).__name__
)  # fmt: skip
def test_whatever_happens_the_slots_are_given_back(
    number: int, in_the_way: str | None, error: BaseException
) -> None:
    turn = Turnstile(in_the_way)
    world = World([ValueError(), 1], faults={number: error})
    with suppress(type(error)):
        world.talk(plan(Spec("task", "t", retries=1), slot_request=turn))
    assert not turn.held
