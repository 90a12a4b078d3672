from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from flowstone import State, allow_failure, exponential_backoff, flow, quote, task, unmapped
from flowstone.context.current import Services
from flowstone.errors import (
    ConfigurationError,
    MappingLengthMismatch,
    MappingMissingIterable,
    RunTimeout,
    UpstreamTaskError,
)
from flowstone.records.runs import RunQuery
from flowstone.states import Completed
from flowstone.task_runners import ThreadPoolTaskRunner

pytestmark = pytest.mark.usefixtures("services")


@task
def double(x: int) -> int:
    return x * 2


@task
def fails(x: object = None) -> int:
    raise ValueError(f"no {x}")


def ends(services: Services) -> dict[str, str]:
    return {run.name: run.state.name for run in services.runs.runs(RunQuery())}


def test_a_task_runs_outside_a_flow(services: Services) -> None:
    assert double(2) == 4
    [run] = services.runs.runs(RunQuery(listed=True))
    assert (run.kind, run.unit, run.parent_id, run.state.name) == (
        "task", "double", None, "Completed",
    )  # fmt: skip


def test_a_task_is_submitted_outside_a_flow(services: Services) -> None:
    future = double.submit(2)
    assert future.result() == 4
    assert len(services.runs.runs(RunQuery(listed=True))) == 1


def test_tasks_call_tasks(services: Services) -> None:
    @task
    def outer(x: int) -> int:
        return double(x) + double.submit(x).result()

    @flow
    def run() -> int:
        return outer(1)

    assert run() == 4
    runs = {run.name: run for run in services.runs.runs(RunQuery())}
    assert runs["double-0"].parent_id == runs["outer-0"].id
    assert set(runs) >= {"outer-0", "double-0", "double-1"}


def test_a_submitted_task_runs_elsewhere_and_gives_its_value(services: Services) -> None:
    threads = set()

    @task
    def where(gate: threading.Barrier) -> int:
        gate.wait(300)  # both are running at once, or this breaks
        threads.add(threading.get_ident())
        return 1

    @flow
    def two() -> int:
        gate = threading.Barrier(2)
        futures = [where.submit(gate), where.submit(gate)]
        return sum(future.result(timeout=300) for future in futures)

    assert two() == 2
    assert len(threads) == 2


def test_a_future_tells_its_state() -> None:
    gate = threading.Event()

    @task
    def waits() -> int:
        gate.wait(300)
        return 5

    @flow
    def f() -> None:
        future = waits.submit()
        assert not future.state.is_final()
        with pytest.raises(RunTimeout):
            future.result(timeout=0.01)
        gate.set()
        future.wait(timeout=300)
        assert future.done()
        assert future.state.is_completed()
        assert future.result() == 5
        called: list[Any] = []
        future.add_done_callback(called.append)
        assert called == [future]

    f()


def test_futures_are_arguments(services: Services) -> None:
    @task
    def add(a: int, b: list[int], c: dict[str, int]) -> int:
        return a + sum(b) + sum(c.values())

    @flow
    def f() -> int:
        one, two = double.submit(1), double.submit(2)
        direct: int = add(one, [two, 1], {"x": one})  # type: ignore[call-overload]
        return direct + add.submit(one, [two], c={}).result()

    assert f() == 9 + 6
    runs = {run.name: run for run in services.runs.runs(RunQuery())}
    assert set(runs["add-0"].inputs) == {runs["double-0"].id, runs["double-1"].id}


def test_a_failed_upstream_stops_what_needs_it(services: Services) -> None:
    @flow
    def f() -> None:
        future = fails.submit(1)
        with pytest.raises(UpstreamTaskError, match=r"needs 'fails-0', which ended Failed"):
            double(future)  # type: ignore[call-overload]
        after = double.submit(1, wait_for=[future])
        after.wait()
        assert after.state.name == "UpstreamFailed"

    f()
    assert ends(services)["double-0"] == "UpstreamFailed"


def test_a_failure_that_is_allowed_arrives_as_the_exception() -> None:
    @task
    def look(error: object) -> str:
        return repr(error)

    @flow
    def f() -> str:
        return look.submit(allow_failure(fails.submit(1))).result()

    assert f() == "ValueError('no 1')"


def test_a_quoted_argument_is_not_searched() -> None:
    @task
    def look(value: list[object]) -> str:
        return type(value[0]).__name__

    @flow
    def f() -> tuple[str, str]:
        value: Any = [double.submit(1)]
        return look(value), look(quote(value))  # type: ignore[call-overload]

    assert f() == ("int", "Future")


def test_map_calls_once_for_each_element_in_step(services: Services) -> None:
    @task
    def add(a: int, b: int, c: int = 0) -> int:
        return a + b + c

    @flow
    def f() -> list[int]:
        futures = add.map(range(3), [10, 20, 30], c=unmapped(100))
        return add.map(futures, 1).result()

    assert f() == [111, 122, 133]
    assert len(ends(services)) == 7


@pytest.mark.parametrize("whole", ["text", b"bytes", {"a": 1}, 3, None])
def test_map_gives_single_values_to_each_call(whole: object) -> None:
    @task
    def pair(x: int, y: object) -> tuple[int, object]:
        return x, y

    assert pair.map([1, 2], whole).result() == [(1, whole), (2, whole)]


def test_map_over_a_future_of_a_list() -> None:
    @task
    def numbers() -> list[int]:
        return [1, 2, 3]

    @flow
    def f() -> list[int]:
        return double.map(numbers.submit()).result()

    assert f() == [2, 4, 6]


def test_map_says_what_does_not_fit() -> None:
    with pytest.raises(MappingLengthMismatch, match="0: 2, 1: 3"):
        double.map([1, 2], [1, 2, 3])
    with pytest.raises(MappingMissingIterable, match=r"\.submit"):
        double.map(1)


def test_map_of_nothing_is_nothing() -> None:
    assert double.map([]).result() == []


def test_a_flow_returns_the_values_of_its_futures() -> None:
    @flow
    def one() -> Any:
        return double.submit(2)

    @flow
    def many() -> Any:
        return double.map([1, 2])

    assert one() == 4
    assert many() == [2, 4]


def test_a_failure_nobody_asked_for_fails_the_flow(services: Services) -> None:
    @flow
    def careless() -> int:
        fails.map([1, 2])
        double.submit(1)
        return 1

    state = careless(return_state=True)
    assert state.is_failed()
    assert "2 submitted tasks did not complete" in str(state.message)
    assert sorted(ends(services).values()) == ["Completed", "Failed", "Failed", "Failed"]


def test_a_failure_somebody_looked_at_does_not() -> None:
    @flow
    def careful() -> str:
        future = fails.submit(1)
        future.wait()
        return future.state.name

    @flow
    def caught() -> str:
        future = fails.submit(1)
        try:
            future.result()
        except ValueError as error:
            return str(error)
        return ""

    @flow
    def explicit() -> State:
        fails.submit(1)
        return Completed(message="all the same")

    assert careful() == "Failed"
    assert caught() == "no 1"
    assert explicit(return_state=True).message == "all the same"


def test_a_flow_that_fails_cancels_what_has_not_started(services: Services) -> None:
    gate = threading.Event()

    @task
    def waits() -> None:
        gate.wait(300)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def f() -> None:
        waits.submit()
        for _ in range(5):
            double.submit(1)
        threading.Timer(0.05, gate.set).start()
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        f()
    found = ends(services)
    assert found.pop("waits-0") == "Completed"
    assert [found[f"double-{number}"] for number in range(5)] == ["Cancelled"] * 5


def test_a_future_can_be_cancelled_before_it_starts(services: Services) -> None:
    gate = threading.Event()

    @task
    def waits() -> None:
        gate.wait(300)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def f() -> None:
        first = waits.submit()
        second = double.submit(1)
        assert second.cancel()
        assert second.state.is_cancelled()
        gate.set()
        first.result()
        assert not first.cancel()

    f()
    assert ends(services)["double-0"] == "Cancelled"


def test_tasks_that_wait_for_each_other_do_not_lock_a_small_pool_up() -> None:
    @task
    def fib(n: int) -> int:
        return n if n < 2 else fib.submit(n - 1).result() + fib.submit(n - 2).result()

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def f() -> int:
        return fib.submit(9).result()

    assert f() == 34


def test_async_tasks_are_submitted_to_one_loop() -> None:
    loops = set()

    @task
    async def where(x: int) -> int:
        loops.add(id(asyncio.get_running_loop()))
        await asyncio.sleep(0.001)
        return x

    @flow
    def f() -> list[int]:
        return where.map(range(20)).result()

    @flow
    async def g() -> int:
        future = where.submit(3)
        return await future + await double.submit(1)

    assert f() == list(range(20))
    assert len(loops) == 1
    assert asyncio.run(g()) == 5


def test_retries_of_a_task(services: Services) -> None:
    calls: list[float] = []

    @task(retries=2, retry_delay_seconds=exponential_backoff(0.01), retry_jitter_factor=0.1)
    def flaky() -> int:
        calls.append(time.monotonic())
        if len(calls) < 3:
            raise ValueError
        return 7

    assert flaky() == 7
    assert calls[1] - calls[0] >= 0.01
    assert calls[2] - calls[1] >= 0.02
    [run] = services.runs.runs(RunQuery())
    assert run.attempt == 3


def test_an_async_retry_condition() -> None:
    async def only_value_errors(task: Any, run: Any, state: Any) -> bool:
        await asyncio.sleep(0)
        return isinstance(state.data, ValueError)

    calls: list[int] = []

    @task(retries=3, retry_condition_fn=only_value_errors)
    def flaky() -> None:
        calls.append(1)
        raise (ValueError if len(calls) == 1 else KeyError)("x")

    with pytest.raises(KeyError):
        flaky()
    assert len(calls) == 2


def test_a_task_times_out_in_a_thread() -> None:
    @task(timeout_seconds=0.05)
    def busy() -> None:
        end = time.monotonic() + 300
        while time.monotonic() < end:
            pass

    @flow
    def f() -> Any:
        future = busy.submit()
        future.wait(300)
        return future.state.name

    assert f() == "TimedOut"


def test_a_blocking_call_in_a_thread_is_late_and_says_so() -> None:
    gate = threading.Event()

    @task(timeout_seconds=0.02)
    def blocked() -> None:
        gate.wait(0.7)

    @flow
    def f() -> State:
        future = blocked.submit()
        future.wait(300)
        return future.state

    state = f(return_state=True)
    assert state.name == "TimedOut"
    assert state.message is not None
    assert "A blocking call could not be interrupted; it ended after" in state.message


def test_exponential_backoff() -> None:
    assert exponential_backoff(3)(4) == [3, 6, 12, 24]


def test_task_options_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="is not a list of strings"):
        task(tags="one")(print)
    with pytest.raises(ConfigurationError, match="max_workers=0"):
        ThreadPoolTaskRunner(max_workers=0)


def test_task_run_names() -> None:
    @task(task_run_name="row-{x}")
    def row(x: int) -> None: ...

    @flow
    def f() -> list[str]:
        return [future.name for future in row.map([1, 2])]

    assert f() == ["row-1", "row-2"]


def test_an_interrupt_ends_all_as_cancelled(services: Services) -> None:
    begun = threading.Event()

    @task
    def spins() -> None:
        begun.set()
        while True:
            time.sleep(0.001)

    @flow
    def f() -> None:
        spins.submit()
        begun.wait(300)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        f()
    assert set(ends(services).values()) == {"Cancelled"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_traceback_has_no_frames_of_the_engine(error: type[BaseException]) -> None:
    @task
    def fails() -> None:
        raise error

    @flow
    def f() -> None:
        fails()

    with pytest.raises(error) as caught:
        f()
    modules = [frame.frame.f_globals["__name__"] for frame in caught.traceback]
    assert [name for name in modules if not name.startswith("flowstone.calls.")] == [__name__] * 3


def test_no_future_keeps_its_arguments_alive() -> None:
    import gc
    import weakref

    class Big:
        pass

    @task
    def use(value: Big) -> int:
        return 1

    @flow
    def f() -> bool:
        value = Big()
        gone = weakref.ref(value)
        future = use.submit(value)
        assert future.result() == 1
        del value
        gc.collect()
        return gone() is None

    assert f()


def test_a_run_knows_what_its_arguments_were_made_by(services: Services) -> None:
    class Frame:
        pass

    @task
    def frame() -> Frame:
        return Frame()

    @task
    def rows(number: int) -> list[int]:
        return [number]

    @task
    async def arows() -> dict[str, int]:
        return {}

    @task
    def take(*_: object, **__: object) -> int:
        return 1

    @flow
    def f() -> None:
        one, two = frame(), rows(1)
        three = rows.submit(2).result()
        take(one, two, plain=3)
        take([three, one])
        take(take(0))  # a number may be from anywhere
        held = [rows(number) for number in range(10)]
        take(held[0], held[9], one)
        take([1], Frame())

    @flow
    async def g() -> None:
        take(await arows())

    f()
    asyncio.run(g())
    runs = services.runs.runs(RunQuery(unit="take"))
    names = {run.id: run.name for run in services.runs.runs(RunQuery())}
    told = [sorted(names[each] for each in run.inputs) for run in runs]
    assert told == [
        ["frame-0", "rows-0"],
        ["frame-0", "rows-1"],
        [],
        [],
        ["frame-0", "rows-11", "rows-2"],
        [],
        ["arows-0"],
    ]
