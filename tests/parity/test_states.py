"""States: their constructors, what they are asked, and how failures are got at."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from tests.parity.conftest import runs

from flowstone import states
from flowstone.errors import (
    CancelledRun,
    ConfigurationError,
    CrashedRun,
    FailedRun,
    MissingResult,
    UnfinishedRun,
)
from flowstone.records.states import MISSING
from flowstone.states import NEXT, TERMINAL, State, StateType

if TYPE_CHECKING:
    from tests.parity.conftest import Program

#: The type of each constructor's state; its name is the constructor's.
CONSTRUCTORS = {
    "Scheduled": "SCHEDULED", "Late": "SCHEDULED", "AwaitingRetry": "SCHEDULED",
    "AwaitingConcurrencySlot": "SCHEDULED", "Pending": "PENDING", "Submitting": "PENDING",
    "InfrastructurePending": "PENDING", "Running": "RUNNING", "Retrying": "RUNNING",
    "Completed": "COMPLETED", "Failed": "FAILED", "Crashed": "CRASHED",
    "Cancelling": "CANCELLING", "Cancelled": "CANCELLED", "Paused": "PAUSED",
    "Suspended": "PAUSED",
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_constructors(name: str) -> None:
    state = getattr(states, name)(message="why")
    assert isinstance(state, State)
    assert (state.type.value, state.name, state.message) == (CONSTRUCTORS[name], name, "why")
    assert abs(state.timestamp - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    asked = {kind.value: getattr(state, f"is_{kind.value.lower()}")() for kind in StateType}
    assert asked == {kind.value: kind.value == CONSTRUCTORS[name] for kind in StateType}
    assert state.is_final() == (state.type in TERMINAL)


def test_terminal_types() -> None:
    assert {kind.value for kind in TERMINAL} == {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
    assert set(NEXT) == set(StateType)


def test_results_of_states() -> None:
    assert states.Completed(data=7).result() == 7
    error = ValueError("no")
    assert states.Failed(data=error).result(raise_on_failure=False) is error
    for state, kind, told in (
        (states.Failed(data=error), ValueError, "no"),
        (states.Failed("why"), FailedRun, "^the run failed: why$"),
        (states.Crashed("why"), CrashedRun, "^the run crashed: why$"),
        (states.Cancelled("why"), CancelledRun, "^the run was cancelled: why$"),
        (states.Running(), UnfinishedRun, "^the run is running: wait"),
        (states.Completed(data=MISSING), MissingResult, "^the value of the run is not stored"),
    ):
        with pytest.raises(kind, match=told):
            state.result()


def test_exceptions_of_states() -> None:
    error = ValueError("no")
    assert states.get_state_exception(states.Failed(data=error)) is error
    assert isinstance(states.get_state_exception(states.Crashed("why")), CrashedRun)
    with pytest.raises(ValueError, match="no"):
        states.raise_state_exception(states.Failed(data=error))
    with pytest.raises(CancelledRun):
        states.raise_state_exception(states.Cancelled())
    states.raise_state_exception(states.Completed())
    states.raise_state_exception(states.Running())
    with pytest.raises(ConfigurationError, match="has not failed"):
        states.get_state_exception(states.Completed())


def test_states_of_a_run_are_asked(program: Program) -> None:
    made = program("""
        from prefect import flow, task
        from prefect.states import Completed, State, get_state_exception, raise_state_exception

        @task
        def divide(a, b): return a / b

        @flow
        def f():
            good: State = divide(1, 2, return_state=True)
            bad = divide(1, 0, return_state=True)
            assert good.is_completed() and good.result() == 0.5
            assert bad.is_failed() and bad.is_final() and not bad.is_completed()
            assert isinstance(get_state_exception(bad), ZeroDivisionError)
            try:
                raise_state_exception(bad)
            except ZeroDivisionError:
                return Completed(message="half of it", data=good.result())

        value = f()
    """)
    assert made.value == 0.5
    assert runs("f")[0].state.message == "half of it"


def test_names_that_the_engine_gives(program: Program) -> None:
    program("""
        import time
        from prefect import flow, task
        from prefect.cache_policies import INPUTS

        tries = []

        @task(cache_policy=INPUTS, persist_result=True)
        def cached(x): return x

        @task(retries=1)
        def again():
            tries.append(1)
            if len(tries) == 1:
                raise ValueError

        @task(timeout_seconds=0.01)
        def slow():
            while True:
                time.sleep(0.002)

        @flow
        def f():
            states = [t(return_state=True) for t in (again, slow)]
            return [s.name for s in [cached(1, return_state=True), cached(1, return_state=True)]
                    + states]

        assert f() == ["Completed", "Cached", "Completed", "TimedOut"]
    """)
