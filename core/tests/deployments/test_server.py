"""Serving, with real processes; the clock by which schedules go is stepped by hand."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from flowstone.deployments import run_deployment
from flowstone.deployments.documents import find_deployments, load_deployment, save_deployment
from flowstone.deployments.executor import PATIENCE
from flowstone.deployments.presence import Presence, find_servers
from flowstone.deployments.server import DeploymentServer
from flowstone.errors import NotScheduled
from flowstone.flow_runs.executions import execute_scheduled_run
from flowstone.flow_runs.subruns import request_cancel
from flowstone.records.events import make_change_event
from flowstone.records.limits import SERVING
from flowstone.records.runs import RunQuery
from flowstone.records.states import CANCELLED, COMPLETED, CRASHED, FAILED, SCHEDULED, Cancelling
from flowstone.schedules import Cron

from . import flows
from .watching import deploy, find_runs, has_ended, kill_process, step_until, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.context.current import Services
    from flowstone.records.deployments import Deployment
    from flowstone_testing.conformance.clock import SteppedClock
    from flowstone_testing.programs import Home

pytestmark = pytest.mark.slow


@contextmanager
def serving(deployment: Deployment, limit: int) -> Iterator[DeploymentServer]:
    """Serve a deployment step by step; at the end what it executes is waited for."""
    server = DeploymentServer([deployment], limit=limit)
    try:
        yield server
    finally:
        server.stop()
        step_until(server, lambda: not server.running)
        server.close()


def test_a_run_that_is_due_is_executed_in_a_process_of_its_own(
    kept: Services, kept_clock: SteppedClock
) -> None:
    made = deploy(flows.etl, cron="0 * * * *", parameters={"n": 4}, tags=["nightly"])
    with serving(made, 2) as server:
        server.step()
        assert find_runs(kept) == []
        kept_clock.now += 3600
        step_until(server, has_ended(kept))
        (run,) = find_runs(kept)
        assert (run.state.type, run.attempt, run.tags) == (COMPLETED, 1, ("nightly",))
        assert run.lease is not None
        assert f"/{os.getpid()}/" not in run.lease.holder
        tasks = [each for each in kept.runs.runs(RunQuery(root_id=run.id)) if not each.is_root]
        assert [each.name for each in tasks] == ["double-0"]


def test_only_so_many_runs_are_executed_and_the_others_say_why(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path
) -> None:
    made = deploy(flows.wait_for, parameters={"marker": str(tmp_path / "go")})
    for _ in range(3):
        run_deployment("x", timeout=0)
    with serving(made, 1) as server:
        server.step()
        assert len(server.running) == 1
        waiting = [run for run in find_runs(kept) if run.state.name == "AwaitingConcurrencySlot"]
        assert [run.state.message for run in waiting] == [
            "`serve` is at its limit of concurrent runs (limit=1)"
        ] * 2
        (tmp_path / "go").touch()
        step_until(server, has_ended(kept, 3))
        assert {run.state.type for run in find_runs(kept)} == {COMPLETED}


def test_a_run_waits_for_its_time(kept: Services, kept_clock: SteppedClock) -> None:
    with serving(deploy(flows.etl), 1) as server:
        later = datetime.fromtimestamp(kept_clock.now, UTC) + timedelta(hours=1)
        run_deployment("x", scheduled_time=later, timeout=0)
        server.step()
        assert server.running == []
        kept_clock.now += 3600
        step_until(server, has_ended(kept))


def test_a_run_whose_process_is_killed_has_crashed(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path
) -> None:
    made = deploy(flows.wait_for, parameters={"marker": str(tmp_path / "go")})
    run = run_deployment("x", timeout=0)
    with serving(made, 1) as server:
        step_until(server, (tmp_path / "go.began").exists)
        lease = kept.runs.run(run.id).lease
        assert lease is not None
        os.kill(int(lease.holder.split("/")[1]), signal.SIGKILL)
        step_until(server, has_ended(kept))
        assert kept.runs.run(run.id).state.type is CRASHED
        assert server.running == []


def test_a_run_is_cancelled_by_an_operator(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path, home: Home
) -> None:
    made = deploy(flows.wait_for, parameters={"marker": str(tmp_path / "go")})
    run = run_deployment("x", timeout=0)
    with serving(made, 1) as server:
        step_until(server, (tmp_path / "go.began").exists)
        done = home.run("run", "cancel", run.id)
        assert "is Cancelled" in done.out, done.err
        step_until(server, lambda: not server.running)
        assert kept.runs.run(run.id).state.type is CANCELLED


def test_a_run_that_ignores_its_cancel_is_killed_and_cancelled(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = deploy(flows.go_on, parameters={"marker": str(tmp_path / "go")})
    run = run_deployment("x", timeout=0)
    with serving(made, 1) as server, ExitStack() as leftovers:
        step_until(server, (tmp_path / "go.began").exists)
        lease = kept.runs.run(run.id).lease
        assert lease is not None
        leftovers.callback(kill_process, int(lease.holder.split("/")[1]))
        asked = request_cancel(kept.runs.run(run.id), "it is late")
        for _ in range(3):
            server.step()
            kept_clock.sleep(PATIENCE / 4)
        assert server.running == [run.id]
        assert kept.runs.run(run.id).state == asked.state
        kept_clock.sleep(PATIENCE)
        step_until(server, lambda: not server.running)
    ended = kept.runs.run(run.id)
    assert ended.state.type is CANCELLED
    assert (ended.state.message or "").startswith("it is late; its process (pid ")
    told = f"{run.name} has not ended within 10 s after it was cancelled: its job is killed"
    assert told in caplog.messages


def test_a_run_whose_flow_can_not_be_loaded_has_failed(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path
) -> None:
    made = deploy(flows.etl)
    broken = tmp_path / "broken.py"
    broken.write_text("import nonexistent_module\n")
    made = save_deployment(replace(made, entrypoint=f"{broken}:etl"))
    run_deployment("x", timeout=0)
    with serving(made, 1) as server:
        step_until(server, has_ended(kept))
        (run,) = find_runs(kept)
        assert run.state.type is FAILED
        assert "No module named 'nonexistent_module'" in (run.state.message or "")


def test_a_run_whose_process_dies_before_it_begins_has_crashed(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path
) -> None:
    made = deploy(flows.etl)
    dying = tmp_path / "dying.py"
    dying.write_text("import os\nos._exit(7)\n")
    made = save_deployment(replace(made, entrypoint=f"{dying}:etl"))
    run_deployment("x", timeout=0)
    with serving(made, 1) as server:
        step_until(server, has_ended(kept))
        (run,) = find_runs(kept)
        assert (run.state.type, run.state.message) == (
            CRASHED,
            "its process ended with exit code 7 before it began",
        )


def test_of_two_that_serve_one_executes(kept: Services, kept_clock: SteppedClock) -> None:
    made = deploy(flows.etl, schedule=Cron("0 * * * *", misfire="all"))
    with serving(made, 2) as one, serving(made, 2) as other:
        one.step()
        other.step()
        kept_clock.now += 3 * 3600
        one.step()
        step_until(other, has_ended(kept, 3))
    runs = find_runs(kept)
    assert [(run.state.type, run.attempt) for run in runs] == [(COMPLETED, 1)] * 3


def test_an_async_flow_is_served_as_well(kept: Services, kept_clock: SteppedClock) -> None:
    with serving(deploy(flows.aetl, parameters={"n": 4}), 1) as server:
        run = run_deployment("x", timeout=0)
        step_until(server, has_ended(kept))
    assert kept.runs.run(run.id).state.type is COMPLETED


def test_a_run_that_failed_is_retried_by_hand(
    kept: Services, kept_clock: SteppedClock, home: Home
) -> None:
    with serving(
        deploy(flows.fail_once, parameters={"marker": str(home.directory / "m")}), 1
    ) as it:
        run = run_deployment("x", timeout=0)
        step_until(it, has_ended(kept))
    assert kept.runs.run(run.id).state.type is FAILED
    done = home.run("run", "retry", run.id)
    assert done.code == 0, done.err
    ended = kept.runs.run(run.id)
    assert (ended.state.type, ended.attempt, ended.deployment) == (COMPLETED, 2, "fail-once/x")


def test_what_somebody_has_is_not_executed_again(kept: Services, kept_clock: SteppedClock) -> None:
    deploy(flows.etl)
    run = run_deployment("x", timeout=0)
    assert execute_scheduled_run(run.id).type is COMPLETED
    with pytest.raises(NotScheduled, match="it is Completed"):
        execute_scheduled_run(run.id)


def test_who_serves_is_seen_for_as_long_as_it_lives(
    kept: Services, kept_clock: SteppedClock
) -> None:
    one, other = (DeploymentServer([deploy(flows.etl)], limit=1) for _ in range(2))
    for server in (one, other):
        server.step()
        server.step()
    assert [slot.owner for slot in find_servers()] == ["etl/x", "etl/x"]
    one.close()
    assert not load_deployment("x").is_paused
    other.close()
    assert load_deployment("x").is_paused
    assert find_servers() == []


def test_who_stops_leaves_a_newcomer_unpaused(kept: Services, kept_clock: SteppedClock) -> None:
    one = DeploymentServer([deploy(flows.etl)], limit=1)
    one.step()
    Presence(SERVING).announce(["etl/x"])  # a new program says so before it saves what it serves
    one.close()
    assert not load_deployment("x").is_paused


SERVED = """
import sys, time
from flowstone import flow

@flow
def etl(n: int = 1) -> int:
    if n > 1:
        time.sleep(n)
    return n

if __name__ == "__main__":
    etl.serve("x", interval=1, pause_on_shutdown="pause" in sys.argv, limit=3)
"""


def start(home: Home, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(home.write(SERVED)), *arguments]
    return subprocess.Popen(command, env=home.environ, stderr=subprocess.PIPE, text=True)


def test_a_program_serves_until_it_is_told_to_stop(home: Home, kept: Services) -> None:
    program = start(home, "pause")
    wait_until(has_ended(kept, 2))
    program.send_signal(signal.SIGTERM)
    _, told = program.communicate()
    assert program.returncode == 0, told
    assert "serving etl/x: every 1s" in told
    assert re.search("SIGTERM: (no more runs are started|stopped; no run was active)", told)
    runs = find_runs(kept)
    assert {run.state.type for run in runs} <= {COMPLETED, SCHEDULED}
    assert load_deployment("x").is_paused


def test_a_program_that_is_killed_is_followed_by_the_next(home: Home, kept: Services) -> None:
    """No time is lost or doubled, and what was being executed goes on."""
    program = start(home)
    wait_until(has_ended(kept, 2))
    program.kill()
    program.communicate()
    before = len(find_runs(kept))
    program = start(home)
    wait_until(has_ended(kept, before + 2))
    program.send_signal(signal.SIGINT)
    program.communicate()
    assert program.returncode == 0
    runs = find_runs(kept)
    times = [run.scheduled_time for run in runs]
    assert len(set(times)) == len(times)
    assert {run.state.type for run in runs} <= {COMPLETED, SCHEDULED}
    assert {run.attempt for run in runs if run.state.type is COMPLETED} == {1}
    assert not load_deployment("x").is_paused
    assert find_servers() == []


def test_a_second_signal_ends_what_is_being_executed(home: Home, kept: Services) -> None:
    program = start(home)
    wait_until(lambda: find_deployments(["etl/x"]))  # who serves says so before it saves
    run = run_deployment("x", {"n": 3600}, timeout=0)
    wait_until(lambda: kept.runs.run(run.id).attempt)
    program.send_signal(signal.SIGTERM)
    assert program.stderr is not None
    while "no more runs are started" not in program.stderr.readline():
        pass

    def has_crashed() -> bool:
        if kept.runs.run(run.id).state.is_final():
            return True
        program.send_signal(signal.SIGTERM)  # a second one at once is the same one
        return False

    wait_until(has_crashed)
    _, told = program.communicate()
    assert program.returncode == 0
    assert told.count("SIGTERM again: stopping 1 run\n") == 1
    assert "no more runs are started" not in told
    assert kept.runs.run(run.id).state.type is CRASHED


def test_a_program_without_a_guard_is_told_to_have_one(home: Home, kept: Services) -> None:
    code = SERVED.replace('if __name__ == "__main__":\n    ', "")
    command = [sys.executable, str(home.write(code))]
    with subprocess.Popen(command, env=home.environ, stderr=subprocess.DEVNULL) as program:
        wait_until(has_ended(kept))
        program.send_signal(signal.SIGTERM)
    failed = [run for run in find_runs(kept) if run.state.type is FAILED]
    assert "if __name__ == '__main__':" in (failed[0].state.message or "")


def test_a_cancel_before_it_began_is_no_run(kept: Services, kept_clock: SteppedClock) -> None:
    deploy(flows.etl)
    run = run_deployment("x", timeout=0)
    kept.runs.record(make_change_event(run, Cancelling(), 0))
    with pytest.raises(NotScheduled, match="it is Cancelling"):
        execute_scheduled_run(run.id)


CROWD = """
import os, sys, time
from flowstone import flow

@flow
def etl(n: int = 0) -> int:
    with open("done", "a") as file:  # one write, so that lines stay whole
        file.write(f"{n}\\n")
    time.sleep(0.2)
    return n

if __name__ == "__main__":
    etl.serve("x", limit=2, pause_on_shutdown=False)
"""


@pytest.mark.check
@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_that_is_killed_at_random_loses_and_doubles_nothing(
    home: Home, kept: Services, seed: int
) -> None:
    """Three programs serve 40 runs, and are killed as they go; so are the runs."""
    chance = Random(seed)
    command = [sys.executable, str(home.write(CROWD))]

    def start_one() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, env=home.environ, cwd=home.directory, stderr=subprocess.DEVNULL
        )

    programs = [start_one() for _ in range(3)]
    wait_until(lambda: len(find_servers()) == 3)
    for n in range(40):
        run_deployment("etl/x", {"n": n}, timeout=0)
    for ended in range(2, 40, 3):
        wait_until(has_ended(kept, ended))
        number = chance.randrange(3)
        if chance.random() < 0.5:
            programs[number].kill()
            programs[number].wait()
            programs[number] = start_one()
        held = [run.lease for run in find_runs(kept) if run.lease and not run.state.is_final()]
        if held and chance.random() < 0.5:
            kill_process(int(chance.choice(held).holder.split("/")[1]))
    wait_until(has_ended(kept, 40))
    wait_until(lambda: len(find_servers()) == 3)  # the newest knows of signals now
    for program in programs:
        program.send_signal(signal.SIGTERM)
    assert [program.wait() for program in programs] == [0, 0, 0]
    runs = find_runs(kept)
    assert len(runs) == 40
    assert {run.state.type for run in runs} <= {COMPLETED, CRASHED}
    assert all(run.attempt <= 1 for run in runs)
    done = (home.directory / "done").read_text().split()
    assert len(done) == len(set(done))
    completed = {str((run.parameters or {})["n"]) for run in runs if run.state.type is COMPLETED}
    assert completed <= set(done)
    assert find_servers() == []
