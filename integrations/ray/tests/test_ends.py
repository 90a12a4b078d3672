"""Heads and flows that die, and calls that block: states are true, and nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import ray
from tests.services.cluster_runners import find_end, mark, spin
from tests.services.killed import (
    SPINNING_FLOW,
    find_processes,
    kill_in_mid_job,
    run_command,
)
from tests.services.ray import PROGRAM, client_turn, make_ray_environment, ray_cluster
from tests.services.waiting import until

from flowstone import flow, task
from flowstone.testing import flowstone_test_harness
from flowstone_ray import RayTaskRunner
from flowstone_ray.inbox import inboxes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.ray import RayCluster

LOCAL = "init_kwargs={'num_cpus': 1, 'object_store_memory': 80_000_000}"


def make_program(folder: Path, where: str) -> str:
    return SPINNING_FLOW.format(
        module="flowstone_ray", runner="RayTaskRunner", where=where, file=str(folder / "began")
    )


def run_program(program: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, which must be a success."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def ends(pid: int) -> Callable[[], bool]:
    return lambda: not Path(f"/proc/{pid}/cmdline").exists()


def test_a_late_call_that_blocks_loses_its_worker(remote: RayCluster, tmp_path: Path) -> None:
    """Nothing else tells it to end, and nothing else runs there."""

    @task(timeout_seconds=0.1)
    def blocks() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        (tmp_path / str(os.getpid())).touch()
        time.sleep(600)

    @flow(task_runner=RayTaskRunner(address=remote.address))
    def f() -> None:
        blocks.submit()

    with flowstone_test_harness() as home:
        f(return_state=True)
        assert find_end(home, "blocks-0")[0] == "TimedOut"
    (process,) = tmp_path.iterdir()
    until(ends(int(process.name)))


def test_a_mailbox_that_dies_crashes_the_calls_in_progress(
    remote: RayCluster, tmp_path: Path
) -> None:
    """Another attempt uses another mailbox."""
    spinning, retried = tmp_path / "spinning", tmp_path / "retried"
    spinning.mkdir()
    retried.mkdir()

    @task(retries=1)
    def spins_once() -> int:
        count = mark(retried)
        while count == 1:
            time.sleep(0.01)
        return count

    @flow(task_runner=RayTaskRunner(address=remote.address))
    def f() -> int:
        task(spin).submit(spinning)
        future = spins_once.submit()
        until(lambda: len(list(tmp_path.glob("*/*"))) == 2)
        mailbox = inboxes.find().mailbox
        assert mailbox is not None
        ray.kill(mailbox.actor)
        return future.result()

    with flowstone_test_harness() as home:
        assert f(return_state=True).name == "Failed"
        assert find_end(home, "spins_once-0")[:2] == ("Completed", 2)
        name, _, problem = find_end(home, "spin-0")
    assert name == "Crashed"
    assert "the actor for its messages can't be reached" in problem
    until((spinning / "ended").exists)


@pytest.mark.slow
def test_a_flow_that_dies_leaves_nothing_running(ray_cluster: RayCluster, tmp_path: Path) -> None:
    program = make_program(tmp_path, f"address={ray_cluster.address!r}")
    environment = make_ray_environment(tmp_path, **PROGRAM)
    assert kill_in_mid_job(program, tmp_path, environment) == "it runs"
    until(ends(int((tmp_path / "began").read_text())))
    assert "Crashed" in run_command(environment, "run", "ls")


@pytest.mark.check
def test_a_temporary_ray_dies_with_its_flow(tmp_path: Path) -> None:
    environment = make_ray_environment(tmp_path, MARK=str(tmp_path))
    assert kill_in_mid_job(make_program(tmp_path, LOCAL), tmp_path, environment) == "it runs"
    # Ray's agents try to reach their head for a minute before they end.
    until(lambda: not find_processes(f"MARK={tmp_path}"), seconds=120)
    assert "Crashed" in run_command(environment, "run", "ls")


@pytest.mark.check
@pytest.mark.parametrize("address", ["address", "client_address"])
def test_a_head_that_dies_ends_the_flow(address: str, tmp_path: Path) -> None:
    """Another attempt starts no Ray of its own."""
    environment = make_ray_environment(tmp_path, **PROGRAM)
    file = tmp_path / "program.py"
    with ray_cluster() as doomed, client_turn():
        program = make_program(tmp_path, f"address={getattr(doomed, address)!r}")
        file.write_text(program.replace("@task", "@task(retries=1)"), "utf-8")
        with subprocess.Popen(
            [sys.executable, file],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            words = process.stdout.readline().strip()
            assert words == "it runs", process.communicate()[1]
            for pid in doomed.find_processes():
                os.kill(pid, signal.SIGKILL)
            told = process.communicate(timeout=300)[1]
    assert process.returncode != 0
    assert "attempt 1 failed" in told
    assert "ended Crashed" in told
    assert "Failed" in run_command(environment, "run", "ls")


LOST_NODES = """
import os
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from flowstone import flow, task
from flowstone.errors import ProcessLost
from flowstone_ray import RayTaskRunner

folder = Path(os.environ["FOLDER"])
memory = {"object_store_memory": 80_000_000}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
node = cluster.add_node(num_cpus=1, **memory)
cluster.wait_for_nodes()
ray.init(cluster.address, log_to_driver=False)


def mark_node():
    node = ray.get_runtime_context().get_node_id()
    with (folder / "nodes").open("a") as file:
        file.write(node + "\\n")
    return node


def read_marks():
    return (folder / "nodes").read_text().split() if (folder / "nodes").exists() else []


def replace_node():
    global node
    lost, node = node, cluster.add_node(num_cpus=1, **memory)
    cluster.remove_node(lost, allow_graceful=False)


@task(retries=1)
def moves():
    mark_node()
    while len(read_marks()) == 1:
        time.sleep(0.01)


@task
def makes():
    return mark_node() + "x" * 1_000_000


@flow(task_runner=RayTaskRunner())
def f():
    moving = moves.submit()
    while not read_marks():
        time.sleep(0.01)
    replace_node()
    moving.result()
    made = makes.submit()
    made.wait()
    replace_node()
    try:
        made.result()
    except ProcessLost as error:
        (folder / "told").write_text(str(error))


f()
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.check
def test_a_node_that_dies_loses_its_calls_and_values(tmp_path: Path) -> None:
    """The call is retried on another node; the value is not computed again.

    The actor for messages is on the flow's node.
    """
    environment = make_ray_environment(
        tmp_path, **PROGRAM, FOLDER=str(tmp_path), HOME=str(tmp_path), RAY_AUTH_MODE="disabled"
    )
    done = run_program(LOST_NODES, environment)
    assert "the Ray node that held its value is gone" in (tmp_path / "told").read_text()
    first, second, third = (tmp_path / "nodes").read_text().split()
    assert first != second == third
    assert "attempt 1 failed: its Ray node died" in done.stderr
    until(lambda: not find_processes(f"FOLDER={tmp_path}"), seconds=120)


ALONE = """
import os
import signal
import subprocess

from flowstone import flow, task
from flowstone_ray import RayTaskRunner


@task
def says():
    print("not shown twice")
    return subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True).stdout


@flow(task_runner=RayTaskRunner(init_kwargs={"num_cpus": 1, "object_store_memory": 80_000_000}))
def f():
    before = signal.getsignal(signal.SIGTERM)
    listening = says.submit().result()
    assert signal.getsignal(signal.SIGTERM) is before, "SIGTERM"
    of_ray = [line for line in listening.splitlines() if "ray" in line or "gcs" in line]
    assert of_ray, listening
    for line in of_ray:
        assert line.split()[3].strip("[]").startswith(("127.", "::ffff:127.")), line
    raise ValueError("the flow fails")


try:
    f()
except ValueError as error:
    print(error)
assert not [name for name in os.environ if name.startswith("RAY_")]
"""


@pytest.mark.check
def test_a_temporary_ray_is_for_its_flow_alone(tmp_path: Path) -> None:
    """It listens on loopback, shows nothing, and ends when the flow fails."""
    environment = make_ray_environment(tmp_path, MARK=str(tmp_path), HOME=str(tmp_path))
    done = run_program(ALONE, environment)
    assert done.stdout == "the flow fails\n"
    assert "not shown twice" not in done.stderr
    until(lambda: not find_processes(f"MARK={tmp_path}"), seconds=120)  # see above
