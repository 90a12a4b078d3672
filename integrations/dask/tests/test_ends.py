"""Workers, schedulers and flows that die, and calls that are stopped: nothing is left running."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client, LocalCluster
from tests.services.cluster_runners import find_end
from tests.services.dask_processes import serve_dask
from tests.services.killed import (
    SPINNING_FLOW,
    find_processes,
    kill_in_mid_job,
    make_environment,
    run_command,
)
from tests.services.waiting import until

from flowstone import flow, task
from flowstone.errors import CrashedRun
from flowstone.testing import flowstone_test_harness
from flowstone_dask import DaskTaskRunner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.dask_processes import DaskProcesses

    from flowstone.context.current import Services


@pytest.fixture
def home() -> Iterator[Services]:
    with flowstone_test_harness() as services:
        yield services


def spin() -> None:
    while True:
        time.sleep(0.01)


def count_running(address: str) -> int:
    """Return how many calls the workers of a cluster are making."""

    def count() -> int:
        from flowstone.task_runners.shared_site import running

        return running.count()

    with Client(address, set_as_default=False) as client:
        found: dict[str, int] = client.run(count)
        return sum(found.values())


def test_a_late_call_that_blocks_is_given_up(home: Services, remote: DaskProcesses) -> None:
    """It can't be interrupted there; its run ends all the same."""

    @task(timeout_seconds=0.1)
    def blocks() -> None:
        time.sleep(5)

    @flow(task_runner=DaskTaskRunner(address=remote.address))
    def f() -> None:
        blocks.submit()

    f(return_state=True)
    assert find_end(home, "blocks-0")[0] == "TimedOut"
    until(lambda: count_running(remote.address) == 0)


def make_program(folder: Path, where: str) -> str:
    return SPINNING_FLOW.format(
        module="flowstone_dask", runner="DaskTaskRunner", where=where, file=str(folder / "began")
    )


def test_a_flow_that_dies_leaves_nothing_running(remote: DaskProcesses, tmp_path: Path) -> None:
    program = make_program(tmp_path, f"address={remote.address!r}")
    environment = make_environment(tmp_path)
    assert kill_in_mid_job(program, tmp_path, environment) == "it runs"
    until(lambda: count_running(remote.address) == 0)
    assert "Crashed" in run_command(environment, "run", "ls")


def test_a_temporary_cluster_dies_with_its_flow(tmp_path: Path) -> None:
    program = make_program(tmp_path, "cluster_kwargs={'n_workers': 1, 'threads_per_worker': 1}")
    environment = make_environment(tmp_path, MARK=str(tmp_path))
    assert kill_in_mid_job(program, tmp_path, environment) == "it runs"
    until(lambda: not find_processes(f"MARK={tmp_path}"))
    assert "Crashed" in run_command(environment, "run", "ls")


def test_a_scheduler_that_dies_ends_the_flow(home: Services, tmp_path: Path) -> None:
    with serve_dask(tmp_path, [()]) as doomed:

        @flow(task_runner=DaskTaskRunner(address=doomed.address))
        def f() -> Any:
            future = task(spin).submit()
            until(lambda: count_running(doomed.address) == 1)
            doomed.scheduler.kill()
            return future.result()

        with pytest.raises(CrashedRun):
            f()
    assert find_end(home, "spin-0")[0] == "Crashed"


def test_a_temporary_cluster_is_closed(home: Services) -> None:
    made: list[LocalCluster] = []

    def make() -> LocalCluster:
        made.append(LocalCluster(n_workers=0, dashboard_address=":0"))
        return made[0]

    runner = DaskTaskRunner(cluster_class=make, adapt_kwargs={"minimum": 0, "maximum": 1})

    @flow(task_runner=runner)
    def f() -> int:
        assert task(abs).submit(-1).result() == 1
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        f()
    assert [cluster.status.name for cluster in made] == ["closed"]
