"""The life of a run, talked to with no store, clock or loop."""

from __future__ import annotations

from typing import Any

import pytest

from flowstone.engine.steps import (
    Await,
    CallFunction,
    CallHook,
    FinishChildren,
    Iterate,
    Log,
    Sleep,
    Unlock,
    YieldProgress,
)
from flowstone.errors import (
    CancelSignal,
    ClosedEarly,
    FencedRun,
    RunTimeout,
    StoreBusy,
    TerminationSignal,
    UpstreamTaskError,
)
from flowstone.records.specs import Spec
from flowstone.settings import Settings
from flowstone.states import Completed, Failed, State, StateType

from .talking import World, plan


class Told:
    """A promise whose end is known."""

    observed = False

    def __init__(self, name: str, end: State, *, done: bool = True) -> None:
        self.name, self.run_id, self._end, self._done = name, name, end, done

    def done(self) -> bool:
        return self._done

    def final_state(self) -> State:
        return self._end


def test_a_task_that_returns_is_completed() -> None:
    world = World([7])
    assert world.talk(plan()).result() == 7
    assert world.states == ["Running", "Completed"]


def test_a_task_that_raises_is_failed_with_its_error() -> None:
    error = ValueError("no")
    world = World([error])
    end = world.talk(plan())
    assert (end.type, end.message) == (StateType.FAILED, "ValueError: no")
    assert end.data is error
    assert world.states == ["Running", "Failed"]


def test_a_function_that_yields_is_iterated_over_and_not_called() -> None:
    world = World(["returned"])
    assert world.talk(plan(progress=YieldProgress())).result() == "returned"
    assert (len(world.of(Iterate)), world.of(CallFunction)) == (1, [])


def test_to_be_closed_early_is_a_good_end_and_settles_what_was_submitted() -> None:
    progress = YieldProgress()
    progress.closed = ClosedEarly("t", 2, "its consumer")
    world = World([progress.closed])
    end = world.talk(plan(Spec("task", "t", retries=3), progress=progress, owns_children=True))
    assert (end.type, end.message) == (
        StateType.COMPLETED,
        "closed by its consumer after 2 values",
    )
    assert world.of(FinishChildren) == [FinishChildren(progress.closed)]
    assert end.data is None


def test_that_another_run_was_closed_early_is_a_failure() -> None:
    closed = ClosedEarly("other", 2, "the end of its flow")
    assert World([closed]).talk(plan(progress=YieldProgress())).is_failed()
    assert World([closed]).talk(plan()).is_failed()


@pytest.mark.parametrize("interrupt", [TerminationSignal(), KeyboardInterrupt()])
def test_an_interrupt_of_the_last_line_does_not_keep_the_end_from_being_recorded(
    interrupt: BaseException,
) -> None:
    world = World([ValueError("no")], faults={2: interrupt})
    with pytest.raises(type(interrupt)):
        world.talk(plan())
    assert isinstance(world.steps[2], Log)
    assert world.states == ["Running", "Failed"]


def test_nothing_is_retried_that_has_handed_out_values() -> None:
    progress = YieldProgress()
    world = World([ValueError("1"), 2])
    assert world.talk(plan(Spec("task", "t", retries=3), progress=progress)).is_completed()
    progress.count = 1
    world = World([ValueError("1"), 2])
    assert world.talk(plan(Spec("task", "t", retries=3), progress=progress)).is_failed()


def test_a_retry_waits_and_says_so_in_the_state() -> None:
    world = World([ValueError("1"), ValueError("2"), 3])
    spec = Spec("task", "t", retries=2, retry_delay_seconds=[0.5, 2])
    assert world.talk(plan(spec)).result() == 3
    assert world.states == [
        "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying", "Completed",
    ]  # fmt: skip
    assert [step.seconds for step in world.of(Sleep)] == [0.5, 2]


def test_retries_end() -> None:
    world = World([ValueError(str(number)) for number in range(4)])
    end = world.talk(plan(Spec("task", "t", retries=3)))
    assert end.is_failed()
    assert len(world.of(CallFunction)) == 4


def test_retries_come_from_the_settings_where_the_task_does_not_say() -> None:
    world = World([ValueError(), 1])
    settings = Settings(task_retries=1, task_retry_delay_seconds=9)
    assert world.talk(plan(settings=settings)).is_completed()
    assert world.of(Sleep) == [Sleep(9)]


def test_a_delay_function_is_asked_with_the_number_of_retries() -> None:
    asked = []

    def delays(retries: int) -> list[float]:
        asked.append(retries)
        return [1.0, 4.0]

    world = World([ValueError(), ValueError(), ValueError(), 1])
    world.talk(plan(Spec("task", "t", retries=3, retry_delay_seconds=delays)))
    assert set(asked) == {3}
    assert [step.seconds for step in world.of(Sleep)] == [1.0, 4.0, 4.0]


def test_jitter_lengthens_the_delay_the_same_way_each_time() -> None:
    spec = Spec("task", "t", retries=5, retry_delay_seconds=10, retry_jitter_factor=0.5)
    seconds: list[list[float]] = []
    for _ in range(2):
        world = World([ValueError() for _ in range(5)] + [1])
        world.talk(plan(spec))
        seconds.append([step.seconds for step in world.of(Sleep)])
    assert seconds[0] == seconds[1]
    assert all(10 <= second <= 15 for second in seconds[0])
    assert len(set(seconds[0])) > 1


def test_a_condition_that_says_no_ends_the_retries() -> None:
    seen: list[Any] = []

    def condition(*args: Any) -> bool:
        seen.append(args)
        return False

    def consult(fn: Any, unit: Any, state: State) -> Any:
        return fn(unit, "the run", state)

    world = World([ValueError("x")], consult=consult)
    end = world.talk(plan(Spec("task", "t", retries=5, retry_condition_fn=condition)))
    assert end.is_failed()
    assert len(world.of(CallFunction)) == 1
    assert seen[0][2].data.args == ("x",)


def test_a_condition_that_raises_does_not_hide_the_failure() -> None:
    def consult(*_: Any) -> Any:
        raise KeyError("broken")

    world = World([ValueError("x")], consult=consult)
    end = world.talk(plan(Spec("task", "t", retries=5, retry_condition_fn=print)))
    assert end.message == "ValueError: x"
    told = "not retried: retry_condition_fn raised KeyError: 'broken'"
    assert told in [step.message for step in world.of(Log)]


def test_a_hook_that_raises_changes_nothing() -> None:
    def consult(*_: Any) -> Any:
        raise KeyError("broken")

    spec = Spec("task", "t", hooks={StateType.COMPLETED: (print,)})
    world = World([1], consult=consult)
    assert world.talk(plan(spec)).is_completed()
    assert world.of(Log)[0].message == "hook 'print' raised KeyError: 'broken'"


def test_hooks_come_after_their_state_is_recorded() -> None:
    spec = Spec("task", "t", hooks={StateType.RUNNING: (print,), StateType.FAILED: (print,)})
    world = World([ValueError()])
    world.talk(plan(spec))
    kinds = [type(step).__name__ for step in world.steps]
    assert kinds == ["Record", "CallHook", "CallFunction", "Log", "Record", "CallHook"]
    assert [step.state.type for step in world.of(CallHook)] == ["RUNNING", "FAILED"]


@pytest.mark.parametrize(
    ("error", "kind", "name"),
    [
        (KeyboardInterrupt(), StateType.CANCELLED, "Cancelled"),
        (TerminationSignal("SIGTERM"), StateType.CRASHED, "Crashed"),
        (SystemExit(3), StateType.CRASHED, "Crashed"),
        (RunTimeout("t", 5), StateType.FAILED, "TimedOut"),
        (GeneratorExit(), StateType.CRASHED, "Crashed"),
        (StopIteration(3), StateType.FAILED, "Failed"),
    ],
)
def test_what_ends_a_run_names_its_end(error: BaseException, kind: StateType, name: str) -> None:
    end = World([error]).talk(plan())
    assert (end.type, end.name) == (kind, name)


def test_an_interrupt_is_not_retried() -> None:
    world = World([KeyboardInterrupt()])
    world.talk(plan(Spec("task", "t", retries=5)))
    assert len(world.of(CallFunction)) == 1


def test_a_timeout_is_retried() -> None:
    world = World([RunTimeout("t", 1), 5])
    assert world.talk(plan(Spec("task", "t", retries=1))).result() == 5


def test_an_interrupt_during_the_wait_for_a_retry_cancels() -> None:
    world = World([ValueError()], faults={4: KeyboardInterrupt()})
    end = world.talk(plan(Spec("task", "t", retries=1, retry_delay_seconds=60)))
    assert isinstance(world.steps[4], Sleep)
    assert end.is_cancelled()
    assert world.states[-1] == "Cancelled"


def test_a_fenced_run_writes_nothing_more() -> None:
    world = World([FencedRun("t-0", "Crashed")])
    end = world.talk(plan(owns_children=True))
    assert isinstance(end.data, FencedRun)
    assert world.states == ["Running"]
    assert len(world.of(FinishChildren)) == 1


def test_a_store_that_fails_twice_lets_its_error_out() -> None:
    error = StoreBusy("x.db", 60)
    with pytest.raises(StoreBusy):
        World([1], faults={1: error, 3: error}).talk(plan())


def test_a_flow_settles_before_it_is_judged() -> None:
    world = World([1])
    assert world.talk(plan(Spec("flow", "f"), owns_children=True)).is_completed()
    kinds = [type(step).__name__ for step in world.steps]
    assert kinds.index("CallFunction") < kinds.index("FinishChildren") < len(kinds) - 1


def test_an_unseen_failure_fails_the_flow() -> None:
    bad = Told("load-3", Failed("ValueError: no", data=ValueError("no")))
    end = World([1], unseen=[bad]).talk(plan(Spec("flow", "f"), owns_children=True))
    assert end.is_failed()
    assert "load-3" in str(end.message)
    with pytest.raises(ValueError, match="no"):
        end.result()


def test_a_flow_whose_function_raised_tells_its_tasks_why() -> None:
    error = ValueError("x")
    world = World([error])
    world.talk(plan(Spec("flow", "f"), owns_children=True))
    assert world.of(FinishChildren) == [FinishChildren(error)]


def test_a_second_interrupt_while_settling_does_not_hide_the_first() -> None:
    world = World([KeyboardInterrupt()], faults={3: KeyboardInterrupt()})
    end = world.talk(plan(Spec("flow", "f"), owns_children=True))
    assert isinstance(world.steps[3], FinishChildren)
    assert end.is_cancelled()


def test_an_interrupt_of_a_wait_for_tasks_that_may_finish_ends_the_flow() -> None:
    world = World([ValueError("first")], faults={3: KeyboardInterrupt()})
    end = world.talk(plan(Spec("flow", "f", retries=3), owns_children=True))
    assert end.type is StateType.CANCELLED
    errors = [type(step.error) for step in world.of(FinishChildren)]
    assert errors[:2] == [ValueError, KeyboardInterrupt]
    assert len(world.of(CallFunction)) == 1


def test_returned_states_decide() -> None:
    flow = Spec("flow", "f")
    good, bad = Completed(data=1), Failed("no", data=ValueError("no"))
    assert World([good]).talk(plan(flow, owns_children=True)).result() == 1
    assert World([bad]).talk(plan(flow, owns_children=True)).is_failed()
    mixed = World([[good, bad]]).talk(plan(flow, owns_children=True))
    assert (mixed.type, mixed.message) == (StateType.FAILED, "1 of 2 did not complete: Failed no")


def test_what_is_waited_for_comes_first_and_its_failure_is_ours() -> None:
    waiting = Told("a-0", Failed("no"), done=False)
    world = World()
    end = world.talk(plan(upstream=[(waiting, False)]))
    assert isinstance(end.data, UpstreamTaskError)
    assert end.name == "UpstreamFailed"
    assert world.of(Await) == [Await([waiting])]  # type: ignore[list-item]
    assert world.of(CallFunction) == []
    assert waiting.observed


def test_a_failure_that_is_allowed_is_passed_on() -> None:
    world = World([2])
    assert world.talk(plan(upstream=[(Told("a-0", Failed("no")), True)])).result() == 2


def test_an_interrupt_in_the_last_word_is_said_after_it() -> None:
    world = World([1], faults={2: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        world.talk(plan())
    assert world.states == ["Running", "Completed", "Completed"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), CancelSignal(), TerminationSignal("x")])
def test_an_interrupt_while_the_end_is_logged_does_not_lose_the_end(stop: BaseException) -> None:
    world = World([ValueError()], faults={2: stop})
    with pytest.raises(type(stop)):
        world.talk(plan())
    assert world.states == ["Running", "Failed"]
    assert len(world.of(Log)) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), FencedRun("t", "Crashed"), ValueError()])
def test_a_look_that_was_not_finished_is_ended_too(error: BaseException) -> None:
    world = World([1], faults={0: error})
    keeping: Any = object()
    world.talk(plan(cache=keeping))
    assert world.of(Unlock) == [Unlock(None)]
