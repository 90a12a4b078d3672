"""A run is executed again under its own id; what can't be is refused before anything happens."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, replace
from datetime import date
from threading import Barrier, Thread
from typing import Any

import pytest
from pydantic import SecretStr

from flowstone import flow, task
from flowstone.calls.recipe import make_restart_info
from flowstone.context.current import Services, use_services
from flowstone.engine.journal import WriteBehind
from flowstone.errors import NotRepeatable, ParameterBindError
from flowstone.flow_runs import aretry_flow_run, retry_flow_run
from flowstone.records import redaction
from flowstone.records.events import Event, make_change_event
from flowstone.records.runs import Handover, Run, RunQuery
from flowstone.records.states import Suspending
from flowstone.stores.memory import MemoryRuns
from flowstone.task_runners import ThreadPoolTaskRunner

calls: list[int] = []
fails: list[bool | BaseException] = []


@task(persist_result=True)
def expensive(n: int) -> int:
    calls.append(n)
    return n + 1


@task
def fragile(n: int) -> int:
    end = fails.pop(0)
    if end:
        raise end if isinstance(end, BaseException) else ValueError("not yet")
    return n


@flow(flow_run_name="etl-{n}")
def etl(n: int, *more: int, day: date = date(2020, 1, 1), token: SecretStr | None = None) -> int:
    assert isinstance(day, date)
    return fragile(expensive(n)) + sum(more)


@flow
async def later(n: int) -> int:
    await asyncio.sleep(0)
    return fragile(expensive(n))


@flow
def outer() -> int:
    return etl(1)


@flow
def inner(n: int) -> int:
    return expensive(n) + expensive(n)


@flow
def middle(n: int) -> int:
    return inner(n)


@flow
def nested() -> int:
    return fragile(inner(1) + inner(1) + middle(1))


@task(retries=1)
def calls_inner() -> int:
    return fragile(inner(1))


@pytest.fixture(autouse=True)
def _clear(services: Services) -> None:
    calls.clear()
    fails.clear()


def failed(services: Services, unit: Any = etl, *args: Any, **kwargs: Any) -> Run:
    fails.append(True)
    end = unit(*args, **kwargs, return_state=True)
    if asyncio.iscoroutine(end):
        end = asyncio.run(end)
    assert end.is_failed()
    return next(run for run in services.runs.runs(RunQuery(listed=True)) if run.is_root)


def test_a_failed_run_goes_on_under_its_id(services: Services) -> None:
    run = failed(services, etl, 1, 5, day=date(2021, 2, 3))
    fails.append(False)
    assert retry_flow_run(run.id).result() == 7
    assert calls == [1]
    after = services.runs.run(run.id)
    assert (after.name, after.state.name, after.attempt) == ("etl-1", "Completed", 2)
    assert after.created == run.created
    tree = services.runs.runs(RunQuery(root_id=run.id))
    assert [(each.name, each.state.name) for each in tree[1:]] == [
        ("expensive-0", "Completed"), ("fragile-0", "Failed"),
        ("expensive-0", "Cached"), ("fragile-0", "Completed"),
    ]  # fmt: skip


@pytest.mark.parametrize("by_hand", [False, True])
def test_inner_flows_do_not_compute_again_what_they_kept(services: Services, by_hand: bool) -> None:
    fails.extend([True, False])
    if by_hand:
        assert nested(return_state=True).is_failed()
        [run] = [run for run in services.runs.runs(RunQuery(listed=True)) if run.is_root]
        assert retry_flow_run(run.id).result() == 12
    else:
        assert nested.with_options(retries=1)() == 12
    # Each call of an inner flow computes it once, however alike they are, and only once.
    assert calls == [1, 1, 1]
    names = [run.state.name for run in services.runs.runs(RunQuery()) if run.unit == "expensive"]
    assert names == ["Completed", "Cached"] * 3 + ["Cached"] * 6


def test_other_runs_of_an_inner_flow_keep_their_own(services: Services) -> None:
    fails.extend([True, False])
    assert calls_inner() == 4
    assert calls == [1]
    assert inner(1) == 4
    assert calls == [1, 1]


def test_the_states_say_that_it_was_by_hand(services: Services) -> None:
    run = failed(services, etl, 1)
    fails.append(False)
    retry_flow_run(run.id)
    states = [
        event.payload.state.name
        for _, event in services.runs.events(run_id=run.id)
        if hasattr(event.payload, "state")
    ]
    assert states == ["Running", "Failed", "AwaitingRetry", "Running", "Completed"]


def test_an_async_flow_goes_on_too(services: Services) -> None:
    run = failed(services, later, 1)
    fails.extend([True, False])
    assert retry_flow_run(run.name).is_failed()
    assert asyncio.run(aretry_flow_run(run.id)).result() == 2
    assert services.runs.run(run.id).attempt == 3
    assert calls == [1]


def test_a_run_that_retries_another_does_not_own_it(services: Services) -> None:
    run = failed(services, etl, 1)
    fails.append(False)

    @flow
    def fixes() -> str:
        return retry_flow_run(run.id).name

    assert fixes() == "Completed"
    assert services.runs.run(run.id).parent_id is None


def test_other_parameters_can_be_given(services: Services) -> None:
    run = failed(services, etl, 1)
    fails.append(False)
    assert retry_flow_run(run.id, {"n": 10}).result() == 11
    assert calls == [1, 10]
    with pytest.raises(NotRepeatable, match="it is Completed"):
        retry_flow_run(run.id)


def test_parameters_that_do_not_fit_leave_the_run_alone(services: Services) -> None:
    run = failed(services, etl, 1)
    with pytest.raises(ParameterBindError, match="'m'"):
        retry_flow_run(run.id, {"m": 10})
    assert services.runs.run(run.id) == run


def test_lost_parameters_are_asked_for_by_name(services: Services) -> None:
    run = failed(services, etl, 1, token=SecretStr("hush-hush-hush"))
    with pytest.raises(NotRepeatable, match=r"'token' is not kept.*--param token=…") as caught:
        retry_flow_run(run.id)
    assert "hush" not in str(caught.value)
    fails.append(False)
    assert retry_flow_run(run.id, {"token": "again"}).is_completed()


@pytest.mark.parametrize(
    ("end", "name"), [(KeyboardInterrupt(), "Cancelled"), (SystemExit(3), "Crashed")]
)
def test_a_cancelled_and_a_crashed_run_go_on(
    services: Services, end: BaseException, name: str
) -> None:
    fails.extend([end, False])
    with pytest.raises(type(end)):
        etl(1)
    [run] = services.runs.runs(RunQuery(listed=True))
    assert run.state.name == name
    assert retry_flow_run(run.id).is_completed()
    assert calls == [1]


def test_a_run_that_goes_on_is_left_alone(services: Services) -> None:
    @flow
    def f() -> str:
        [run] = services.runs.runs(RunQuery())
        with pytest.raises(NotRepeatable, match=r"it is Running.*flowstone run cancel"):
            retry_flow_run(run.id)
        return "ok"

    assert f() == "ok"


def test_a_part_of_a_run_is_not_retried_alone(services: Services) -> None:
    failed(services, outer)
    nested = next(run for run in services.runs.runs(RunQuery(listed=True)) if not run.is_root)
    with pytest.raises(NotRepeatable, match="is a part of the run"):
        retry_flow_run(nested.id)
    fails.append(True)
    with pytest.raises(ValueError, match="not yet"):
        fragile(3)
    alone = services.runs.runs(RunQuery(listed=True, newest_first=True))[0]
    with pytest.raises(NotRepeatable, match="outside any flow"):
        retry_flow_run(alone.id)


def test_of_many_that_retry_one_wins(services: Services) -> None:
    run = failed(services, etl, 1)
    fails.extend([False] * 8)
    gate, ends = Barrier(4), []

    def attempt() -> None:
        gate.wait()
        try:
            ends.append(retry_flow_run(run.id).name)
        except NotRepeatable as error:
            ends.append(error.problem)

    threads = [Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends.count("Completed") == 1
    assert len(ends) == 4
    assert services.runs.run(run.id).attempt == 2


class AsksForSuspension(MemoryRuns):
    """Has each retry suspended from outside, before it has begun."""

    def record(self, event: Event) -> Run:
        run = super().record(event)
        if isinstance(event.payload, Handover) and event.payload.lease is not None:
            super().record(make_change_event(run, Suspending("asked"), run.attempt))
        return run


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_retry_that_is_suspended_before_it_begins(services: Services, is_async: bool) -> None:
    store = AsksForSuspension()
    journal = WriteBehind(store, services.clock, 30.0)
    with use_services(replace(services, runs=store, journal=journal)):
        fails[:] = [True]
        with pytest.raises(ValueError, match="not yet"):
            asyncio.run(later(1)) if is_async else etl(1)
        [run] = store.runs(RunQuery(listed=True))
        state = asyncio.run(aretry_flow_run(run.id)) if is_async else retry_flow_run(run.id)
        assert (state.name, store.run(run.id).state.name) == ("Suspended", "Suspended")
        journal.close()


def test_of_many_that_retry_on_a_loop_one_wins(services: Services) -> None:
    run = failed(services, later, 1)
    fails.extend([False] * 3)

    async def many() -> list[object]:
        attempts = [aretry_flow_run(run.id) for _ in range(3)]
        ended: list[object] = []
        ended += await asyncio.gather(*attempts, return_exceptions=True)
        return ended

    ends = asyncio.run(many())
    assert [type(end).__name__ for end in ends].count("State") == 1
    assert sum(isinstance(end, NotRepeatable) for end in ends) == 2


def test_a_flow_that_can_not_be_loaded_says_why(services: Services) -> None:
    @flow
    def inner() -> None:
        raise ValueError("no")

    inner(return_state=True)
    [run] = services.runs.runs(RunQuery())
    with pytest.raises(NotRepeatable, match=r"it is defined inside .*--entrypoint") as caught:
        retry_flow_run(run.id)
    assert "test_a_flow_that_can_not_be_loaded_says_why" in str(caught.value)
    with pytest.raises(NotRepeatable, match=r"there is no file gone\.py"):
        retry_flow_run(run.id, entrypoint="gone.py:inner")


class Methods:
    @flow
    def f(self) -> None: ...

    @classmethod
    def g(cls) -> None: ...


@dataclass(frozen=True)
class Point:
    x: int


def scripted(code: str, **names: Any) -> Any:
    around: dict[str, Any] = {"__name__": "__main__", **names}
    exec(f"from flowstone import flow\n{code}", around)
    return around["f"]


def test_where_a_flow_stands() -> None:
    here = __name__
    assert make_restart_info(etl, {}).entrypoint == f"{here}:etl"
    other = etl.with_options(retries=2, task_runner=ThreadPoolTaskRunner())
    assert make_restart_info(other, {}).entrypoint == f"{here}:etl"
    code = "@flow\ndef f(): ..."
    script = make_restart_info(scripted(code, __file__="x/y.py"), {})
    assert (script.entrypoint or "").endswith("/x/y.py:f")
    alias = scripted("@flow\ndef g(): ...\nf = g.with_options(name='h')", __file__="/z.py")
    assert make_restart_info(alias, {}).entrypoint == "/z.py:f"
    spec = sys.modules["flowstone"].__spec__
    found = make_restart_info(scripted(code, __spec__=spec, __package__="flowstone"), {})
    assert found.entrypoint == "flowstone:f"


@pytest.mark.parametrize(
    ("unit", "why"),
    [
        (scripted("@flow\ndef f(): ..."), "typed at a prompt"),
        (scripted("@flow\ndef f(): ...", __file__="<stdin>"), "typed at a prompt"),
        (Methods().f, "inside 'Methods'"),
        (flow(Methods.g), "inside 'Methods'"),
        (flow(lambda: None), "no name in its module"),
    ],
)
def test_why_a_flow_can_not_be_loaded(unit: Any, why: str) -> None:
    found = make_restart_info(unit, {})
    assert found.entrypoint is None
    assert why in (found.reason or "")


def test_what_is_lost_of_the_parameters() -> None:
    redaction.register("in-the-clear-1")
    given = {
        "plain": [1, {"a": None}, "x", 1.5, True],
        "kept": date(2020, 1, 2),
        "model": Point(3),
        "secret": SecretStr("x"),
        "known": "see in-the-clear-1",
        "bare": (1, 2),
        "long": list(range(2000)),
        "odd": object(),
        "huge": float("inf"),
        "args": (1, 2),
        "kwargs": {"k": 1},
    }

    @flow
    def f(
        plain: Any, kept: date, model: Point, secret: SecretStr, known: str, bare: Any,
        long: list[int], odd: object, huge: Any, *args: int, **kwargs: int,
    ) -> None: ...  # fmt: skip

    lost = make_restart_info(f, given).missing_parameters
    assert lost == ("secret", "known", "bare", "long", "odd", "huge")
    unchecked = f.with_options(validate_parameters=False)
    assert make_restart_info(unchecked, given).missing_parameters == ("kept", "model", *lost)
    assert make_restart_info(f, None).missing_parameters == tuple(given)
