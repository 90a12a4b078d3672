from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flowstone import flow
from flowstone.context.current import services, use_services
from flowstone.deployments import run_deployment
from flowstone.deployments.documents import save_deployment
from flowstone.deployments.presence import Presence
from flowstone.infrastructure.work_pools import load_work_pool
from flowstone.records.events import make_change_event
from flowstone.records.limits import WORKING
from flowstone.records.runs import RunQuery
from flowstone.records.states import RUNNING, AwaitingConcurrencySlot, Crashed, State
from flowstone_testing.conformance.clock import SteppedClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import InProcess


@flow
def etl(n: int = 1) -> int:
    return n


@pytest.fixture(autouse=True)
def _pool(cli: InProcess) -> None:
    done = cli(
        "pool", "create", "p", "--limit", "2", "--var", "env.A=1", "--description", "Nightly"
    )
    assert done.out == "The work pool 'p' is created: `flowstone worker start --pool p`.\n"


def test_pools_are_listed(cli: InProcess) -> None:
    etl.deploy("x", work_pool_name="p")
    Presence(WORKING).announce(["p/w"])
    heads, line = cli("pool", "ls").out.splitlines()
    assert heads.split() == ["NAME", "TYPE", "DEPLOYMENTS", "WORKERS", "LIMIT"]
    assert line.split() == ["p", "process", "1", "1", "2"]
    (told,) = cli("pool", "ls", "--json").json
    assert (told["name"], told["concurrency_limit"], told["paused"]) == ("p", 2, False)
    assert told["workers"][0]["name"] == "w"
    cli("pool", "delete", "p")
    assert cli("pool", "ls").out == "There are no work pools yet: `flowstone pool create NAME`.\n"


def test_a_pool_is_shown_with_its_queues_and_workers(cli: InProcess) -> None:
    cli("pool", "queue", "set", "p", "slow", "--priority", "5", "--limit", "1")
    told = cli("pool", "show", "p").out
    for part in (
        "type         process",
        "limit        2",
        "env.A = '1'",
        "slow",
        "start --pool p`",
    ):
        assert part in told
    told = cli("pool", "show", "p", "--json").json
    assert [each["name"] for each in told["queues"]] == ["default", "slow"]
    assert "working_dir" in told["variables_schema"]["properties"]


def test_a_pool_is_changed(cli: InProcess) -> None:
    cli("pool", "set", "p", "--limit", "0", "--var", "stream_output=false", "--var", "env={}")
    made = load_work_pool("p")
    assert made.concurrency_limit is None
    assert made.job_variables == {"env.A": "1", "stream_output": False, "env": {}}
    assert cli("pool", "pause", "p").out == "The work pool 'p' is paused.\n"
    assert "paused" in cli("pool", "ls").out
    assert "paused       yes" in cli("pool", "show", "p").out
    assert cli("pool", "resume", "p", "--json").json["paused"] is False


def test_variables_are_removed(cli: InProcess) -> None:
    cli("pool", "set", "p", "--var", "env.B=2", "--var", "working_dir=/a", "--unset", "env.A")
    assert load_work_pool("p").job_variables == {"env.B": "2", "working_dir": "/a"}
    cli("pool", "set", "p", "--unset", "env", "--unset", "working_dir")
    assert load_work_pool("p").job_variables == {}
    told = "Error: there is no job variable of the work pool 'p' named 'env'."
    assert cli("pool", "set", "p", "--unset", "env").err.startswith(told)
    nothing = cli("pool", "set", "p")
    assert (nothing.code, "nothing to change" in nothing.err) == (2, True)


def test_a_pool_counts_runs_whose_worker_has_died(cli: InProcess) -> None:
    etl.deploy("x", work_pool_name="p")
    run_deployment("x", timeout=0)
    run = run_deployment("x", timeout=0)
    assert "running      0" in cli("pool", "show", "p").out
    services().runs.record(make_change_event(run, State(RUNNING, "Running"), 1))
    assert "running      1" in cli("pool", "show", "p").out


def test_a_run_that_waits_tells_one_reason(cli: InProcess) -> None:
    etl.deploy("x", work_pool_name="p")
    run = run_deployment("x", timeout=0)
    full = "the work pool 'p' is full"
    services().runs.record(make_change_event(run, AwaitingConcurrencySlot(full), 0))
    told = cli("run", "show", run.id).out
    assert "no worker is online" in told
    assert full not in told
    Presence(WORKING).announce(["p/w"])
    assert cli("run", "show", run.id).out.count(full) == 1


def test_a_queue_is_paused_and_deleted(cli: InProcess) -> None:
    told = cli("pool", "queue", "set", "p", "q").out
    assert told == "The queue 'q' of 'p' has priority 1 and no limit.\n"
    assert "and a limit of 1 run." in cli("pool", "queue", "set", "p", "q", "--limit", "1").out
    assert cli("pool", "queue", "pause", "p", "q").out == "The queue 'q' of 'p' is paused.\n"
    assert cli("pool", "queue", "resume", "p", "q", "--json").json["paused"] is False
    assert cli("pool", "queue", "delete", "p", "q").out == "The queue 'q' of 'p' is deleted.\n"
    assert cli("pool", "queue", "pause", "p", "q").err == (
        "Error: there is no work queue named 'q'. There are: 'default'.\n"
    )
    assert cli("pool", "queue", "delete", "p", "default", "--json").code == 1


def test_bad_variables_are_refused(cli: InProcess) -> None:
    assert (
        "there is no 'envv'. Did you mean 'env'"
        in cli("pool", "create", "q", "--var", "envv=1").err
    )
    assert "is not NAME=VALUE" in cli("pool", "create", "q", "--var", "env").err
    assert "no installed package offers" in cli("pool", "create", "q", "--type", "ecs").err
    assert [each["name"] for each in cli("pool", "ls", "--json").json] == ["p"]


def test_a_run_of_a_pool_without_a_worker_says_so(cli: InProcess) -> None:
    etl.deploy("x", work_pool_name="p", work_queue_name="default", concurrency_limit=1)
    told = cli("deployment", "run", "x")
    assert "waits: no worker is online in its pool: `flowstone worker start --pool p`" in told.err
    shown = cli("deployment", "show", "x").out
    assert "p, queue 'default'" in shown
    assert "1 at a time; beyond it: enqueue" in shown
    assert "served by   no worker: `flowstone worker start --pool p`" in shown
    assert cli("deployment", "ls").out.splitlines()[0].split()[-3:] == ["POOL", "SERVED", "BY"]
    shown = cli("run", "show", "etl").out
    assert "reason      requested on the command line" in shown
    assert "Deployments that still name it: 1." in cli("pool", "delete", "p").out
    run_deployment("x", timeout=0)
    assert "its work pool 'p' has been deleted" in cli("run", "ls").out


def test_runs_are_listed_by_their_pool(cli: InProcess) -> None:
    etl.deploy("x", work_pool_name="p")
    served = etl.to_deployment("served")
    save_deployment(served)
    etl.deploy("y", work_pool_name="p")
    ids = [run_deployment(f"etl/{name}", timeout=0).id for name in ("x", "served", "y")]
    listed = cli("run", "ls", "--pool", "p", "--json").json
    assert [each["id"] for each in listed] == [ids[2], ids[0]]
    (one,) = cli("run", "ls", "--pool", "p", "--deployment", "y", "--json").json
    assert one["id"] == ids[2]
    assert cli("run", "ls", "--pool", "p", "--deployment", "served").out == "No run matches.\n"
    cli("pool", "create", "empty")
    assert cli("run", "ls", "--pool", "empty", "--json").json == []
    assert "work pool" in cli("run", "ls", "--pool", "none").err
    cli("pool", "delete", "p")
    cli("pool", "delete", "empty")
    told = cli("pool", "show", "p").err
    assert told.endswith("Create it: `flowstone pool create p`.\n")


def test_workers_are_listed(cli: InProcess) -> None:
    assert cli("worker", "ls").out == "No worker is online: `flowstone worker start --pool NAME`.\n"
    Presence(WORKING).announce(["p/w", "q/v"])
    assert [each["name"] for each in cli("worker", "ls", "--json").json] == ["w", "v"]
    (line,) = cli("worker", "ls", "--pool", "q").out.splitlines()[1:]
    assert line.split()[:2] == ["v", "q"]


def test_limits_of_pools_are_not_set_by_their_names(cli: InProcess) -> None:
    assert "work-pool:p" in cli("limit", "ls").out
    for command in (("set", "work-pool:p", "--slots", "9"), ("delete", "work-pool:p")):
        done = cli("limit", *command)
        assert (done.code, "reserved for Flowstone" in done.err) == (1, True)
    assert "work-pool" not in cli("export").out


class WatchedClock(SteppedClock):
    """A clock that does something when it is slept by."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act = act

    def sleep(self, seconds: float) -> None:
        self._act()
        super().sleep(seconds)


def test_a_run_that_is_watched_tells_how_it_ended(cli: InProcess) -> None:
    etl.deploy("x", work_pool_name="p")

    def crash() -> None:
        (run,) = services().runs.runs(RunQuery(states=("SCHEDULED",)))
        services().runs.record(make_change_event(run, Crashed("it broke"), 0))

    with use_services(replace(services(), clock=WatchedClock(crash))):
        done = cli("deployment", "run", "x", "--name", "wd", "--watch")
    assert (done.code, done.out.splitlines()[0]) == (3, "wd is Crashed: it broke")
    assert "`flowstone run show" in done.out


def test_a_watch_that_is_interrupted_leaves_the_run(cli: InProcess) -> None:
    etl.deploy("x", work_pool_name="p")

    def interrupt() -> None:
        raise KeyboardInterrupt

    with use_services(replace(services(), clock=WatchedClock(interrupt))):
        done = cli("deployment", "run", "x", "--name", "wt", "--watch")
    assert (done.code, "wt continues: `flowstone run cancel" in done.err) == (130, True)
    (run,) = services().runs.runs(RunQuery())
    assert not run.state.is_final()
