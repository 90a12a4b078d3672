"""Workers, with real processes; the clock by which schedules go is stepped by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from socket import gethostname
from typing import TYPE_CHECKING

import pytest

from flowstone.deployments import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, run_deployment
from flowstone.deployments.creation import create_run
from flowstone.deployments.documents import delete_deployment, pause_deployment
from flowstone.deployments.presence import find_workers
from flowstone.deployments.waits import find_wait_reasons
from flowstone.errors import ConfigurationError, ObjectNotFound
from flowstone.records.limits import LOCK, POOL, QUEUE, WORKING
from flowstone.records.runs import RunQuery
from flowstone.records.states import CANCELLED, COMPLETED, CRASHED
from flowstone.schedules import Cron
from flowstone.workers import (
    Worker,
    change_work_pool,
    create_work_pool,
    delete_work_pool,
    set_work_queue,
)

from . import flows
from .watching import deploy, find_runs, has_ended, kill_process, step_until, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowstone.context.current import Services
    from flowstone.records.runs import Run
    from flowstone_testing.conformance.clock import SteppedClock
    from flowstone_testing.programs import Home

pytestmark = pytest.mark.slow


@contextmanager
def working(*names: str, **options: object) -> Iterator[Worker]:
    """Work for a pool step by step; at the end what is executed is waited for."""
    worker = Worker(*names, **options)  # type: ignore[arg-type]
    try:
        yield worker
    except BaseException:
        worker.end_runs()
        raise
    finally:
        worker.stop()
        step_until(worker, lambda: not worker.running)
        worker.close()


def find_full(services: Services) -> list[str]:
    """Return which limits runs wait for."""
    reasons = find_wait_reasons(find_runs(services), services.clock.time()).values()
    return [reason.message for reason in reasons if reason.kind == "limit_full"]


def test_a_run_says_which_queue_and_variables_it_has(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path
) -> None:
    create_work_pool("p")
    set_work_queue("p", "urgent")
    set_work_queue("p", "default", paused=True)
    deploy(flows.write_environment, work_pool_name="p")
    parameters = {"names": ["CANARY"]}
    waiting = run_deployment("x", parameters, timeout=0)
    variables = {"env": {"CANARY": "sings"}, "working_dir": str(tmp_path)}
    run = run_deployment(
        "x", parameters, timeout=0, work_queue_name="urgent", job_variables=variables
    )
    with working("p") as worker:
        step_until(worker, lambda: kept.runs.run(run.id).state.is_final())
        reasons = find_wait_reasons([kept.runs.run(waiting.id)], kept_clock.now)
    assert kept.runs.run(run.id).state.type is COMPLETED
    assert (tmp_path / "environment").read_text() == "CANARY=sings\n"
    assert reasons[waiting.id].kind == "queue_paused"


def test_a_worker_makes_the_runs_that_are_due_and_executes_them(
    kept: Services, kept_clock: SteppedClock
) -> None:
    create_work_pool("p")
    deploy(flows.etl, work_pool_name="p", cron="0 * * * *", parameters={"n": 4})
    deploy(flows.aetl, cron="0 * * * *")  # of no pool: nobody serves it
    with working("p") as worker:
        worker.step()
        assert find_runs(kept) == []
        kept_clock.now += 3600
        step_until(worker, has_ended(kept))
    (run,) = find_runs(kept)
    assert (run.unit, run.state.type, run.attempt) == ("etl", COMPLETED, 1)
    assert run.lease is not None
    assert f"/{os.getpid()}/" not in run.lease.holder


def test_a_job_has_the_variables_of_its_pool_and_its_deployment(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path
) -> None:
    create_work_pool("p", job_variables={"env": {"A": "pool", "B": "pool"}})
    deploy(
        flows.write_environment,
        work_pool_name="p",
        job_variables={"env.B": "deployment", "working_dir": str(tmp_path)},
    )
    run_deployment("x", {"names": ["A", "B"]}, timeout=0)
    with working("p") as worker:
        step_until(worker, has_ended(kept))
    assert (tmp_path / "environment").read_text() == "A=pool\nB=deployment\n"


def test_a_job_that_can_not_be_started_crashes_its_run(
    kept: Services,
    kept_clock: SteppedClock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    create_work_pool("p")
    deploy(flows.etl, work_pool_name="p", job_variables={"working_dir": str(tmp_path / "none")})
    run_deployment("x", timeout=0)
    with working("p") as worker:
        step_until(worker, has_ended(kept))
    (run,) = find_runs(kept)
    assert run.state.type is CRASHED
    folder = str(tmp_path / "none")
    assert run.state.message == (
        f"its working_dir {folder!r} does not exist on {gethostname()}. "
        "Change the job variable working_dir."
    )
    (told,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert told.getMessage() == f"ended Crashed: {run.state.message}"
    assert told.__dict__["run_name"] == run.name
    assert kept.slots.list_slots() == []


def test_a_command_of_ones_own_executes_the_run(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path
) -> None:
    create_work_pool("p", job_variables={"command": "/bin/sh -c 'exit 3'"})
    deploy(flows.etl, work_pool_name="p")
    run_deployment("x", timeout=0)
    with working("p") as worker:
        step_until(worker, has_ended(kept))
    (run,) = find_runs(kept)
    message = (
        "its process ended with exit code 3 and did not execute the run. "
        "Check the job variable command, which is \"/bin/sh -c 'exit 3'\"."
    )
    assert (run.state.type, run.state.message) == (CRASHED, message)


def test_limits_of_a_pool_a_queue_and_a_deployment_hold_over_all_workers(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path
) -> None:
    create_work_pool("p", concurrency_limit=3)
    set_work_queue("p", "q", priority=2, concurrency_limit=1)
    marker = str(tmp_path / "go")
    options = {"work_pool_name": "p", "parameters": {"marker": marker}}
    deploy(flows.wait_for, concurrency_limit=2, **options)
    deploy(flows.wait_too, work_queue_name="q", **options)
    for _ in range(3):
        run_deployment("wait-for/x", timeout=0)
        run_deployment("wait-too/x", timeout=0)
    with working("p", name="one") as one, working("p", name="two", limit=1) as other:
        other.step()
        one.step()
        other.step()
        one.step()
        used = kept.slots.count_slots([f"{POOL}p", f"{QUEUE}p/q", "deployment:wait-for/x"])
        assert used == {f"{POOL}p": 3, f"{QUEUE}p/q": 1, "deployment:wait-for/x": 2}
        assert (len(one.running), len(other.running)) == (2, 1)
        assert set(find_full(kept)) <= {
            "the deployment 'wait-for/x' has a concurrency limit of 2 runs, and is full",
            "the work pool 'p' has a concurrency limit of 3 runs, and is full",
            "the work queue 'p/q' has a concurrency limit of 1 run, and is full",
            "the worker 'two' is at its limit of concurrent runs (limit=1)",
        }
        assert len(find_full(kept)) == 3
        (tmp_path / "go").touch()
        step_until(other, lambda: not other.running)
        step_until(one, has_ended(kept, 6))
    assert {run.state.type for run in find_runs(kept)} == {COMPLETED}
    assert kept.slots.list_slots() == []


def test_urgent_queues_come_first_and_paused_ones_wait(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path
) -> None:
    create_work_pool("p")
    set_work_queue("p", "urgent", priority=1)
    set_work_queue("p", "default", priority=2, paused=True)
    deploy(flows.etl, work_pool_name="p")
    deploy(flows.greet, work_pool_name="p", work_queue_name="urgent")
    run_deployment("etl/x", timeout=0)
    run_deployment("greet/x", {"who": "me"}, timeout=0)
    with working("p", limit=1) as worker:
        step_until(worker, has_ended(kept))
        assert [run.unit for run in find_runs(kept) if run.state.is_final()] == ["greet"]
        step_until(worker, lambda: not worker.running)
        change_work_pool("p", paused=True)
        set_work_queue("p", "default", paused=False)
        worker.step()
        assert worker.running == []
        change_work_pool("p", paused=False)
        step_until(worker, has_ended(kept, 2))


def test_a_deployment_whose_limit_is_full_is_in_nobody_s_way(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path
) -> None:
    """More of its runs wait than are read at once."""
    create_work_pool("p")
    marker = tmp_path / "go"
    crowded = deploy(
        flows.wait_for,
        work_pool_name="p",
        concurrency_limit=1,
        parameters={"marker": str(marker)},
    )
    for _ in range(250):
        create_run(crowded, crowded.parameters, scheduled_time=kept_clock.now)
    deploy(flows.etl, work_pool_name="p")
    late = run_deployment("etl/x", timeout=0)
    with working("p") as worker:
        step_until(worker, lambda: kept.runs.run(late.id).state.is_final())
        assert kept.runs.run(late.id).state.type is COMPLETED
        delete_deployment("wait-for/x")
        marker.touch()


@pytest.mark.parametrize("command", ["", "sh -c 'unended"])
def test_a_command_that_is_none_is_refused(kept: Services, command: str) -> None:
    with pytest.raises(ConfigurationError, match="command: Value error"):
        create_work_pool("p", job_variables={"command": command})


def test_a_job_that_can_not_have_its_environment_crashes_its_run(
    kept: Services, kept_clock: SteppedClock
) -> None:
    create_work_pool("p")
    deploy(flows.etl, work_pool_name="p", job_variables={"env": {"A": "a\0b"}})
    run = run_deployment("x", timeout=0)
    with working("p") as worker:
        step_until(worker, has_ended(kept))
    assert "its job could not be started" in (kept.runs.run(run.id).state.message or "")


def test_a_worker_takes_only_runs_of_its_queues(kept: Services, kept_clock: SteppedClock) -> None:
    create_work_pool("p")
    set_work_queue("p", "other")
    deploy(flows.etl, work_pool_name="p")
    deploy(flows.aetl, work_pool_name="p", work_queue_name="other")
    run_deployment("etl/x", timeout=0)
    run_deployment("aetl/x", timeout=0)
    Worker("p", ["other"]).run_until_idle()
    assert [run.unit for run in find_runs(kept) if run.state.is_final()] == ["aetl"]


@pytest.mark.parametrize("strategy", ["CANCEL_NEW", "CANCEL_RUNNING"])
def test_what_there_is_no_room_for_is_cancelled_or_takes_the_place_of_the_oldest(
    kept: Services, kept_clock: SteppedClock, tmp_path: Path, strategy: str
) -> None:
    create_work_pool("p")
    limit = ConcurrencyLimitConfig(1, ConcurrencyLimitStrategy(strategy))
    marker = tmp_path / "go"
    deploy(
        flows.wait_for,
        work_pool_name="p",
        parameters={"marker": str(marker)},
        concurrency_limit=limit,
    )
    old = run_deployment("x", timeout=0)
    with working("p") as worker:
        step_until(worker, (tmp_path / "go.began").exists)
        new = run_deployment("x", timeout=0)
        step_until(worker, has_ended(kept))
        marker.touch()
        step_until(worker, has_ended(kept, 2))
    states = [kept.runs.run(each.id).state for each in (old, new)]
    if strategy == "CANCEL_NEW":
        assert [state.type for state in states] == [COMPLETED, CANCELLED]
        assert "has a concurrency limit of 1 run, and is full" in (states[1].message or "")
    else:
        assert [state.type for state in states] == [CANCELLED, COMPLETED]
        reason = f"'wait-for/x' allows 1 run at a time: {new.name} took its place"
        assert states[0].message == reason


def test_a_worker_looks_again_when_the_next_run_is_due(
    kept: Services, kept_clock: SteppedClock
) -> None:
    create_work_pool("p")
    deploy(flows.etl, work_pool_name="p")
    for seconds in (0.75, 0.25, 30):
        at = datetime.fromtimestamp(kept_clock.now, UTC) + timedelta(seconds=seconds)
        run_deployment("etl/x", scheduled_time=at, timeout=0)
    with working("p") as worker:
        assert worker.step() == pytest.approx(0.25)
        assert not worker.running
        kept_clock.now += 0.25
        step_until(worker, has_ended(kept))
        assert len(find_runs(kept)) == 3


def test_of_many_workers_one_claims_a_run(kept: Services, kept_clock: SteppedClock) -> None:
    create_work_pool("p")
    deploy(flows.etl, work_pool_name="p", schedule=Cron("0 * * * *", misfire="all"))
    with ExitStack() as stack:
        workers = [stack.enter_context(working("p", name=f"w{n}")) for n in range(3)]
        for worker in workers:
            worker.step()
        kept_clock.now += 3 * 3600
        for worker in workers:
            worker.step()
        claimed = [run_id for worker in workers for run_id in worker.running]
        assert len(claimed) == len(set(claimed)) == 3
        for worker in workers:
            step_until(worker, lambda worker=worker: not worker.running)  # type: ignore[misc]
    runs = find_runs(kept)
    assert [(run.state.type, run.attempt) for run in runs] == [(COMPLETED, 1)] * 3


def test_who_works_is_seen_for_as_long_as_it_lives(
    kept: Services, kept_clock: SteppedClock
) -> None:
    create_work_pool("p")
    with working("p", name="w"):
        assert find_workers() == []
    with working("p", name="w") as worker:
        worker.step()
        assert [(each.pool, each.name) for each in find_workers()] == [("p", "w")]
    assert find_workers() == []


def test_a_worker_waits_while_its_pool_is_deleted(kept: Services, kept_clock: SteppedClock) -> None:
    create_work_pool("p")
    deploy(flows.etl, work_pool_name="p")
    run_deployment("x", timeout=0)
    with working("p") as worker:
        delete_work_pool("p")
        worker.step()
        assert worker.running == []
        create_work_pool("p")
        step_until(worker, has_ended(kept))


def test_wrong_workers_are_refused(kept: Services) -> None:
    create_work_pool("p")
    with pytest.raises(
        ObjectNotFound, match=r"there is no work pool named 'pp'\. Did you mean 'p'"
    ):
        Worker("pp")
    with pytest.raises(ConfigurationError, match="its type is 'process', not 'ecs'"):
        Worker("p", infrastructure="ecs")
    with pytest.raises(ObjectNotFound, match="there is no work queue named 'q'"):
        Worker("p", ["q"])
    with pytest.raises(ConfigurationError, match="limit=0 lets no run start"):
        Worker("p", limit=0)
    assert Worker("new", infrastructure="process").name.endswith(f"-{os.getpid()}")


def start_worker(home: Home, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "flowstone", "worker", "start", "--pool", "p", *arguments]
    with (home.directory / "worker.log").open("a") as log:
        return subprocess.Popen(command, env=home.environ, cwd=home.directory, stderr=log)


def test_a_worker_that_is_told_to_stop_waits_for_its_runs(
    home: Home, kept: Services, tmp_path: Path
) -> None:
    create_work_pool("p")
    deploy(flows.wait_for, work_pool_name="p", parameters={"marker": str(tmp_path / "go")})
    worker = start_worker(home)
    run_deployment("x", timeout=0)
    wait_until((tmp_path / "go.began").exists)
    worker.send_signal(signal.SIGTERM)
    log = home.directory / "worker.log"
    wait_until(lambda: "no more runs are started" in log.read_text())
    late = run_deployment("x", timeout=0)
    (tmp_path / "go").touch()
    assert worker.wait() == 0
    assert has_ended(kept)()
    assert not kept.runs.run(late.id).state.is_final()
    assert kept.slots.list_slots() == []


def test_the_jobs_of_a_worker_that_is_killed_are_watched_by_another(
    home: Home, kept: Services, tmp_path: Path
) -> None:
    """The run goes on, takes its slot again, and is not executed by two."""
    create_work_pool("p", concurrency_limit=1)
    deploy(flows.wait_for, work_pool_name="p", parameters={"marker": str(tmp_path / "go")})
    worker = start_worker(home)
    first = run_deployment("x", timeout=0)
    wait_until((tmp_path / "go.began").exists)
    worker.kill()
    worker.wait()
    late = run_deployment("x", timeout=0)
    with working("p", name="heir") as heir:
        step_until(heir, lambda: heir.running == [first.id])
        assert kept.slots.count_slots([f"{POOL}p"]) == {f"{POOL}p": 1}
        assert len(find_full(kept)) == 1
        (tmp_path / "go").touch()
        step_until(heir, has_ended(kept, 2))
    runs = [kept.runs.run(each.id) for each in (first, late)]
    assert [(run.state.type, run.attempt) for run in runs] == [(COMPLETED, 1)] * 2
    assert kept.documents.find("run-job:p") == []


CROWD = """
import sys, time
from flowstone import flow
from flowstone.schedules import Interval

@flow
def etl(n: int = 0) -> int:
    with open("done", "a") as file:  # one write, so that lines stay whole
        file.write(f"{n}\\n")
    time.sleep(0.2)
    return n

@flow
def tick() -> None: ...

if __name__ == "__main__":
    etl.deploy("x", work_pool_name="p", concurrency_limit=8)
    tick.deploy("x", work_pool_name="p", schedule=Interval(1, misfire="all"))
"""


@pytest.mark.check
@pytest.mark.timeout(3600)
def test_a_crowd_of_workers_that_is_killed_at_random_loses_and_doubles_nothing(
    home: Home, kept: Services, request: pytest.FixtureRequest
) -> None:
    """Many workers execute many runs, and are killed as they go: the leader, too, and the runs."""
    crowd, count = (32, 2_000) if request.config.getoption("--soak") else (8, 200)
    chance = Random(crowd)
    create_work_pool("p", concurrency_limit=6)
    home.python(CROWD)
    workers = [start_worker(home) for _ in range(crowd)]
    for n in range(count):
        run_deployment("etl/x", {"n": n}, timeout=0)
    for ended in range(2, count, 4):
        wait_until(has_ended(kept, ended))
        number = chance.randrange(crowd)
        if chance.random() < 0.5:
            workers[number].kill()
            workers[number].wait()
            workers[number] = start_worker(home)
        held = [run.lease for run in find_runs(kept) if run.lease and not run.state.is_final()]
        assert len(held) <= 6
        if held and chance.random() < 0.5:
            kill_process(int(chance.choice(held).holder.split("/")[1]))
    pause_deployment("tick/x")
    wait_until(lambda: all(run.state.is_final() for run in find_runs(kept)))
    wait_until(lambda: len(find_workers()) == crowd)  # the newest knows of signals now
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    assert [worker.wait() for worker in workers] == [0] * crowd

    runs, ticks = find_runs_of("etl/x", kept), find_runs_of("tick/x", kept)
    assert len(runs) == count
    for run in (*runs, *ticks):
        assert run.state.type in {COMPLETED, CRASHED}
        assert run.attempt <= 1
    done = (home.directory / "done").read_text().split()
    assert len(done) == len(set(done))
    completed = {str((run.parameters or {})["n"]) for run in runs if run.state.type is COMPLETED}
    assert completed <= set(done)
    times = sorted(run.scheduled_time or 0.0 for run in ticks)
    assert [late - early for early, late in pairwise(times)] == [1.0] * (len(times) - 1)
    assert [each for each in kept.slots.list_slots() if not each.limit.startswith(LOCK)] == []
    assert kept.slots.list_slots([WORKING]) == []


def find_runs_of(deployment: str, services: Services) -> list[Run]:
    return services.runs.runs(RunQuery(deployments=(deployment,)))
