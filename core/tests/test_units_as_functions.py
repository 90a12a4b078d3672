"""Of a flow or task, `inspect`, `pickle` and `copy` say and do what they do of a function."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from flowstone import flow, task
from flowstone.task_runners import ProcessPoolTaskRunner

pytestmark = pytest.mark.usefixtures("services")


@pytest.fixture(autouse=True)
def by_name() -> Iterator[None]:
    """Undo what tests of process runners have left: modules that a child could not import."""
    known = [sys.modules[name] for name in cloudpickle.list_registry_pickle_by_value()]
    for module in known:
        cloudpickle.unregister_pickle_by_value(module)
    yield
    for module in known:
        cloudpickle.register_pickle_by_value(module)


@flow
def double(n: int, *, more: int = 0) -> int:
    return 2 * n + more


@task(retries=2)
def add(a: int, b: int = 1) -> int:
    return a + b


@flow
async def adouble(n: int) -> int:
    return 2 * n


@task
async def aadd(a: int) -> int:
    return a + 1


@task
def count(n: int) -> Iterator[int]:
    yield from range(n)


@flow
async def acount(n: int) -> AsyncIterator[int]:
    for number in range(n):
        yield number


def plain(n: int) -> int:
    return n


named = flow(plain)
copied = double.with_options(name="copied", retries=3)
on_threads = double.with_options(task_runner=ProcessPoolTaskRunner(max_workers=2))


@task
@flow
def twice(n: int) -> int:
    return n


class Shop:
    def __init__(self, price: int) -> None:
        self.price = price

    @flow
    def sell(self, n: int) -> int:
        return n * self.price

    @task
    async def asell(self, n: int) -> int:
        return n * self.price

    @flow
    @classmethod
    def make(cls, price: int) -> int:
        return cls(price).price

    @task
    @staticmethod
    def tax(n: int) -> int:
        return n // 5

    class Inner:
        @task
        def deep(self) -> int:
            return 1


KINDS = ("iscoroutinefunction", "isgeneratorfunction", "isasyncgenfunction")


@pytest.mark.parametrize(
    "unit", [double, add, adouble, aadd, count, acount, twice, Shop.sell, Shop.asell, Shop(1).asell]
)
def test_inspect_says_of_a_unit_what_it_says_of_its_function(unit: Any) -> None:
    bare = inspect.unwrap(unit)
    for kind in KINDS:
        assert getattr(inspect, kind)(unit) is getattr(inspect, kind)(bare), kind
        assert getattr(inspect, kind)(partial(unit, 1)) is getattr(inspect, kind)(bare), kind
    assert inspect.signature(unit) == inspect.signature(bare)
    assert inspect.getsource(unit) == inspect.getsource(bare)
    if hasattr(asyncio, "iscoroutinefunction"):
        assert asyncio.iscoroutinefunction(unit) is asyncio.iscoroutinefunction(bare)


def test_an_async_partial_is_async() -> None:
    async def apart(a: int, b: int) -> int:
        return a + b

    unit = flow(name="apart")(partial(apart, 1))
    assert inspect.iscoroutinefunction(unit)
    assert inspect.iscoroutinefunction(adouble.with_options(name="again"))
    assert asyncio.run(unit(2)) == 3


@pytest.mark.parametrize(
    "unit", [double, add, adouble, count, acount, twice, Shop.sell, Shop.tax, Shop.Inner.deep]
)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_module_s_unit_is_pickled_by_its_name(unit: Any, protocol: int) -> None:
    content = pickle.dumps(unit, protocol)
    assert pickle.loads(content) is unit
    assert len(content) < 200
    assert cloudpickle.loads(cloudpickle.dumps(unit)) is unit


def test_one_that_was_made_of_another_is_pickled_as_that_and_the_difference() -> None:
    for unit in (copied, on_threads, add.with_options(tags={"a"})):
        again = pickle.loads(pickle.dumps(unit))
        assert type(again) is type(unit)
        assert again.fn is unit.fn
        assert again.spec == unit.spec
        assert getattr(again, "task_runner", None) == getattr(unit, "task_runner", None)
        assert again(2) == unit(2)
    inner: Any = twice.fn
    assert pickle.loads(pickle.dumps(inner)) is inner
    again = pickle.loads(pickle.dumps(named))
    assert again.fn is plain
    assert again.spec == named.spec


def test_a_bound_one_takes_its_instance_along() -> None:
    shop = Shop(3)
    for unit in (shop.sell, shop.sell.with_options(name="sold")):
        again = pickle.loads(pickle.dumps(unit))
        assert again.spec == unit.spec
        assert again(2) == 6
        assert again.fn.__self__ is not shop
    assert asyncio.run(pickle.loads(pickle.dumps(shop.asell))(2)) == 6
    assert pickle.loads(pickle.dumps(Shop.make))(4) == 4
    both = pickle.loads(pickle.dumps([shop, shop.sell]))
    assert both[1].fn.__self__ is both[0]


def test_what_stands_in_no_module_is_refused_by_pickle_and_goes_by_value_otherwise() -> None:
    @flow
    def local(n: int) -> int:
        return n + 1

    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(local)
    assert cloudpickle.loads(cloudpickle.dumps(local))(1) == 2


def test_copies_are_units_of_their_own() -> None:
    for unit in (double, copied):
        for again in (copy.copy(unit), copy.deepcopy(unit), copy.deepcopy([unit])[0]):
            assert again is not unit
            assert again.fn is unit.fn
            assert again.spec == unit.spec
            assert again(2) == 4
    shop: Any = Shop(3)
    assert copy.copy(shop.sell).fn.__self__ is shop
    deep = copy.deepcopy([shop, shop.sell])
    assert deep[1].fn.__self__ is deep[0]

    class Local(int): ...

    @flow
    def of_local(n: Local) -> object:
        return n

    value = Local(1)
    assert copy.copy(of_local)(value) is value


def run(path: Path, *names: str) -> str:
    done = subprocess.run(
        [sys.executable, path, *names], capture_output=True, text=True, check=False, cwd=path.parent
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


PROGRAM = """
import pickle, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import cloudpickle
from flowstone import flow, task
from flowstone.task_runners import ProcessPoolTaskRunner

@flow
def double(n):
    return 2 * n

@task
def add(n):
    return inc(n)

def inc(n):
    return n + 1

@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def inside():
    futures = [add.submit(1), call.submit(add, 2), add.with_options(name="x").submit(3)]
    return [future.result() for future in futures]

@task
def call(unit, n):
    return unit.fn(n)

if __name__ == "__main__":
    assert pickle.loads(pickle.dumps(double)) is double
    assert b"__main__" in pickle.dumps(double)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        copied = pool.submit(double.with_options(name="d"), 3)
        print("in a pool", list(pool.map(double, [1, 2])), copied.result())
    print("in children", inside())
    with open(sys.argv[1], "wb") as file:
        file.write(cloudpickle.dumps(double))
"""


def test_a_program_s_own_units_go_to_other_processes(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    told = run(program, "double.pickle")
    assert "in a pool [2, 4] 6" in told
    assert "in children [2, 3, 4]" in told
    # What cloudpickle has of `__main__` is read by another program, which has no such name.
    (tmp_path / "other.py").write_text(
        textwrap.dedent("""
            import pickle
            with open("double.pickle", "rb") as file:
                print("elsewhere", pickle.load(file)(4))
        """)
    )
    assert "elsewhere 8" in run(tmp_path / "other.py")


def test_units_of_modules_go_to_a_pool_by_name(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        textwrap.dedent("""
            from flowstone import flow
            @flow
            def double(n):
                return 2 * n
            class Till:
                factor = 3
                @flow
                def take(self, n):
                    return n * self.factor
        """)
    )
    (tmp_path / "program.py").write_text(
        textwrap.dedent("""
            from concurrent.futures import ProcessPoolExecutor
            from multiprocessing import get_context
            import shop
            if __name__ == "__main__":
                with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                    futures = [pool.submit(shop.double, 2), pool.submit(shop.Till().take, 2)]
                    print("got", [future.result() for future in futures])
        """)
    )
    assert "got [4, 6]" in run(tmp_path / "program.py")


def test_a_task_around_a_flow_keeps_its_own_options() -> None:
    around = task(retries=2, name="around")(double)
    assert (around.spec.kind, around.name, around.retries) == ("task", "around", 2)
    assert around.fn is double
    assert around(3) == 6
