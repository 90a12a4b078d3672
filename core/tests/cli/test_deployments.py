from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from flowstone import flow
from flowstone.deployments import run_deployment
from flowstone.deployments.documents import PROGRESS, load_deployment, save_deployment
from flowstone.deployments.presence import Presence
from flowstone.deployments.ticks import create_due_run
from flowstone.records.events import make_change_event
from flowstone.records.limits import SERVING
from flowstone.records.states import AwaitingConcurrencySlot, Cancelled, Completed
from flowstone.schedules import Cron, Interval

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.context.current import Services
    from flowstone_testing.programs import ProgramResult

    from .conftest import InProcess


@flow
def etl(n: int = 1, who: str = "me") -> str:
    """Load it."""
    return f"{who}{n}"


@pytest.fixture(autouse=True)
def _deployed(cli: InProcess) -> None:
    save_deployment(
        etl.to_deployment(
            "nightly",
            schedules=[
                Cron("0 3 * * *", timezone="Europe/Berlin", parameters={"n": 2}, slug="night"),
                Interval(60, active=False),
            ],
            parameters={"n": 5},
            tags=["a"],
            version="7",
        )
    )


def test_deployments_are_listed(cli: InProcess) -> None:
    heads, line = cli("deployment", "ls").out.splitlines()
    assert heads.split() == ["NAME", "SCHEDULES", "NEXT", "POOL", "SERVED", "BY"]
    assert line.split()[0] == "etl/nightly"
    assert "cron '0 3 * * *' in Europe/Berlin" in line
    assert line.split()[-1] == "0"
    (told,) = cli("deployment", "ls", "--json").json
    assert (told["name"], told["paused"], told["served_by"]) == ("etl/nightly", False, 0)
    assert len(told["next"]) == 5


def test_there_may_be_none(cli: InProcess) -> None:
    cli("deployment", "delete", "nightly")
    told = cli("deployment", "ls").out
    assert told.startswith("There are no deployments yet: `flow.serve`, `flow.deploy` or ")
    assert cli("deployment", "ls", "--json").json == []


def test_a_deployment_is_shown(cli: InProcess, flowstone_services: Services) -> None:
    run_deployment("nightly", timeout=0, flow_run_name="first")
    progress = {"night@1": {"until": 1.0, "skipped": 11, "skipped_until": 1.0}}
    flowstone_services.documents.put(PROGRESS, "etl/nightly", progress)
    presence = Presence(SERVING)
    presence.announce(["etl/nightly"])
    told = cli("deployment", "show", "nightly").out
    for part in (
        "deployment   etl/nightly",
        "version      7",
        "description  Load it.",
        "tags         a",
        "parameters   n = 5",
        "with {'n': 2}, misfire='latest' (night)",
        "not active in its code",
        "skipped      11 missed times of night up to",
        "served by    pid ",
        "first",
    ):
        assert part in told
    presence.leave()
    assert "served by    no process" in cli("deployment", "show", "nightly").out
    shown = cli("deployment", "show", "nightly", "--json").json
    assert shown["parameter_schema"]["properties"]["n"]["type"] == "integer"
    assert [run["name"] for run in shown["runs"]] == ["first"]


def test_a_run_is_asked_for(cli: InProcess, flowstone_services: Services) -> None:
    done = cli(
        "deployment", "run", "nightly", "-p", "n=7", "-p", "who=5", "--name", "mine", "--tag", "b"
    )
    assert done.out.startswith("mine is scheduled: `flowstone run show ")
    assert done.err.startswith("mine waits: no process serves 'etl/nightly': start one")
    run = flowstone_services.runs.run("mine")
    assert (run.parameters, run.tags) == ({"n": 7, "who": "5"}, ("a", "b"))
    told = cli("deployment", "run", "nightly", "--json").json
    assert (told["deployment"], told["state"]["name"]) == ("etl/nightly", "Scheduled")


def test_it_is_paused_and_resumed(cli: InProcess) -> None:
    assert cli("deployment", "pause", "nightly").out == (
        "etl/nightly is paused. `flowstone deployment run` still starts runs.\n"
    )
    assert "paused by an operator" in cli("deployment", "ls").out
    assert "paused       by an operator" in cli("deployment", "show", "nightly").out
    assert cli("deployment", "pause", "nightly", "--json").json["paused"] is True
    assert "is resumed; its next run is due at" in cli("deployment", "resume", "nightly").out
    assert cli("deployment", "resume", "nightly", "--json").json["paused_because"] is None


def test_it_is_deleted_with_what_waits(cli: InProcess, flowstone_services: Services) -> None:
    run_deployment("nightly", timeout=0, flow_run_name="first")
    told = cli("deployment", "delete", "nightly").out
    assert told == "The deployment 'etl/nightly' is deleted, and 1 run cancelled.\n"
    assert flowstone_services.runs.run("first").state.name == "Cancelled"


def test_runs_are_listed_by_deployment(cli: InProcess) -> None:
    etl()
    run_deployment("nightly", timeout=0, flow_run_name="first")
    for name in ("nightly", "etl/nightly"):
        (told,) = cli("run", "ls", "--deployment", name, "--json").json
        assert told["name"] == "first"
    assert cli("run", "ls", "--deployment", "etl/other").out == "No run matches.\n"


def test_a_run_that_waits_says_why(cli: InProcess, flowstone_services: Services) -> None:
    later = datetime(2100, 1, 1, tzinfo=UTC)
    run_deployment("nightly", timeout=0, flow_run_name="later", scheduled_time=later)
    run = run_deployment("nightly", timeout=0, flow_run_name="now")
    assert "it is due at 2100-01-01 00:00:00 UTC" in cli("run", "ls").out
    assert "no process serves 'etl/nightly': start one" in cli("run", "ls").out
    assert "no process serves" in cli("run", "show", "now").out
    (told,) = cli("run", "ls", "--limit", "1", "--json").json
    assert told["waits"]["kind"] == "not_served"
    presence = Presence(SERVING)
    presence.announce(["etl/nightly"])
    assert cli("run", "show", "now", "--json").json["waits"]["kind"] == "starting"
    flowstone_services.runs.record(
        make_change_event(run, AwaitingConcurrencySlot("as many (limit=1)"), 0)
    )
    assert cli("run", "show", "now", "--json").json["waits"] == {
        "kind": "limit_full",
        "message": "as many (limit=1)",
    }
    presence.leave()
    flowstone_services.documents.delete("deployment", "etl/nightly")
    assert cli("run", "show", "now", "--json").json["waits"]["kind"] == "deployment_deleted"


def test_what_is_executed_waits_no_more(cli: InProcess, flowstone_services: Services) -> None:
    save_deployment(replace(etl.to_deployment("x"), entrypoint=f"{__file__}:etl"))
    run = run_deployment("x", timeout=0, flow_run_name="first")
    done = cli("run", "execute", "first")
    assert done.code == 0, done.err
    told = cli("run", "show", "first", "--json").json
    assert (told["state"]["name"], told["waits"], told["attempts"]) == ("Completed", None, 1)
    assert flowstone_services.runs.run(run.id).lease is not None


def test_schedules_are_created_and_deleted(cli: InProcess) -> None:
    def create(*options: str) -> ProgramResult:
        return cli("deployment", "schedule", "create", "nightly", *options)

    assert create("--cron", "0 5 * * *", "--slug", "five").out == (
        "Created cron '0 5 * * *' (five).\n"
    )
    told = create("--interval", "90", "--slug", "often", "-p", "who=5", "--json").json
    assert (told["type"], told["interval"], told["parameters"]) == ("interval", 90.0, {"who": "5"})
    window = ["--start", "2026-01-01", "--end", "2026-12-31T18:00", "--exclude", "2026-05-01"]
    options = ["--misfire", "all", "--grace", "5", "--jitter", "30", *window]
    told = create("--rrule", "FREQ=DAILY", "--slug", "rule", *options, "--json").json
    assert {name: told[name] for name in ("misfire", "grace_seconds", "jitter_seconds")} == {
        "misfire": "all",
        "grace_seconds": 5.0,
        "jitter_seconds": 30.0,
    }
    assert (told["start"], told["end"]) == ("2026-01-01T00:00:00", "2026-12-31T18:00:00")
    assert told["exclude"] == ["2026-05-01"]
    shown = cli("deployment", "show", "nightly", "--json").json["added_schedules"]
    assert [each["slug"] for each in shown] == ["five", "often", "rule"]
    deleted = cli("deployment", "schedule", "delete", "nightly", "five")
    assert deleted.out == "Deleted the schedule 'five'.\n"
    assert cli("deployment", "schedule", "delete", "nightly", "rule", "--json").json["deleted"]
    assert "Use one of --cron, --interval and --rrule." in create().err
    assert "'soon' is not a time" in create("--cron", "@daily", "--start", "soon").err
    assert "n: " in create("--cron", "@daily", "-p", "n=many").err


def test_schedules_are_listed_paused_and_resumed(cli: InProcess) -> None:
    group = ("deployment", "schedule")
    cli(*group, "create", "nightly", "--cron", "0 5 * * *", "--slug", "five")
    heads, night, _, five = cli(*group, "ls", "nightly").out.splitlines()
    assert heads.split() == ["SLUG", "SCHEDULE", "NEXT", "FROM"]
    assert night.startswith("night ")
    assert night.endswith("code")
    assert five.endswith("command line")
    assert cli(*group, "pause", "nightly", "night").out == "The schedule 'night' is paused.\n"
    assert "paused by an operator" in cli(*group, "ls", "nightly").out
    assert "paused by an operator (night)" in cli("deployment", "show", "nightly").out
    told = {each["slug"]: each for each in cli(*group, "ls", "nightly", "--json").json}
    assert (told["night"]["active"], told["five"]["active"]) == (False, True)
    assert (told["night"]["added"], told["five"]["added"]) == (False, True)
    assert told["night"]["paused_because"] == "paused by an operator"
    assert "is resumed; it is due next at" in cli(*group, "resume", "nightly", "night").out
    assert cli(*group, "resume", "nightly", "night", "--json").json["active"] is True
    cli("deployment", "pause", "nightly")
    assert "etl/nightly is still paused" in cli(*group, "resume", "nightly", "night").out
    assert "the deployment is paused" in cli(*group, "ls", "nightly").out
    wrong = cli(*group, "pause", "nightly", "nihgt")
    assert (wrong.code, "Did you mean 'night'" in wrong.err) == (1, True)


def test_a_window_is_backfilled(cli: InProcess, flowstone_services: Services) -> None:
    window = ("deployment", "backfill", "nightly", "--from", "2026-03-01", "--to", "2026-03-04")
    planned = cli(*window, "--plan").out
    for part in ("due         3 times", "existing    0 runs", "to create   3 runs"):
        assert part in planned
    told = cli(*window, "--plan", "--json").json
    assert (told["times"], told["existing"], told["name"]) == (3, 0, "etl/nightly")
    assert told["first"] < told["last"]
    assert cli("run", "ls", "--json").json == []
    for number in range(3):
        at = datetime(2026, 3, 1 + number, 2, tzinfo=UTC)
        found = load_deployment("nightly")
        run = create_due_run(found, found.schedules[0], at.timestamp())
        cancelled = Cancelled() if number else Completed()
        flowstone_services.runs.record(make_change_event(run, cancelled, 0))
    done = cli(*window)
    assert done.out == (
        "etl/nightly: 0 runs created, 3 existed already; 2 Cancelled, 1 Completed.\n"
    )
    assert done.err.startswith("No process serves 'etl/nightly'")
    assert done.code == 1
    assert cli(*window, "--json").json["states"] == {"Completed": 1, "Cancelled": 2}
    assert "limit=0" in cli(*window, "--limit", "0").err
    assert "is neither an age" in cli("deployment", "backfill", "nightly", "--from", "x").err
    none = cli("deployment", "backfill", "nightly", "--from", "1m", "--schedule", "night")
    assert (none.code, none.out) == (
        0,
        "etl/nightly: 0 runs created, 0 existed already; nothing was due.\n",
    )


@pytest.mark.slow
def test_a_deployment_is_checked(cli: InProcess, tmp_path: Path) -> None:
    place = f"{__file__}:etl"
    save_deployment(replace(etl.to_deployment("nightly", cron="@daily"), entrypoint=place))
    done = cli("deployment", "check", "nightly")
    assert (done.code, done.out[:31]) == (0, "etl/nightly can be executed by ")
    assert cli("deployment", "check", "nightly", "--json").json["ok"] is True
    broken = tmp_path / "broken.py"
    broken.write_text("import nonexistent_module")
    save_deployment(replace(etl.to_deployment("nightly"), entrypoint=f"{broken}:etl"))
    done = cli("deployment", "check", "nightly")
    assert done.code == 1
    for part in (
        "No module named 'nonexistent_module'",
        "\nentrypoint '",
        f"  path       {tmp_path}",
        "etl/nightly: 1 problem.",
    ):
        assert part in done.err
    told = cli("deployment", "check", "nightly", "--json")
    assert (told.code, told.json["problems"][0]["subject"]) == (1, "entrypoint")


def test_flows_are_listed(cli: InProcess) -> None:
    heads, line = cli("flow", "ls").out.splitlines()
    assert heads.split() == ["FLOW", "DEPLOYMENTS", "LAST", "RUN", "STATE", "CREATED"]
    assert line.split() == ["etl", "etl/nightly", "-", "-", "-"]
    etl.with_options(name="other", flow_run_name="mine")()
    first, second = cli("flow", "ls", "--json").json
    assert (first["name"], first["deployments"]) == ("etl", ["etl/nightly"])
    assert first["last_run"] is None
    assert (second["name"], second["last_run"]["name"]) == ("other", "mine")
    assert "Completed" in cli("flow", "ls").out
    cli("deployment", "delete", "nightly")
    assert [each["name"] for each in cli("flow", "ls", "--json").json] == ["other"]


def test_who_serves_is_not_exported(cli: InProcess) -> None:
    presence = Presence(SERVING)
    presence.announce(["etl/nightly"])
    cli("limit", "set", "mine", "--slots", "1")
    exported = cli("export").out
    assert "mine" in exported
    assert "serving" not in exported
    presence.leave()
