"""A plain run goes through the same steps as by the full lifecycle, whatever happens in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowstone.engine.lifecycle import (
    CallPlan,
    Lifecycle,
    lifecycle,
    yield_plain_steps,
    yield_steps,
)
from flowstone.engine.steps import CallFunction, Record, YieldProgress
from flowstone.errors import FencedRun
from flowstone.records.specs import Spec
from flowstone.records.states import COMPLETED, RUNNING, Completed, Failed, State

from .talking import Turnstile, World, plan, talked
from .test_life import Told
from .test_lives import ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone.engine.steps import Step


UNSEEN = ArithmeticError("no")


class Awkward(list[object]):
    """A value that can't be looked into."""

    def __iter__(self) -> Any:
        raise UNSEEN


VALUES = [7, None, "text", [1, 2], {"a": (1,)}, Completed(data=3), [Completed(), Failed("no")]]
errors = st.sampled_from([*ERRORS, GeneratorExit]).map(lambda make: make())
raised = st.one_of(errors, st.builds(StopIteration, st.integers()))
outcomes = st.lists(st.one_of(st.sampled_from(VALUES), raised), min_size=6, max_size=6)
faults = st.dictionaries(st.integers(0, 12), errors, max_size=3)


def tell(
    live: Callable[[CallPlan], Lifecycle],
    plan: CallPlan,
    outcomes: list[Any],
    faults: Mapping[int, BaseException],
) -> tuple[list[Step], object, object]:
    """Return the steps of a life, and how it ended: its state and value, or its error."""
    world = World(outcomes, faults=dict(faults))
    try:
        end = talked(live(plan), world.answer)
    except BaseException as error:
        return world.steps, type(error), error if error in faults.values() else str(error)
    return world.steps, replace(end, at=0.0), end.data


def test_a_plain_life_has_three_steps() -> None:
    asked = plan()
    assert asked.is_plain
    steps, end, _ = tell(lifecycle, asked, [7], {})
    assert steps == [
        Record(RUNNING, "Running"),
        CallFunction(print, (), {}),
        Record(COMPLETED, "Completed", None, 7),
    ]
    assert isinstance(end, State)
    assert end.result() == 7
    assert steps == tell(yield_steps, asked, [7], {})[0]


@settings(max_examples=500, deadline=None)
@given(outcomes=outcomes, faults=faults, retries=st.integers(0, 2))
@example(outcomes=[FencedRun("t", "Crashed")], faults={}, retries=1)
@example(outcomes=[StopIteration(3)], faults={}, retries=0)
def test_the_short_life_and_the_full_one_say_the_same(
    outcomes: list[Any], faults: dict[int, BaseException], retries: int
) -> None:
    asked = plan(Spec("task", "t", retries=retries, retry_delay_seconds=1))
    assert asked.is_plain
    assert tell(yield_plain_steps, asked, outcomes, faults) == tell(
        yield_steps, asked, outcomes, faults
    )


def test_a_value_that_can_not_be_looked_into_fails_the_run_in_both() -> None:
    short, full = (
        tell(live, plan(), [Awkward("x")], {}) for live in (yield_plain_steps, yield_steps)
    )
    assert short == full
    assert short[2] is UNSEEN


@pytest.mark.parametrize(
    "options",
    [
        {"spec": Spec("flow", "f")},
        {"spec": Spec("task", "t", hooks={COMPLETED: (print,)})},
        {"owns_children": True},
        {"is_root": True},
        {"upstream": [(Told("a", Completed(data=1)), False)]},
        {"cache": object()},
        {"transaction": object()},
        {"slot_request": Turnstile()},
        {"progress": YieldProgress()},
    ],
    ids=[
        "flow",
        "hooks",
        *"owns_children is_root upstream cache transaction slot_request".split(),
        "progress",
    ],
)
def test_what_more_is_wanted_of_is_told_in_full(options: dict[str, Any]) -> None:
    assert not plan(options.pop("spec", None), **options).is_plain
