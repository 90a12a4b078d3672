"""Workers, schedulers and flows that die, and stopped calls: nothing is left running."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client, LocalCluster
from tests.services.dask_processes import serve_dask
from tests.services.killed import kill_in_mid_job, make_environment, run_command

from flowstone import flow, task
from flowstone.errors import CrashedRun, ProcessLost
from flowstone.records.runs import RunQuery
from flowstone.testing import flowstone_test_harness
from flowstone_dask import DaskTaskRunner

from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.dask_processes import DaskProcesses

    from flowstone.context.current import Services


@pytest.fixture
def home() -> Iterator[Services]:
    with flowstone_test_harness() as services:
        yield services


def mark(folder: Path) -> int:
    """Create a file, and return the number of files."""
    (folder / f"{time.monotonic_ns()}").touch()
    return len(list(folder.iterdir()))


def spin() -> None:
    while True:
        time.sleep(0.01)


def count_running(address: str) -> int:
    """Return the number of calls that the workers of a cluster are running."""

    def count() -> int:
        from flowstone.task_runners.shared_site import running

        return running.count()

    with Client(address, set_as_default=False) as client:
        found: dict[str, int] = client.run(count)
        return sum(found.values())


def end_of(home: Services, name: str) -> tuple[str, int, str]:
    found = next(run for run in home.runs.runs(RunQuery()) if run.name == name)
    return found.state.name, found.attempt, str(found.state.message)


def test_a_worker_that_dies_crashes_its_run(
    home: Services, remote: DaskProcesses, tmp_path: Path
) -> None:
    """Dask itself would retry it three more times."""

    @task
    def dies() -> None:
        mark(tmp_path)
        os.kill(os.getpid(), signal.SIGKILL)

    @flow(task_runner=DaskTaskRunner(address=remote.address))
    def f() -> None:
        with pytest.raises(ProcessLost, match="its Dask worker tcp://127"):
            dies.submit().result()

    f()
    assert end_of(home, "dies-0")[0] == "Crashed"
    assert len(list(tmp_path.iterdir())) == 1
    remote.wait_for_workers(2)


def test_retries_count_for_a_worker_that_dies(
    home: Services, remote: DaskProcesses, tmp_path: Path
) -> None:
    @task(retries=1)
    def dies() -> int:
        count = mark(tmp_path)
        if count == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return count

    @flow(task_runner=DaskTaskRunner(address=remote.address))
    def f() -> int:
        return dies.submit().result()

    assert f() == 2
    assert end_of(home, "dies-0")[:2] == ("Completed", 2)
    remote.wait_for_workers(2)


def test_what_was_finished_is_not_made_again(
    home: Services, remote: DaskProcesses, tmp_path: Path
) -> None:
    @task
    def marks(number: int) -> bytes:
        mark(tmp_path)
        return bytes(200_000)

    @task
    def dies() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @flow(task_runner=DaskTaskRunner(address=remote.address))
    def f() -> int:
        made = marks.map(range(6))
        made.wait()
        with pytest.raises(ProcessLost):
            dies.submit().result()
        return len(made)

    assert f() == 6
    assert len(list(tmp_path.iterdir())) == 6
    remote.wait_for_workers(2)


def test_a_cancelled_task_is_stopped_on_its_worker(home: Services, remote: DaskProcesses) -> None:
    @flow(task_runner=DaskTaskRunner(address=remote.address))
    def f() -> None:
        future = task(spin).submit()
        until(lambda: count_running(remote.address) == 1)
        future.cancel()
        until(lambda: count_running(remote.address) == 0)

    f(return_state=True)
    assert end_of(home, "spin-0")[0] == "Cancelled"


def test_a_late_task_is_stopped_on_its_worker(home: Services, remote: DaskProcesses) -> None:
    @flow(task_runner=DaskTaskRunner(address=remote.address))
    def f() -> None:
        task(timeout_seconds=0.2)(spin).submit()

    f(return_state=True)
    assert end_of(home, "spin-0")[0] == "TimedOut"
    assert count_running(remote.address) == 0


def test_a_late_call_that_blocks_is_given_up(home: Services, remote: DaskProcesses) -> None:
    """It can't be interrupted there, but its run ends anyway."""

    @task(timeout_seconds=0.1)
    def blocks() -> None:
        time.sleep(5)

    @flow(task_runner=DaskTaskRunner(address=remote.address))
    def f() -> None:
        blocks.submit()

    f(return_state=True)
    assert end_of(home, "blocks-0")[0] == "TimedOut"
    until(lambda: count_running(remote.address) == 0)


def test_a_late_flow_stops_its_tasks(home: Services, remote: DaskProcesses) -> None:
    @flow(task_runner=DaskTaskRunner(address=remote.address), timeout_seconds=1)
    def f() -> None:
        task(spin).submit().result()

    assert f(return_state=True).name == "TimedOut"
    until(lambda: count_running(remote.address) == 0)


PROGRAM = """
import time
from pathlib import Path

from flowstone import flow, task
from flowstone_dask import DaskTaskRunner


@task
def spins(file):
    Path(file).touch()
    while True:
        time.sleep(0.01)


@flow(task_runner=DaskTaskRunner({where}), name="killed")
def f():
    future = spins.submit({file!r})
    while not Path({file!r}).exists():
        time.sleep(0.01)
    print("it runs", flush=True)
    future.wait()


if __name__ == "__main__":
    f()
"""


def test_a_flow_that_dies_leaves_nothing_running(remote: DaskProcesses, tmp_path: Path) -> None:
    where = f"address={remote.address!r}"
    program = PROGRAM.format(where=where, file=str(tmp_path / "began"))
    environment = make_environment(tmp_path)
    assert kill_in_mid_job(program, tmp_path, environment) == "it runs"
    until(lambda: count_running(remote.address) == 0)
    assert "Crashed" in run_command(environment, "run", "ls")


def test_a_temporary_cluster_dies_with_its_flow(tmp_path: Path) -> None:
    where = "cluster_kwargs={'n_workers': 1, 'threads_per_worker': 1}"
    program = PROGRAM.format(where=where, file=str(tmp_path / "began"))
    environment = make_environment(tmp_path, MARK=str(tmp_path))
    assert kill_in_mid_job(program, tmp_path, environment) == "it runs"
    until(lambda: not find_processes(f"MARK={tmp_path}"))
    assert "Crashed" in run_command(environment, "run", "ls")


def find_processes(mark: str) -> list[str]:
    """Return the processes that have a text in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:  # it has ended, or is not ours
            continue
    return found


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
    assert end_of(home, "spin-0")[0] == "Crashed"


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
