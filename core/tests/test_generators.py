"""Flows and tasks whose functions yield: the run is what is iterated over."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowstone import FutureList, allow_failure, flow, get_run_logger, tags, task
from flowstone.context.current import Services, scope
from flowstone.errors import CancelSignal, ClosedEarly, ConfigurationError, RunTimeout
from flowstone.records.events import LogLine, make_change_event
from flowstone.records.runs import Run, RunQuery
from flowstone.runtime import task_run
from flowstone.states import Cancelling, State
from flowstone.stores.sqlite import open_sqlite
from flowstone.task_runners import ProcessPoolTaskRunner


def ends(services: Services) -> dict[str, str]:
    services.journal.flush()
    return {run.name if run.kind == "task" else run.unit: told(run) for run in all_runs(services)}


def told(run: Run) -> str:
    return f"{run.state.name}: {run.state.message}" if run.state.message else run.state.name


def all_runs(services: Services) -> list[Run]:
    return list(services.runs.runs(RunQuery()))


def lines(services: Services) -> list[str]:
    services.journal.flush()
    found = (event.payload for _, event in services.runs.events())
    return [payload.message for payload in found if isinstance(payload, LogLine)]


@task
def numbers(count: int) -> Generator[int, int | None, str]:
    yield from range(count)
    return "all"


def test_a_run_begins_with_its_first_value_and_ends_with_its_last(services: Services) -> None:
    values = numbers(2)
    assert ends(services) == {}
    assert next(values) == 0
    services.journal.flush()
    [run] = all_runs(services)
    assert run.state.name == "Running"
    assert list(values) == [1]
    [run] = all_runs(services)
    assert (run.state.name, run.attempt) == ("Completed", 1)


def test_what_it_returns_is_the_value_of_the_iteration(services: Services) -> None:
    @flow
    def outer() -> Generator[int, None, str]:
        return (yield from numbers(3))

    values = outer()
    assert [next(values), next(values), next(values)] == [0, 1, 2]
    with pytest.raises(StopIteration) as stop:
        next(values)
    assert stop.value.value == "all"
    assert ends(services) == {"outer": "Completed", "numbers-0": "Completed"}


def test_send_and_throw_reach_the_function(services: Services) -> None:
    @task
    def echo() -> Generator[Any, Any, None]:
        got: Any = None
        while True:
            try:
                got = yield got
            except KeyError as error:
                got = error

    values = echo()
    assert next(values) is None
    assert values.send(5) == 5
    error = KeyError("x")
    assert values.throw(error) is error
    with pytest.raises(ValueError, match="out"):
        values.throw(ValueError("out"))
    assert list(ends(services).values()) == ["Failed: ValueError: out"]


def test_closing_early_is_the_right_of_the_consumer(services: Services) -> None:
    cleaned = []

    @flow
    def counts() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            cleaned.append(scope.get())

    for number in counts():
        if number == 2:
            break
    assert ends(services) == {"counts": "Completed: closed by its consumer after 3 values"}
    assert cleaned[0] is not None


def test_an_iterator_in_a_circle_of_references_is_ended_when_it_is_collected(
    services: Services,
) -> None:
    values = numbers(5)
    next(values)
    circle: list[Any] = [values]
    circle.append(circle)
    del values, circle
    gc.collect()
    assert list(ends(services).values()) == ["Completed: closed by its consumer after 1 value"]


def test_a_function_that_will_not_be_closed_has_failed(services: Services) -> None:
    @task
    def stubborn() -> Iterator[int]:
        try:
            yield 1
        finally:
            yield 2

    values = stubborn()
    next(values)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        values.close()  # type: ignore[attr-defined]
    assert list(ends(services).values()) == [
        "Failed: RuntimeError: generator ignored GeneratorExit"
    ]


def test_the_consumer_is_not_in_the_run(services: Services) -> None:
    parents: dict[str, str | None] = {}
    seen: list[Any] = []

    @task
    def child(who: str) -> None:
        parents[who] = scope.get().owner.request.unit.name  # type: ignore[union-attr]
        seen.append(sorted(task_run.tags))

    @flow
    def inner() -> Iterator[int]:
        with tags("inner"):
            child("inner")
            yield 1
            child("inner again")

    @flow
    def outer() -> None:
        for _ in inner():
            child("outer")

    outer()
    assert parents == {"inner": "inner", "outer": "outer", "inner again": "inner"}
    assert seen == [["inner"], [], ["inner"]]
    names = {run.id: run.unit for run in all_runs(services)}
    found = sorted(names.get(run.parent_id or "", "") for run in all_runs(services))
    assert found == ["", "inner", "inner", "outer", "outer"]


def test_a_failure_is_raised_where_the_value_was_asked_for(services: Services) -> None:
    @task
    def fails() -> Iterator[int]:
        yield 1
        raise ValueError("no")

    @flow
    def f() -> list[int]:
        got: list[int] = []
        try:
            got.extend(fails())
        except ValueError:
            got.append(-1)
        return got

    assert f() == [1, -1]
    assert ends(services) == {"f": "Completed", "fails-0": "Failed: ValueError: no"}


@pytest.mark.parametrize(("good", "attempts"), [(False, 3), (True, 1)])
def test_a_retry_never_repeats_values(services: Services, good: bool, attempts: int) -> None:
    @task(retries=2)
    def flaky() -> Iterator[int]:
        if good:
            yield 1
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(flaky())
    [run] = all_runs(services)
    assert (run.state.name, run.attempt) == ("Failed", attempts)
    said = lines(services)
    assert any("1 of its values were already yielded" in line for line in said) is good


def test_the_timeout_is_of_the_function_alone(services: Services) -> None:
    @task(timeout_seconds=0.2)
    def slow(wait: float) -> Iterator[int]:
        yield 1
        threading.Event().wait(wait)
        yield 2

    values = slow(0)
    assert next(values) == 1
    threading.Event().wait(0.3)
    assert list(values) == [2]
    values = slow(60)
    assert next(values) == 1
    with pytest.raises(RunTimeout, match=r"timeout of 0.2 s"):
        next(values)
    assert sorted(run.state.name for run in all_runs(services)) == ["Completed", "TimedOut"]


def test_submitted_it_is_collected(services: Services) -> None:
    @flow
    def f() -> list[Any]:
        mapped: FutureList[list[int]] = numbers.map([1, 2])
        batches = numbers.map([1, 2, 3], batch_size=2).result()
        state: State = numbers(2, return_state=True)
        future = numbers.submit(2)
        later = numbers(future.result()[-1])
        return [future.result(), mapped.result(), batches, state.result(), list(later)]

    assert f() == [[0, 1], [[0], [0, 1]], [[0], [0, 1], [0, 1, 2]], [0, 1], [0]]


def test_submitted_it_is_retried_whole(services: Services) -> None:
    attempts: list[int] = []

    @task(retries=1)
    def flaky() -> Iterator[int]:
        yield len(attempts)
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("no")

    values: list[int] = flaky.submit().result()
    assert values == [1]


def test_futures_among_the_arguments_are_waited_for(services: Services) -> None:
    @task
    def two() -> int:
        return 2

    @task
    def bad() -> int:
        raise ValueError("no")

    @task
    def kinds(value: Any) -> Iterator[str]:
        yield type(value).__name__

    @flow
    def f() -> list[Any]:
        return [
            *numbers(two.submit()),  # type: ignore[call-overload]
            *kinds(allow_failure(bad.submit())),
            *kinds(1, wait_for=[two.submit()]),
        ]

    assert f() == [0, 1, "ValueError", "int"]


def test_what_is_iterated_is_not_cached_and_says_so(services: Services) -> None:
    calls = []

    @task(persist_result=True)
    def kept(count: int) -> Iterator[int]:
        calls.append(count)
        yield from range(count)

    with pytest.raises(ConfigurationError, match=r"Use kept.submit\(...\)"):
        kept(2)

    @flow
    def f() -> list[list[int]]:
        return [kept.submit(2).result(), kept.submit(2).result()]

    assert f() == [[0, 1], [0, 1]]
    assert calls == [2]


def test_the_end_of_a_flow_closes_what_it_has_begun(services: Services) -> None:
    @flow
    def f() -> Iterator[int]:
        values = numbers(5)
        next(values)
        begun.append(values)
        return values

    begun: list[Any] = []
    values = f()
    assert begun == [values]
    assert ends(services)["numbers-0"] == "Completed: closed by the end of its flow after 1 value"
    with pytest.raises(ClosedEarly, match=r"'numbers-0' was closed by the end of its flow"):
        next(values)


def test_what_a_flow_returns_unbegun_is_a_run_of_its_own(services: Services) -> None:
    @flow
    def f() -> Iterator[int]:
        return numbers(2)

    assert list(f()) == [0, 1]
    assert sorted(run.unit for run in all_runs(services) if run.is_root) == ["f", "numbers"]


def test_a_flow_that_fails_leaves_none_unfinished(services: Services) -> None:
    @flow
    def f() -> None:
        values = numbers(5)
        next(values)
        raise ValueError(next(values))

    with pytest.raises(ValueError, match="1"):
        f()
    assert ends(services)["numbers-0"].startswith("Completed: closed by the end of its flow")


def test_prints_of_the_function_are_logged_and_those_of_the_consumer_are_not(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    @flow(log_prints=True)
    def talks() -> Iterator[int]:
        for number in range(2):
            print("from within", number)
            get_run_logger().info("logged")
            yield number

    for number in talks():
        print("outside", number)
    assert capsys.readouterr().out == "outside 0\noutside 1\n"
    assert [line for line in lines(services) if "from" in line or line == "logged"] == [
        "from within 0", "logged", "from within 1", "logged",
    ]  # fmt: skip


def test_methods_that_yield(services: Services) -> None:
    class Shop:
        rate = 2

        @task
        def prices(self, count: int) -> Iterator[int]:
            yield from (self.rate * number for number in range(count))

        @task
        @classmethod
        def rates(cls) -> Iterator[int]:
            yield cls.rate

        @task
        @staticmethod
        def ones() -> Iterator[int]:
            yield 1

    shop: Any = Shop()
    assert [*shop.prices(3), *shop.rates(), *shop.ones()] == [0, 2, 4, 2, 1]


def test_arguments_are_checked_at_the_first_value(services: Services) -> None:
    @flow
    def typed(count: int) -> Iterator[int]:
        yield count

    assert list(typed("3")) == [3]  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        next(numbers())  # type: ignore[call-overload]


def test_another_thread_may_go_on(services: Services) -> None:
    values = numbers(3)
    got: list[int] = []
    next(values)
    thread = threading.Thread(target=lambda: got.extend(values))
    thread.start()
    thread.join()
    assert got == [1, 2]
    assert list(ends(services).values()) == ["Completed"]


@pytest.mark.parametrize("where", ["suspended", "inside"])
def test_one_that_another_thread_iterates_is_cancelled(services: Services, where: str) -> None:
    begun, ended = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    @flow
    def spins() -> Iterator[int]:
        yield 1
        begun.set()
        while True:
            threading.Event().wait(0.01)

    def go_on() -> None:
        try:
            next(values)
        except BaseException as error:
            raised.append(error)
        ended.set()

    values = spins()
    next(values)
    thread = threading.Thread(target=go_on)
    if where == "inside":
        thread.start()
        begun.wait(300)
    [run] = services.runs.runs(RunQuery(listed=True))
    services.runs.record(make_change_event(run, Cancelling(), run.attempt))
    while not services.runs.run(run.id).state.is_final():
        threading.Event().wait(0.01)
    if where == "suspended":
        thread.start()
    assert ended.wait(300)
    thread.join()
    assert [type(error) for error in raised] == [CancelSignal]
    assert ends(services) == {"spins": "Cancelled: its flow run was cancelled"}


async def awaited(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


def test_collected_in_another_process(services: Services) -> None:
    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def f() -> list[list[int]]:
        return [numbers.submit(2).result(), task(awaited).submit(3).result()]

    assert f() == [[0, 1], [0, 1, 2]]


def test_memory_is_flat(services: Services) -> None:
    values = numbers(30_000)
    for _ in range(10_000):
        next(values)
    tracemalloc.start()
    for _ in values:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000


SCRIPT = """
import sys, threading
from flowstone import flow, task

@task
def numbers():
    try:
        yield from range(10)
    finally:
        print("cleaned", flush=True)

@flow
def deep():
    for number in numbers():
        yield number

@flow
def blocks():
    yield 1
    print("up", flush=True)
    threading.Event().wait(60)

def main(kind):
    values = deep()
    if kind == "inside":
        values = blocks()
    next(values)
    if kind == "forgotten":
        globals()["kept"] = values
        return
    if kind == "inside":
        next(values)
    print("up", flush=True)
    try:
        threading.Event().wait(10 if kind == "cancelled" else 60)
    finally:
        print("unwound", flush=True)

main(sys.argv[1])
"""


def started(home: Path, kind: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, kind],
        env={**os.environ, "FLOWSTONE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kept(home: Path) -> dict[str, str]:
    store = open_sqlite(home / "flowstone.db")
    found = {run.unit: told(run) for run in store.runs(RunQuery())}
    store.close()
    return found


@pytest.mark.parametrize("kind", ["suspended", "inside"])
def test_sigterm_ends_it_honestly(tmp_path: Path, kind: str) -> None:
    with started(tmp_path, kind) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=300)
    assert child.returncode == -signal.SIGTERM, errors
    flows = {unit: end for unit, end in kept(tmp_path).items() if unit != "numbers"}
    assert list(flows.values()) == ["Crashed: the process received SIGTERM"]
    assert "Running" not in kept(tmp_path).values()


def test_at_the_end_of_the_process_none_stays_open(tmp_path: Path) -> None:
    with started(tmp_path, "forgotten") as child:
        out, errors = child.communicate(timeout=300)
    assert (child.returncode, out) == (0, "cleaned\n"), errors
    assert kept(tmp_path) == {
        "deep": "Completed: closed by the end of the process after 1 value",
        "numbers": "Completed: closed by its consumer after 1 value",
    }


@pytest.mark.parametrize("kind", ["cancelled", "inside"])
def test_a_request_from_another_process_cancels_it(tmp_path: Path, kind: str) -> None:
    with started(tmp_path, kind) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        store = open_sqlite(tmp_path / "flowstone.db")
        [run] = store.runs(RunQuery(listed=True))
        store.record(make_change_event(run, Cancelling("asked by a test"), run.attempt))
        if kind == "cancelled":  # the consumer's code goes on; the run is ended all the same
            assert child.stdout.readline() == "cleaned\n"
            while not store.run(run.id).state.is_final():
                threading.Event().wait(0.01)
            assert child.poll() is None
            child.kill()
        _, errors = child.communicate(timeout=300)
        store.close()
    ends = kept(tmp_path)
    ends.pop("numbers", None)  # its consumer was the flow, which is over
    assert set(ends.values()) == {"Cancelled: asked by a test"}, errors
