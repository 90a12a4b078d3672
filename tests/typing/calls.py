"""What a strict type checker makes of a program that uses the public names; it is never run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, assert_type

from pydantic import BaseModel, SecretStr

from flowstone import (
    Flow,
    Future,
    FutureList,
    FutureStream,
    State,
    Task,
    apause_flow_run,
    flow,
    get_run_logger,
    pause_flow_run,
    suspend_flow_run,
    tags,
    task,
    unmapped,
)
from flowstone.artifacts import acreate_table_artifact, create_markdown_artifact
from flowstone.blocks import LocalDirectory, SqliteDatabase, Webhook
from flowstone.cache_policies import INPUTS, NO_CACHE, TASK_SOURCE
from flowstone.concurrency.sync import concurrency
from flowstone.futures import as_completed, wait
from flowstone.input import RunInput
from flowstone.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from flowstone.transactions import transaction


@task
def text(number: int) -> str:
    return str(number)


@task(
    name="repeats",
    retries=2,
    retry_delay_seconds=[1, 2],
    cache_policy=INPUTS + TASK_SOURCE,
    cache_expiration=timedelta(days=1),
    tags=["a"],
    timeout_seconds=3,
    persist_result=True,
)
def repeat(times: int, of: str = "a") -> list[str]:
    return [of] * times


@task(cache_policy=NO_CACHE)
async def half(number: int) -> float:
    return number / 2


@task
def count(to: int) -> Iterator[int]:
    yield from range(to)


@task
async def acount(to: int) -> AsyncIterator[int]:
    for number in range(to):
        yield number


class Dish(RunInput):
    name: str


class Guest(BaseModel):
    name: str


@flow(name="hey", log_prints=True, task_runner=ThreadPoolTaskRunner(max_workers=3))
def main(number: int) -> list[str]:
    get_run_logger().info("begun with %d", number)
    assert_type(text(1), str)
    unit: Task[[int], str] = text
    assert_type(unit.fn(1), str)
    future = text.submit(1)
    assert_type(future, Future[str])
    assert_type(future.result(), str)
    assert_type(future.state, State[str])
    many = repeat.map([1, 2], of=unmapped("b"))
    assert_type(many, FutureList[list[str]])
    assert_type(many.result(), list[list[str]])
    assert_type(text.map(range(9), max_in_flight=3), FutureStream[str])
    assert_type(text.map(range(9), batch_size=3), FutureStream[str])
    for each in as_completed([future]):
        assert_type(each.result(), str)
    assert_type(wait([future]).done, set[Future[str]])
    assert_type(text.submit(future, wait_for=[many]).result(), str)
    assert_type(text.with_options(retries=1)(2), str)
    with transaction(key="a") as around:
        around.stage(1)
    with tags("a", "b"), concurrency("db", 1):
        create_markdown_artifact("*done*", key="report")
    return repeat(number)


def states() -> None:
    assert_type(main(3), list[str])
    assert_type(main(3, return_state=True), State[list[str]])
    state = text(1, return_state=True)
    assert_type(state, State[str])
    assert_type(state.result(), str)
    assert_type(state.result(raise_on_failure=False), str | BaseException)
    plain: State = state  # one of any value
    assert_type(plain.result(), Any)


def generators() -> None:
    for number in count(3):
        assert_type(number, int)
    assert_type(count.submit(3).result(), list[int])
    assert_type(count(3, return_state=True).result(), list[int])
    assert_type(acount.map([3]).result(), list[list[int]])


@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
async def amain() -> float:
    assert_type(half.submit(1).result(), float)
    assert_type(await half.submit(1), float)
    assert_type(await half(1, return_state=True), State[float])
    waiting: Coroutine[Any, Any, float] = half(1)
    assert_type(await waiting, float)
    async for number in acount(3):
        assert_type(number, int)
    assert_type(await apause_flow_run(wait_for_input=Dish), Dish)
    await acreate_table_artifact([{"a": 1}], key="table")
    return await half(2)


@flow
def pausing() -> str:
    assert_type(pause_flow_run(wait_for_input=Guest).name, str)
    assert_type(pause_flow_run(int, timeout=60), int)
    assert_type(suspend_flow_run(wait_for_input=list[int]), list[int])
    pause_flow_run()
    return pause_flow_run(wait_for_input=Dish.with_initial_data(name="soup")).name


@main.on_failure
def tell(_flow: object, _run: object, state: State) -> None:
    assert state.is_failed()


class Shop:
    @flow
    def opens(self, hour: int) -> str:
        assert_type(self.sells.submit("tea").result(), int)
        return str(hour)

    @task
    def sells(self, what: str) -> int:
        return len(what)

    @staticmethod
    @task
    def price(of: str) -> float:
        return len(of) / 2

    @classmethod
    @task
    def called(cls, name: str) -> str:
        return f"{cls.__name__} {name}"


def methods(shop: Shop) -> None:
    assert_type(shop.opens(7), str)
    bound: Flow[[int], str] = shop.opens
    assert_type(bound(7), str)
    assert_type(shop.sells("tea"), int)
    assert_type(shop.sells.map(["tea"]).result(), list[int])
    assert_type(Shop.price("tea"), float)
    assert_type(shop.called("a"), str)


def blocks() -> None:
    store = LocalDirectory(basepath=Path("data"))
    store.save("raw", overwrite=True)
    assert_type(LocalDirectory.load("raw"), LocalDirectory)
    assert_type(store.read_path("a.txt"), bytes)
    Webhook(url=SecretStr("https://example.org/hooks/1")).notify("done", subject="ours")
    with SqliteDatabase(path="shop.db") as shop:
        assert_type(shop.execute("DELETE FROM orders WHERE id = ?", [7]), int)


async def ablocks(store: LocalDirectory) -> None:
    assert_type(await store.aread_path("a.txt"), bytes)
    assert_type(await LocalDirectory.aload("raw"), LocalDirectory)


if __name__ == "__main__":
    assert_type(asyncio.run(amain()), float)
