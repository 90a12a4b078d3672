from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from flowstone import flow, task
from flowstone.context.current import Services
from flowstone.errors import ParameterBindError, ParameterError, ParameterTypeError
from flowstone.records.runs import RunQuery
from flowstone.states import State

pytestmark = pytest.mark.usefixtures("services")

told: list[str] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    told.clear()


def tell(_flow: object, _run: object, state: State) -> None:
    told.append(state.name)


def body(x: int, pw: SecretStr | None = None) -> int:
    told.append("called")
    return x


async def abody(x: int) -> int:
    return body(x)


def many(x: int) -> Any:
    yield body(x)


typed: Any = flow(on_failure=[tell], retries=2)


def call(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> State:
    state: Any = typed(fn)(*args, **kwargs, return_state=True)
    return asyncio.run(state) if asyncio.iscoroutine(state) else state


@pytest.mark.parametrize("fn", [body, abody, many])
@pytest.mark.parametrize(
    ("args", "kwargs", "error"),
    [
        (("many",), {}, ParameterTypeError),
        ((), {}, ParameterBindError),
        ((1, 2, 3), {}, ParameterBindError),
        ((1,), {"y": 2}, ParameterBindError),
        ((1,), {"x": 2}, ParameterBindError),
    ],
)
def test_bad_parameters_are_a_failed_state(
    fn: Callable[..., Any], args: Any, kwargs: Any, error: type[Exception], services: Services
) -> None:
    state = call(fn, *args, **kwargs)
    assert state.is_failed()
    with pytest.raises(error):
        state.result()
    [run] = services.runs.runs(RunQuery())
    assert (run.state.name, run.attempt, told) == ("Failed", 0, ["Failed"])


def test_a_value_that_does_not_fit_is_shown_nowhere(services: Services) -> None:
    named = typed(body).with_options(flow_run_name="for {pw}")
    state = named("many", pw="hunter2-hunter2", return_state=True)
    [run] = services.runs.runs(RunQuery())
    assert state.is_failed()
    assert run.parameters is None
    assert "hunter2" not in f"{run} {state.message}"


def test_a_child_flow_with_bad_parameters_is_a_run_of_its_parent(services: Services) -> None:
    @flow
    def parent() -> str:
        return str(typed(body)("many", return_state=True).name)

    assert parent() == "Failed"
    assert [run.state.name for run in services.runs.runs(RunQuery())] == ["Completed", "Failed"]


def test_what_waits_for_a_task_is_checked_when_that_is_there(services: Services) -> None:
    @task
    def word() -> str:
        return "many"

    @flow
    def parent() -> str:
        return str(typed(body)(word.submit(), return_state=True).name)

    assert parent() == "Failed"
    assert told == ["Failed"]


def test_without_the_state_wrong_parameters_are_raised_and_nothing_is_started(
    services: Services,
) -> None:
    with pytest.raises(ParameterError):
        typed(body)("many")
    assert services.runs.runs(RunQuery()) == []
