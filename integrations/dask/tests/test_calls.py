"""What is Dask's own: its clients, its annotations, its scheduler."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from dask.base import annotate
from distributed import Client, get_worker
from tests.services.cluster_runners import run_on
from tests.services.waiting import until

from flowstone import flow, task
from flowstone.testing import flowstone_test_harness
from flowstone_dask import DaskTaskRunner, get_async_dask_client, get_dask_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.dask_processes import DaskProcesses


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    with flowstone_test_harness():
        yield


@pytest.fixture
def runner(remote: DaskProcesses) -> DaskTaskRunner:
    return DaskTaskRunner(address=remote.address)


def test_resources_choose_the_worker(runner: DaskTaskRunner) -> None:
    def tell() -> str:
        return str(get_worker().state.total_resources)

    @flow(task_runner=runner)
    def f() -> list[str]:
        with annotate(resources={"GPU": 1}):
            futures = [task(tell).submit() for _ in range(4)]
        return [future.result() for future in futures]

    assert f() == ["{'GPU': 1.0}"] * 4


def test_a_task_computes_on_the_cluster(runner: DaskTaskRunner) -> None:
    def outer() -> int:
        with get_dask_client() as client:
            return sum(client.gather(client.map(abs, range(-3, 0))))

    async def aouter() -> int:
        async with get_async_dask_client() as client:
            return int(await client.submit(abs, -2))

    assert run_on(runner, outer) == 6
    assert run_on(runner, aouter) == 2


def test_the_current_client_is_used_and_left_open(remote: DaskProcesses) -> None:
    with Client(remote.address) as client:
        assert run_on(DaskTaskRunner(), abs, -1) == 1
        assert client.submit(abs, -2).result() == 2


def test_it_goes_by_its_name(remote: DaskProcesses) -> None:
    @flow(task_runner="dask")
    def f() -> Any:
        return task(os.getpid).submit().result()

    with Client(remote.address):
        assert f() != os.getpid()


def test_nothing_stays_on_a_shared_scheduler(remote: DaskProcesses) -> None:
    def find(dask_scheduler: Any) -> list[str]:
        topics = dask_scheduler._broker._topics  # Dask keeps one of each client itself
        return [*dask_scheduler.tasks, *(name for name in topics if "flowstone" in name)]

    @flow(task_runner=DaskTaskRunner(address=remote.address))
    def f() -> None:
        task(abs).map(range(20)).result()

    with Client(remote.address, set_as_default=False) as client:
        before = set(client.run_on_scheduler(find))
        f()
        until(lambda: set(client.run_on_scheduler(find)) <= before)
