"""`flowstone deployment ls` and `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowstone.cli.candidates import complete_deployments
from flowstone.cli.deployment.records import (
    SHOWN,
    count_servers,
    describe_deployment,
    explain_pause,
    explain_schedule_pause,
    find_next,
)
from flowstone.cli.output import emit, json_option, show
from flowstone.cli.run.records import describe_run
from flowstone.cli.views import Cell, Facts, Row, Table
from flowstone.cli.wording import (
    format_count,
    format_process,
    format_time,
    make_state_cell,
    shorten_id,
)
from flowstone.context.current import services
from flowstone.deployments.documents import PROGRESS, find_deployments, load_deployment
from flowstone.deployments.presence import find_servers, find_workers
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from flowstone.records.deployments import Deployment
    from flowstone.records.runs import Run
    from flowstone.records.schedules import Schedule


@click.command("ls")
@json_option
def list_deployments(as_json: bool) -> None:
    """List deployments, their next due times, and the number of processes that serve them."""
    found, now = find_deployments(), services().clock.time()
    served = count_servers(found)
    if as_json:
        emit([describe_deployment(each, now, served) for each in found])
        return
    rows = [
        Row(
            (
                Cell(each.full_name, "bold"),
                Cell("; ".join(map(str, each.active_schedules))),
                _make_next_cell(each, now),
                Cell(each.work_pool_name or "-"),
                Cell(str(served.get(each.full_name, 0))),
            )
        )
        for each in found
    ]
    columns = ("name", "schedules", "next", "pool", "served by")
    empty = (
        "There are no deployments yet: `flow.serve`, `flow.deploy` or `flowstone deploy` "
        "creates one."
    )
    show(Table(columns, rows, empty=empty, right=frozenset({"served by"})))


@click.command("show")
@click.argument("name", shell_complete=complete_deployments)
@json_option
def show_deployment(name: str, as_json: bool) -> None:
    """Show a deployment: its flow, its schedules, its processes or workers, and its newest runs."""
    found, now = load_deployment(name), services().clock.time()
    query = RunQuery(deployments=(found.full_name,), newest_first=True, limit=SHOWN)
    runs = services().runs.runs(query)
    if as_json:
        emit(
            {
                **describe_deployment(found, now, count_servers([found])),
                "parameter_schema": found.parameter_schema,
                "runs": [describe_run(each, now) for each in runs],
            }
        )
        return
    show(_make_facts(found, now), _make_run_table(runs))


def _make_next_cell(found: Deployment, now: float) -> Cell:
    if found.is_paused:
        return Cell(explain_pause(found), "yellow")
    soon = find_next(found, now)
    return Cell(format_time(soon[0]) if soon else "-")


def _make_facts(found: Deployment, now: float) -> Facts:
    facts = [
        ("deployment", Cell(found.full_name, "bold")),
        ("entrypoint", Cell(found.entrypoint)),
        ("code", Cell(str(found.code or ""))),
        ("requirements", Cell(str(found.environment or ""))),
        ("version", Cell(found.version or "")),
        ("description", Cell(found.description or "")),
        ("tags", Cell(", ".join(found.tags))),
    ]
    facts += [
        ("parameters" if not number else "", Cell(f"{name} = {value!r}"))
        for number, (name, value) in enumerate(found.parameters.items())
    ]
    facts += [
        ("schedules" if not number else "", Cell(_format_schedule(found, each)))
        for number, each in enumerate(found.all_schedules)
    ]
    if found.is_paused:
        why = explain_pause(found).removeprefix("paused ")
        facts.append(("paused", Cell(why, "yellow")))
    facts += [
        ("next" if not number else "", Cell(format_time(at)))
        for number, at in enumerate(find_next(found, now))
    ]
    facts += [("skipped", Cell(told, "yellow")) for told in _list_skipped(found)]
    facts += _list_place(found)
    return Facts([fact for fact in facts if fact[1].text])


def _list_place(found: Deployment) -> list[tuple[str, Cell]]:
    """Return the pool, the limit, and the processes or workers that serve it."""
    facts = []
    if found.work_pool_name is None:
        holders = [slot.holder for slot in find_servers() if slot.owner == found.full_name]
        served = ", ".join(map(format_process, holders))
        unserved = "no process"
    else:
        queue = f", queue {found.work_queue_name!r}" if found.work_queue_name else ""
        facts.append(("pool", Cell(f"{found.work_pool_name}{queue}")))
        facts += [
            ("variables" if not number else "", Cell(f"{name} = {value!r}"))
            for number, (name, value) in enumerate(found.job_variables.items())
        ]
        workers = [each for each in find_workers() if each.pool == found.work_pool_name]
        served = ", ".join(each.name for each in workers)
        unserved = f"no worker: `flowstone worker start --pool {found.work_pool_name}`"
    if found.concurrency_limit is not None:
        more = found.collision_strategy.lower().replace("_", " ")
        facts.append(("limit", Cell(f"{found.concurrency_limit} at a time; beyond it: {more}")))
    facts.append(("served by", Cell(served or unserved, "" if served else "yellow")))
    return facts


def _format_schedule(found: Deployment, schedule: Schedule) -> str:
    off = explain_schedule_pause(found, schedule)
    parameters = f", with {dict(schedule.parameters)}" if schedule.parameters else ""
    told = f", {off}" if off else ""
    return f"{schedule}{parameters}, misfire={schedule.misfire!r}{told} ({schedule.slug})"


def _list_skipped(found: Deployment) -> list[str]:
    """Return the times that each schedule skipped last."""
    progress = services().documents.find(PROGRESS, names=[found.full_name])
    return [
        f"{format_count(each['skipped'], 'missed time')} of {key.rpartition('@')[0]} "
        f"up to {format_time(each['skipped_until'])}"
        for key, each in (progress[0].body if progress else {}).items()
        if each.get("skipped")
    ]


def _make_run_table(runs: list[Run]) -> Table:
    rows = [
        Row(
            (
                Cell(shorten_id(run), "dim"),
                Cell(run.name, "bold"),
                make_state_cell(run.state),
                Cell("-" if run.scheduled_time is None else format_time(run.scheduled_time)),
            )
        )
        for run in runs
    ]
    return Table(("id", "name", "state", "due"), rows, empty="It has no run yet.")
