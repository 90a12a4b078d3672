from __future__ import annotations

import pytest

from flowstone.errors import CancelledRun, CrashedRun, FailedRun, MissingResult, UnfinishedRun
from flowstone.states import (
    BIRTH,
    MISSING,
    NEXT,
    TERMINAL,
    Cancelled,
    Completed,
    Crashed,
    Failed,
    Running,
    StateType,
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
