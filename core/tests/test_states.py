from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, fields
from typing import cast

import pytest

from flowstone import flow, task
from flowstone.context.current import Services
from flowstone.errors import (
    CancelledRun,
    ConfigurationError,
    CrashedRun,
    FailedRun,
    FlowstoneError,
    MissingResult,
    UnfinishedRun,
)
from flowstone.records.runs import RunQuery
from flowstone.records.states import (
    BIRTH,
    FAILED,
    MISSING,
    NEXT,
    TERMINAL,
    Cancelled,
    Completed,
    Crashed,
    Failed,
    InfrastructurePending,
    Running,
    State,
    StateType,
    Submitting,
    build_state,
    get_state_exception,
    raise_state_exception,
)


def test_the_table_knows_every_type() -> None:
    assert set(NEXT) == set(StateType)
    assert set(StateType) >= BIRTH


@pytest.mark.parametrize("end", sorted(TERMINAL))
def test_an_end_is_only_left_by_a_retry(end: StateType) -> None:
    assert NEXT[end] <= {StateType.SCHEDULED}


@pytest.mark.parametrize("kind", sorted(set(StateType) - TERMINAL))
def test_every_state_can_be_ended_by_a_crash(kind: StateType) -> None:
    assert StateType.CRASHED in NEXT[kind]


def test_a_state_gives_its_value_or_raises_what_it_ended_with() -> None:
    assert Completed(data=3).result() == 3
    error = ValueError("no")
    with pytest.raises(ValueError, match="no") as caught:
        Failed(data=error).result()
    assert caught.value is error
    assert Failed(data=error).result(raise_on_failure=False) is error


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (Failed("x"), FailedRun),
        (Crashed("x"), CrashedRun),
        (Cancelled("x"), CancelledRun),
        (Running(), UnfinishedRun),
        (Completed(data=MISSING), MissingResult),
    ],
)
def test_a_state_without_its_data_says_what_it_is(state: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        state.result()  # type: ignore[attr-defined]


def test_what_a_run_failed_with_is_got_at() -> None:
    error = KeyError("k")
    assert get_state_exception(Failed(data=error)) is error
    assert isinstance(get_state_exception(Crashed("gone")), CrashedRun)
    with pytest.raises(KeyError):
        raise_state_exception(Failed(data=error))
    raise_state_exception(Completed())
    raise_state_exception(Running())
    for state in (Completed(), Running()):
        with pytest.raises(ConfigurationError, match=f"{state.name} has not failed"):
            get_state_exception(state)


def test_ways_to_be_pending() -> None:
    for state in (Submitting("so"), InfrastructurePending("so")):
        assert state.is_pending()
        assert state.message == "so"


@pytest.mark.parametrize("kind", StateType)
def test_a_type_may_be_given_by_its_name(kind: StateType) -> None:
    for name in (kind.value, kind.value.lower(), kind.value.capitalize()):
        state = State(type=cast("StateType", name))
        assert state.type is kind
        assert state.name == kind.value.capitalize()
        assert getattr(state, f"is_{kind.value.lower()}")()
        assert state.is_final() is (kind in TERMINAL)


@pytest.mark.parametrize("kind", ["", "DONE", "Retrying", None, 1, "COMPLETED "])
def test_what_is_no_type_is_refused_at_once(kind: object) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no .*Use one: SCHEDULED, PENDING"):
        State(type=cast("StateType", kind))


# -- names of errors -----------------------------------------------------------------------------


class StationBroken(FlowstoneError):
    state_name = "StationBroken"


class StationMoved(FlowstoneError):
    state_name = "Moved"


@pytest.mark.parametrize(
    ("error", "name", "message"),
    [
        (StationBroken("since noon"), "StationBroken", "since noon"),
        (StationMoved("last year"), "Moved", "StationMoved: last year"),
        (FlowstoneError("why"), "Failed", "FlowstoneError: why"),
        (ValueError("why"), "Failed", "ValueError: why"),
    ],
)
def test_an_error_names_the_state_that_a_run_gets_by_it(
    services: Services, error: Exception, name: str, message: str
) -> None:
    @task
    def read() -> None:
        raise error

    @flow
    def main() -> None:
        read()

    state = main(return_state=True)
    assert (state.type, state.name, state.message) == (FAILED, name, message)
    runs = services.runs.runs(RunQuery(listed=True))
    assert runs[0].state.name == name
    with pytest.raises(type(error)):
        state.result()


def test_nobody_changes_a_state_whichever_way_it_was_made() -> None:
    @task
    def work() -> int:
        return 3

    @flow
    def outer() -> list[State]:
        called: State = work(return_state=True)
        future = work.submit()
        future.wait()
        return [called, future.state]

    ended: State = outer(return_state=True)
    ends = [Completed(data=3), build_state(FAILED, "Failed", "no", 1.0), ended, *ended.result()]
    for state in ends:
        assert type(state) is State
        for field in fields(state):
            with pytest.raises(FrozenInstanceError):
                setattr(state, field.name, None)
            with pytest.raises(FrozenInstanceError):
                delattr(state, field.name)


def test_a_state_that_the_engine_builds_is_like_any_other() -> None:
    built = build_state(FAILED, "TimedOut", "late", 1.5, 3)
    made = State(FAILED, "TimedOut", "late", 1.5, 3)
    assert (built, hash(built), repr(built)) == (made, hash(made), repr(made))
    for again in (pickle.loads(pickle.dumps(built)), deepcopy(built)):
        assert (again, again.data) == (made, 3)
