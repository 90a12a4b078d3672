"""Large values, which stay on the cluster until they are requested."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client
from tests.services.cluster_runners import MEGABYTE, make, wait_for_go
from tests.services.waiting import until

from flowstone import flow, task, unmapped
from flowstone.errors import ProcessLost
from flowstone.testing import flowstone_test_harness
from flowstone_dask import DaskTaskRunner
from flowstone_dask.pool import DaskPool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Future
    from tests.services.dask_processes import DaskProcesses

    from flowstone.ports import Runner, RunnerSettings
    from flowstone.task_runners.remote_pool import SentCall


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    with flowstone_test_harness():
        yield


@pytest.fixture
def runner(remote: DaskProcesses) -> DaskTaskRunner:
    return DaskTaskRunner(address=remote.address)


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


def test_it_is_let_go_with_its_future(runner: DaskTaskRunner, held: Cluster) -> None:
    @flow(task_runner=runner)
    def f() -> None:
        made = make.submit(MEGABYTE)
        made.wait()
        until(lambda: held.list_held())
        del made
        until(lambda: not held.list_held())

    f()


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


def test_a_large_argument_is_sent_once_for_many_calls(
    runner: DaskTaskRunner, held: Cluster, tmp_path: Any
) -> None:
    @flow(task_runner=runner)
    def f() -> list[int]:
        value = unmapped(b"x" * MEGABYTE)
        futures = task(wait_for_go).map(range(4), value, unmapped(tmp_path))
        until(lambda: len(list(tmp_path.iterdir())) >= 2)  # as many as there are threads
        assert len(held.list_held()) == 1
        (tmp_path / "go").touch()
        return futures.result()

    assert f() == [MEGABYTE + number for number in range(4)]
    until(lambda: not held.list_held())


def test_an_argument_whose_worker_died_is_sent_again(
    runner: DaskTaskRunner, held: Cluster, remote: DaskProcesses, tmp_path: Any
) -> None:
    wait = task(retries=3)(wait_for_go)

    @flow(task_runner=runner)
    def f() -> list[int]:
        futures = wait.map(range(2), unmapped(b"x" * MEGABYTE), unmapped(tmp_path))
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
