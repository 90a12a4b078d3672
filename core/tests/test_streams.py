from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from flowstone import State, flow, task, unmapped
from flowstone.cache_policies import INPUTS
from flowstone.calls.map_stream import FutureStream, MapWindow
from flowstone.context.current import scope
from flowstone.errors import (
    ConfigurationError,
    ElementFailed,
    MappingLengthMismatch,
    MappingMissingIterable,
    RunTimeout,
)
from flowstone.records.runs import RunQuery
from flowstone.task_runners import ThreadPoolTaskRunner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowstone.context.current import Services

pytestmark = pytest.mark.usefixtures("services")


@task
def double(x: int) -> int:
    return x * 2


@task
async def adouble(x: int) -> int:
    await asyncio.sleep(0)
    return x * 2


@task
def odd(x: int) -> int:
    if not x % 2:
        raise ValueError(f"{x} is even")
    return x


class Counted:
    """Numbers, and how many were asked for."""

    def __init__(self, limit: int) -> None:
        self.limit, self.asked = limit, 0

    def __iter__(self) -> Iterator[int]:
        for number in range(self.limit):
            self.asked += 1
            yield number


def names(services: Services, state: str = "Completed") -> list[str]:
    return [r.name for r in services.runs.runs(RunQuery()) if r.state.name == state]


# ---------------------------------------------------------------- a window


def test_elements_are_drawn_only_as_slots_free_up() -> None:
    numbers = Counted(50)

    @flow
    def f() -> list[int]:
        seen: list[int] = []
        for future in double.map(numbers, max_in_flight=3):
            assert future.done()
            assert numbers.asked <= len(seen) + 3
            seen.append(future.result())
        return seen

    assert f() == [number * 2 for number in range(50)]


@pytest.mark.parametrize("unit", [double, adouble])
@pytest.mark.parametrize("window", [1, 3, 100])
def test_the_results_are_in_order(unit: Any, window: int) -> None:
    @flow
    def f() -> tuple[Any, Any]:
        stream = unit.map(iter(range(20)), max_in_flight=window)
        assert isinstance(stream, FutureStream)
        return stream.result(timeout=300), stream.result()

    wanted = [number * 2 for number in range(20)]
    assert f() == (wanted, wanted)


def test_an_async_flow_streams_and_awaits() -> None:
    @flow
    async def f() -> list[int]:
        seen = [await future async for future in adouble.map(range(7), max_in_flight=2)]
        return seen + await double.map(range(3), max_in_flight=2)

    assert asyncio.run(f()) == [0, 2, 4, 6, 8, 10, 12, 0, 2, 4]


def test_the_rest_is_run_at_the_flows_end(services: Services) -> None:
    @flow
    def f() -> None:
        stream = double.map(iter(range(9)), max_in_flight=2)
        next(iter(stream)).result()

    @flow
    async def g() -> None:
        adouble.map(iter(range(9)), max_in_flight=2)

    f()
    assert sum(name.startswith("double") for name in names(services)) == 9
    asyncio.run(g())
    assert sum(name.startswith("adouble") for name in names(services)) == 9


def test_failures_in_the_rest_fail_the_flow_and_are_counted() -> None:
    @flow
    def f() -> None:
        odd.map(range(20), max_in_flight=3)

    state = f(return_state=True)
    assert state.is_failed()
    assert "odd.map (10 in all" in str(state.message)
    with pytest.raises(ValueError, match=r"\d is even"):  # whichever ended first
        state.result()


def test_failures_that_were_looked_at_do_not() -> None:
    @flow
    def f() -> list[str]:
        return [future.state.name for future in odd.map(range(3), max_in_flight=2)]

    @flow
    def g() -> Any:
        return [type(v).__name__ for v in odd.map(range(3), max_in_flight=2).result(None, False)]

    assert f() == ["Failed", "Completed", "Failed"]
    assert g() == ["ValueError", "int", "ValueError"]


def test_failures_that_were_handed_out_unseen_fail_the_flow() -> None:
    @flow
    def f() -> int:
        return sum(1 for _ in odd.map(range(3), max_in_flight=2))

    assert "2 submitted tasks did not complete" in str(f(return_state=True).message)


def test_a_flow_returns_the_values_of_a_stream_and_tasks_take_them() -> None:
    @task
    def total(values: list[int]) -> int:
        return sum(values)

    @flow
    def f() -> Any:
        stream: Any = double.map(range(4), max_in_flight=2)
        return total(stream), total.submit(stream).result()

    @flow
    def g() -> Any:
        return double.map(range(4), max_in_flight=2)

    assert f() == (12, 12)
    assert g() == [0, 2, 4, 6]


def test_a_stream_of_a_stream() -> None:
    @flow
    def f() -> Any:
        first = double.map(itertools.count(), max_in_flight=2)
        second = double.map(first, max_in_flight=2)
        seen = [future.result() for future in itertools.islice(second, 4)]
        second.cancel()
        first.cancel()
        return seen

    assert f() == [0, 4, 8, 12]


def test_an_iterator_that_fails_fails_the_flow(services: Services) -> None:
    def broken() -> Iterator[int]:
        yield from range(5)
        raise KeyError("the source broke")

    @flow
    def f() -> None:
        double.map(broken(), max_in_flight=2)

    with pytest.raises(KeyError, match="the source broke"):
        f()
    ends = {r.name: r.state.name for r in services.runs.runs(RunQuery()) if r.kind == "task"}
    assert len(ends) == 5
    assert set(ends.values()) <= {"Completed", "Cancelled"}


def test_a_flow_that_fails_draws_no_more() -> None:
    numbers = Counted(1000)

    @flow
    def f() -> None:
        double.map(numbers, max_in_flight=2)
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        f()
    assert numbers.asked == 2


def test_a_wait_that_is_over_says_so() -> None:
    gate = threading.Event()

    @task
    def waits(x: int) -> None:
        gate.wait(300)

    @flow
    def f() -> None:
        stream = waits.map(range(5), max_in_flight=2)
        with pytest.raises(RunTimeout, match=r"waiting for waits\.map"):
            stream.result(timeout=0.01)
        gate.set()
        assert stream.result() == [None] * 5

    f()


def test_the_runner_or_the_settings_may_say_the_window() -> None:
    numbers = Counted(20)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2, max_in_flight=4))
    def f() -> bool:
        stream = double.map(numbers)
        assert numbers.asked == 4
        return isinstance(stream, FutureStream)

    assert f()
    assert numbers.asked == 20
    with pytest.raises(ConfigurationError, match="max_in_flight=0"):
        ThreadPoolTaskRunner(max_in_flight=0)


def test_windows_in_tasks_on_one_worker() -> None:
    @task
    def nest(level: int) -> int:
        if not level:
            return 1
        stream = nest.map([level - 1] * 3, max_in_flight=2)
        return next(stream).result() + sum(stream.result())

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def f() -> int:
        return nest.submit(3).result(timeout=300)

    assert f() == 27


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(MappingMissingIterable):
        double.map(1, max_in_flight=2)
    with pytest.raises(MappingLengthMismatch, match="0: 2, 1: 3"):
        double.map([1, 2], [1, 2, 3], max_in_flight=2)
    with pytest.raises(MappingLengthMismatch, match="0: 2, 1: more than 2"):
        double.map(iter([1, 2]), itertools.count(), max_in_flight=5)
    with pytest.raises(ConfigurationError, match="max_in_flight=1000"):
        double.map(itertools.count())
    with pytest.raises(ConfigurationError, match="0 is not a count"):
        double.map([1], max_in_flight=0)


def test_a_parameter_of_the_same_name_is_the_functions() -> None:
    @task
    def predict(x: int, batch_size: int) -> int:
        return x * batch_size

    assert predict.map([1, 2], batch_size=10).result() == [10, 20]


# ---------------------------------------------------------------- batches


@pytest.mark.parametrize("window", [None, 2])
@pytest.mark.parametrize("unit", [double, adouble])
def test_batches_are_one_run_each_and_the_results_flat(
    services: Services, unit: Any, window: int | None
) -> None:
    @flow
    def f() -> Any:
        return unit.map(range(10), batch_size=4, max_in_flight=window)

    assert f() == [number * 2 for number in range(10)]
    assert len([name for name in names(services) if name.startswith(unit.name)]) == 3


def test_a_failing_element_fails_its_batch_and_is_named() -> None:
    states: list[State] = []

    @flow
    def f() -> None:
        states.extend(future.state for future in odd.map([1, 3, 5, 7, 8, 9], batch_size=3))

    @flow
    def g() -> Any:
        stream = odd.map([1, 3, 5, 7, 8, 9], batch_size=3)
        return [str(value)[:9] for value in stream.result(raise_on_failure=False)]

    f()
    first, second = states
    assert (first.name, second.name) == ("Completed", "Failed")
    assert "element 4 of 'odd'.map failed, and with it the batch of elements 3 to 5" in str(
        second.message
    )
    assert isinstance(second.data, ElementFailed)
    assert isinstance(second.data.__cause__, ValueError)
    assert g() == ["1", "3", "5", "element 4"]


def test_batches_take_futures_and_marks() -> None:
    @task
    def add(a: int, b: list[int]) -> int:
        return a + sum(b)

    @flow
    def f() -> Any:
        return add.map(double.map([1, 2, 3]), unmapped([10, 10]), batch_size=2).result()

    assert f() == [22, 24, 26]


def test_batches_are_retried_named_and_cached_as_wholes(services: Services) -> None:
    calls: list[int] = []

    @task(retries=1, cache_policy=INPUTS, task_run_name="row-{x}")
    def flaky(x: int) -> int:
        calls.append(x)
        if len(calls) == 2:
            raise ValueError
        return x

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def f() -> Any:
        return flaky.map([1, 2, 3], batch_size=2).result()

    assert f() == f() == [1, 2, 3]
    assert calls == [1, 2, 1, 2, 3]
    assert names(services, "Cached") == ["flaky-0", "flaky-1"]


def test_a_drain_that_goes_on_keeps_to_the_window() -> None:
    gate, numbers = threading.Event(), Counted(9)

    @task
    def held_up(x: int) -> int:
        gate.wait()
        return x

    @flow
    def f() -> tuple[int, bool]:
        held_up.map(iter(numbers), max_in_flight=3)  # nobody has the stream
        around = scope.get()
        assert around is not None
        (window,) = (run for run in around.pending_runs.values() if isinstance(run, MapWindow))
        for _ in range(3):
            window.drain(0.0, keep=False)
        asked, is_done = numbers.asked, window.done()
        gate.set()
        return asked, is_done

    assert f() == (3, False)
    assert numbers.asked == 9


# ---------------------------------------------------------------- memory

MEASURE = """
import resource, sys
from flowstone import flow, task

@task
def nothing(x): return None

@flow
def f(count):
    for _ in nothing.map(iter(range(count)), max_in_flight=1000):
        pass

f(int(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_is_bounded_by_the_window(tmp_path: Path) -> None:
    def megabytes(count: int) -> int:
        env = {"FLOWSTONE_HOME": str(tmp_path / str(count)), "FLOWSTONE_LOGGING_LEVEL": "ERROR"}
        command = [sys.executable, "-c", MEASURE, str(count)]
        return int(subprocess.run(command, env=env, check=True, capture_output=True).stdout)

    # The futures of so many tasks would take twice as much.
    assert megabytes(60_000) - megabytes(5_000) < 16
