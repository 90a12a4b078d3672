"""`make_async_twin`: the twin does the task's work with its options, beside other coroutines."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import threading
from collections.abc import Callable

import pytest

from flowstone import flow, make_async_twin, task

pytestmark = pytest.mark.usefixtures("services")


@task(retries=2, retry_delay_seconds=0, tags={"ours"})
def double(n: int, *, more: int = 0) -> int:
    """Return twice a number."""
    return 2 * n + more


adouble = make_async_twin(double)


def test_it_is_called_and_pickled_as_a_task_of_its_own() -> None:
    assert (adouble.name, adouble.fn.__name__, adouble.fn.__qualname__) == ("adouble",) * 3
    assert inspect.iscoroutinefunction(adouble.fn)
    assert inspect.signature(adouble) == inspect.signature(double)
    assert adouble.spec.description == "Async version of `double`."
    assert pickle.loads(pickle.dumps(adouble)) is adouble


def test_it_has_the_options_of_the_task() -> None:
    assert adouble.retries == 2
    assert adouble.tags == frozenset({"ours"})
    assert adouble.with_options(retries=0).retries == 0


def test_it_does_the_same_in_runs_of_its_own() -> None:
    @flow
    async def main() -> tuple[int, int, list[int]]:
        mapped = adouble.map([1, 2], more=1)
        return await adouble(1, more=3), adouble.submit(4).result(), mapped.result()

    assert asyncio.run(main()) == (5, 8, [3, 5])


def test_other_coroutines_run_meanwhile() -> None:
    done = threading.Event()

    @task
    def wait() -> bool:
        return done.wait(60)

    async def main() -> bool:
        waiting = asyncio.ensure_future(make_async_twin(wait)())
        await asyncio.sleep(0)
        done.set()
        return await waiting

    assert asyncio.run(main())


def test_the_way_to_leave_the_loop_can_be_chosen() -> None:
    asked: list[str] = []

    async def elsewhere(call: Callable[[], int]) -> int:
        asked.append("elsewhere")
        return call()

    twin = make_async_twin(double, elsewhere)
    assert asyncio.run(twin(2)) == 4
    assert asked == ["elsewhere"]
