"""What runs send to each other arrives once in each attempt, in order, sealed on its way."""

from __future__ import annotations

import asyncio
from threading import Event, Thread
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from flowstone import flow
from flowstone.context.current import Services
from flowstone.errors import ConfigurationError, MissingContextError, RunNotFound, RunTimeout
from flowstone.flow_runs import retry_flow_run
from flowstone.input import RunInput, asend_input, receive_input, send_input
from flowstone.records.runs import RunQuery
from flowstone.runtime import flow_run

CANARY = "canary-on-its-way"
got: list[object] = []


class Order(RunInput):
    dish: str
    guests: int = 1
    token: SecretStr = SecretStr("")


class Order2(BaseModel):
    dish: str


def my_id() -> str:
    assert flow_run.id is not None
    return flow_run.id


@pytest.fixture(autouse=True)
def _clear(services: Services) -> None:
    got.clear()


def test_each_type_is_received_by_itself_in_order(services: Services) -> None:
    @flow
    def f() -> None:
        for value in ("a", 1, Order(dish="soup"), "b", [1, 2], Order2(dish="x"), 2):
            send_input(value, my_id())
        for kind in (str, int, list[int], str):
            got.extend(receive_input(kind, timeout=0))
        got.extend(order.dish for order in Order.receive(timeout=0))
        got.extend(receive_input(Order2, timeout=0))

    f()
    assert got == ["a", "b", 1, 2, [1, 2], "soup", Order2(dish="x")]


def test_what_comes_later_is_waited_for(services: Services) -> None:
    started, ids = Event(), []

    @flow
    def f() -> list[str]:
        ids.append(my_id())
        started.set()
        words = iter(receive_input(str, timeout=20, poll_interval=0.01))
        return [next(words), next(words)]

    ends: list[object] = []
    thread = Thread(target=lambda: ends.append(f()))
    thread.start()
    started.wait(300)
    for word in ("one", "end"):
        send_input(word, ids[0])
    thread.join(300)
    assert ends == [["one", "end"]]


def test_async_flows_receive_by_async_for(services: Services) -> None:
    @flow
    async def f() -> list[int]:
        await asend_input(1, my_id())
        await asend_input(2, my_id())
        return [number async for number in receive_input(int, timeout=0)]

    assert asyncio.run(f()) == [1, 2]


def test_nothing_for_too_long_ends_it(services: Services) -> None:
    @flow
    def f() -> None:
        assert list(receive_input(int, timeout=0.02, poll_interval=0.01)) == []
        with pytest.raises(RunTimeout, match=r"receive_input\(int\)"):
            next(receive_input(int, timeout=0.02, poll_interval=0.01, raise_timeout_error=True))

    f()


def test_a_run_is_answered(services: Services) -> None:
    @flow
    def asked(order: Any) -> None:
        order.respond("ready: " + order.dish)

    @flow
    def asks() -> str:
        Order(dish="soup").send_to(my_id())
        order = next(Order.receive(timeout=0))
        assert order.metadata is not None
        assert order.metadata.sender == order.metadata.receiver == my_id()
        asked(order)
        return next(receive_input(str, timeout=0))

    assert asks() == "ready: soup"
    with pytest.raises(ConfigurationError, match="not sent by a run"):
        Order(dish="x").respond("y")


tries: list[int] = []


@flow
def fragile() -> None:
    if not tries:
        send_input(5, my_id())
    tries.append(1)
    got.extend(receive_input(int, timeout=0))
    if len(tries) == 1:
        raise ValueError("not yet")


def test_another_attempt_receives_it_again(services: Services) -> None:
    tries.clear()
    assert fragile(return_state=True).is_failed()
    [run] = services.runs.runs(RunQuery())
    assert retry_flow_run(run.id).is_completed()
    assert got == [5, 5]


def test_what_does_not_fit_is_left_out_and_told(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    class Order(BaseModel):  # of the same name
        guests: str

    theirs: Any = globals()["Order"]

    @flow
    def f() -> list[Any]:
        send_input(Order(guests="many"), my_id())
        send_input(theirs(dish="soup"), my_id())
        return list(receive_input(theirs, timeout=0))

    assert [order.dish for order in f()] == ["soup"]
    assert "an input that does not fit Order is skipped" in caplog.text
    assert "many" not in caplog.text


def test_it_is_sealed_on_its_way(services: Services) -> None:
    @flow
    def f() -> int:
        Order(dish="soup", token=SecretStr(CANARY)).send_to(my_id())
        assert CANARY not in repr(services.documents.find("", prefix=True))
        token = next(Order.receive(timeout=0)).token.get_secret_value()
        print(token)
        return len(token)

    assert f.with_options(log_prints=True)() == len(CANARY)
    kept = repr(services.runs.events())
    assert "********" in kept
    assert CANARY not in kept


def test_where_there_is_no_run(services: Services) -> None:
    with pytest.raises(RunNotFound):
        send_input(1, "no-such-run")
    with pytest.raises(MissingContextError):
        receive_input(int)
    fragile(return_state=True)
    [run] = services.runs.runs(RunQuery())
    send_input("late", run.id)
    assert list(receive_input(str, timeout=0, flow_run_id=run.id)) == ["late"]
