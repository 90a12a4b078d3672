"""Large values, which stay on the cluster until they are requested."""

from __future__ import annotations

import os
import signal
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

from flowstone import State, flow, task, unmapped
from flowstone.errors import ProcessLost
from flowstone.records.states import StoredValue
from flowstone.testing import flowstone_test_harness
from flowstone_dask import DaskTaskRunner
from flowstone_dask.pool import DaskPool

from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Future
    from tests.services.dask_processes import DaskProcesses

    from flowstone.ports import Runner, RunnerSettings
    from flowstone.task_runners.remote_pool import SentCall

MEGABYTE = 1_000_000


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    with flowstone_test_harness():
        yield


@pytest.fixture
def runner(remote: DaskProcesses) -> DaskTaskRunner:
    return DaskTaskRunner(address=remote.address)


@task
def make(size: int) -> bytes:
    return bytes(size)


@task
def measure(value: bytes, *more: Any) -> int:
    return len(value) + sum(len(each) for item in more for each in item)


class Cluster:
    """The state of the scheduler."""

    def __init__(self, address: str) -> None:
        self._client = Client(address, set_as_default=False)

    def list_held(self) -> list[str]:
        """Return the keys of the large values that workers hold."""

        def find(dask_scheduler: Any) -> list[str]:
            tasks = [task for task in dask_scheduler.tasks.values() if task.who_has]
            keys = [task.key for task in tasks if task.nbytes >= 1_000_000]
            return [f"{key} {dask_scheduler.tasks[key].who_wants}" for key in keys]

        found: list[str] = self._client.run_on_scheduler(find)
        return found

    def find_holder(self) -> int:
        """Return the process id of a worker that holds a large value."""

        def find(dask_scheduler: Any) -> str:
            tasks = dask_scheduler.tasks.values()
            (held,) = [task for task in tasks if task.who_has and task.nbytes >= 1_000_000]
            return str(next(iter(held.who_has)).address)

        address = self._client.run_on_scheduler(find)
        return int(self._client.run(os.getpid, workers=[address])[address])

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def held(remote: DaskProcesses) -> Iterator[Cluster]:
    found = Cluster(remote.address)
    yield found
    found.close()


def test_a_value_goes_from_task_to_task(runner: DaskTaskRunner, held: Cluster) -> None:
    @flow(task_runner=runner)
    def f() -> tuple[int, object]:
        made = make.submit(MEGABYTE)
        made.wait()
        until(lambda: held.list_held())
        length = measure.submit(made, [made, b"x"]).result()
        return length, made.state.data

    length, data = f()
    assert length == 2 * MEGABYTE + 1
    assert isinstance(data, StoredValue)


def test_it_comes_home_when_it_is_asked_for(runner: DaskTaskRunner) -> None:
    @flow(task_runner=runner)
    def f() -> bytes:
        return make.submit(MEGABYTE).result()

    assert f() == bytes(MEGABYTE)


def test_it_is_let_go_with_its_future(runner: DaskTaskRunner, held: Cluster) -> None:
    @flow(task_runner=runner)
    def f() -> None:
        made = make.submit(MEGABYTE)
        made.wait()
        until(lambda: held.list_held())
        del made
        until(lambda: not held.list_held())

    f()


def test_what_nobody_can_ask_for_does_not_come_home(runner: DaskTaskRunner) -> None:
    values: list[weakref.ref[object]] = []

    @flow(task_runner=runner)
    def f() -> list[int]:
        made = make.map([MEGABYTE] * 5)
        made.wait()
        values.extend(weakref.ref(each.state.data) for each in made)
        return measure.map(made).result()

    assert f() == [MEGABYTE] * 5
    assert [value() for value in values] == [None] * 5


def test_it_can_be_asked_for_after_the_flow(runner: DaskTaskRunner) -> None:
    ends: list[State[bytes]] = []

    @flow(task_runner=runner)
    def f() -> None:
        made = make.submit(MEGABYTE)
        made.wait()
        ends.append(made.state)

    f()
    assert ends[0].result() == bytes(MEGABYTE)


def test_one_that_is_kept_is_kept_by_the_flow(runner: DaskTaskRunner) -> None:
    kept = make.with_options(persist_result=True)

    @flow(task_runner=runner)
    def f() -> bytes:
        return kept.submit(MEGABYTE).result()

    assert f() == bytes(MEGABYTE)


def test_one_whose_worker_died_is_not_made_again(
    runner: DaskTaskRunner, remote: DaskProcesses, tmp_path: Any
) -> None:
    @task
    def marks() -> bytes:
        (tmp_path / str(os.getpid())).touch()
        return bytes(MEGABYTE)

    @flow(task_runner=runner)
    def f() -> None:
        made = marks.submit()
        made.wait()
        (mark,) = tmp_path.iterdir()
        os.kill(int(mark.name), signal.SIGKILL)
        with pytest.raises(ProcessLost, match="that held its value"):
            until(lambda: made.result() and False)

    f()
    assert len(list(tmp_path.iterdir())) == 1
    remote.wait_for_workers(2)


@task
def sum_up(number: int, numbers: list[float]) -> float:
    return number + sum(numbers)


def test_a_large_argument_is_sent_once_for_many_calls(
    runner: DaskTaskRunner, held: Cluster, tmp_path: Any
) -> None:
    @task
    def wait(number: int, value: bytes) -> int:
        (tmp_path / str(number)).touch()
        until((tmp_path / "go").exists)
        return number + len(value)

    @flow(task_runner=runner)
    def f() -> list[int]:
        futures = wait.map(range(4), unmapped(b"x" * MEGABYTE))
        until(lambda: len(list(tmp_path.iterdir())) >= 2)  # as many as there are threads
        assert len(held.list_held()) == 1
        (tmp_path / "go").touch()
        return futures.result()

    assert f() == [MEGABYTE + number for number in range(4)]
    until(lambda: not held.list_held())


def test_an_argument_that_is_changed_between_calls_is_sent_as_it_is(runner: DaskTaskRunner) -> None:
    numbers = [0.5] * 100_000

    @flow(task_runner=runner)
    def f() -> list[float]:
        first = sum_up.submit(1, numbers)
        first.wait()
        numbers[0] = 1.5
        return [first.result(), sum_up.submit(2, numbers=numbers).result()]

    assert f() == [50_001.0, 50_003.0]


def test_a_large_argument_may_have_a_held_value_in_it(runner: DaskTaskRunner) -> None:
    @flow(task_runner=runner)
    def f() -> int:
        made = make.submit(MEGABYTE)
        return measure.submit(b"", [made, b"x" * MEGABYTE]).result()

    assert f() == 2 * MEGABYTE


def test_an_argument_whose_worker_died_is_sent_again(
    runner: DaskTaskRunner, held: Cluster, remote: DaskProcesses, tmp_path: Any
) -> None:
    @task(retries=3)
    def wait(number: int, value: bytes) -> int:
        (tmp_path / f"{number} in {os.getpid()}").touch()
        until((tmp_path / "go").exists)
        return number + len(value)

    @flow(task_runner=runner)
    def f() -> list[int]:
        futures = wait.map(range(2), unmapped(b"x" * MEGABYTE))
        until(lambda: len(list(tmp_path.iterdir())) >= 2)
        os.kill(held.find_holder(), signal.SIGKILL)
        until(lambda: len(list(tmp_path.iterdir())) >= 3)
        (tmp_path / "go").touch()
        return futures.result()

    assert f() == [MEGABYTE, MEGABYTE + 1]
    remote.wait_for_workers(2)


class LatePool(DaskPool):
    """Gets to know the future of a call only after the call has ended."""

    def _note(self, call: SentCall, future: Future[bytes | None]) -> None:
        until(lambda: self.find_call(call.key) is None)
        super()._note(call, future)


class LateTaskRunner(DaskTaskRunner):
    def open(self, settings: RunnerSettings) -> Runner:
        return LatePool(self, settings)


@pytest.mark.parametrize("size", [10, MEGABYTE], ids=["small", "large"])
def test_a_call_may_end_before_its_future_is_known(remote: DaskProcesses, size: int) -> None:
    @flow(task_runner=LateTaskRunner(address=remote.address))
    def sizes() -> list[int]:
        return [len(value) for value in make.map([size, size]).result()]

    assert sizes() == [size, size]
