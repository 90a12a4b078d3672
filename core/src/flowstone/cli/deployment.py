"""`flowstone deployment`: flows that run on schedules and on request."""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

import click

from flowstone.cli.candidates import complete_deployments
from flowstone.cli.commands import Commands
from flowstone.cli.output import emit, json_option, say, show, warn
from flowstone.cli.run.execution import EXITS, param_option, params_option, read_parameters
from flowstone.cli.run.records import describe_run
from flowstone.cli.views import Cell, Facts, Row, Table
from flowstone.cli.wording import (
    format_count,
    format_iso,
    format_process,
    format_time,
    make_state_cell,
    shorten_id,
)
from flowstone.context.current import services
from flowstone.deployments.documents import (
    PROGRESS,
    add_schedule,
    delete_deployment,
    find_deployments,
    load_deployment,
    pause_deployment,
    remove_schedule,
    resume_deployment,
)
from flowstone.deployments.presence import find_servers, find_workers
from flowstone.records.runs import RunQuery
from flowstone.records.schedules import Cron, Interval, RRule, encode_schedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from flowstone.records.deployments import Deployment
    from flowstone.records.runs import Run
    from flowstone.records.schedules import Schedule

#: So many times and runs are shown of a deployment.
_SHOWN = 5


@click.group(cls=Commands)
def deployment() -> None:
    """List, show, run, pause, resume and delete deployments.

    A deployment is a flow with its schedules, parameters and tags. A program that calls
    `flow.serve` creates one, and executes its runs. NAME is FLOW/NAME, or only the second part
    where one deployment has it.
    """


@deployment.command("ls")
@json_option
def list_deployments(as_json: bool) -> None:
    """List deployments, when they are due next, and how many processes or workers serve them."""
    found, now = find_deployments(), services().clock.time()
    served = _count_servers(found)
    if as_json:
        emit([_describe(each, now, served) for each in found])
        return
    rows = [
        Row(
            (
                Cell(each.full_name, "bold"),
                Cell("; ".join(map(str, _list_active(each)))),
                _make_next_cell(each, now),
                Cell(str(served.get(each.full_name, 0))),
            )
        )
        for each in found
    ]
    columns = ("name", "schedules", "next", "served by")
    empty = "There is no deployment yet: `flow.serve` in a program creates one."
    show(Table(columns, rows, empty=empty, right=frozenset({"served by"})))


@deployment.command("show")
@click.argument("name", shell_complete=complete_deployments)
@json_option
def show_deployment(name: str, as_json: bool) -> None:
    """Show a deployment: its schedules, what it runs, who serves it, and its newest runs."""
    found, now = load_deployment(name), services().clock.time()
    query = RunQuery(deployments=(found.full_name,), newest_first=True, limit=_SHOWN)
    runs = services().runs.runs(query)
    if as_json:
        emit(
            {
                **_describe(found, now, _count_servers([found])),
                "parameter_schema": found.parameter_schema,
                "runs": [describe_run(each, now) for each in runs],
            }
        )
        return
    show(_make_facts(found, now), _make_run_table(runs))


@deployment.command("run")
@click.argument("name", shell_complete=complete_deployments)
@param_option
@params_option
@click.option("--name", "run_name", metavar="TEXT", help="A name for the run.")
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="A tag of the run; can be repeated."
)
@click.option("--watch", is_flag=True, help="Wait for the run's end; exit as `run start` does.")
@json_option
def run_now(
    name: str,
    pairs: tuple[str, ...],
    file: Path | None,
    run_name: str | None,
    tags: tuple[str, ...],
    watch: bool,
    as_json: bool,
) -> None:
    """Start a run of a deployment. A process that serves the deployment executes it."""
    # 40 ms of pydantic, which only this command needs.
    from flowstone.deployments.requests import run_deployment, wait_for_end
    from flowstone.deployments.waits import BLOCKED, find_wait_reasons

    found = load_deployment(name)
    run = run_deployment(
        found.full_name,
        _read_values(found, read_parameters(file, pairs)),
        flow_run_name=run_name,
        tags=tags,
        timeout=0,
    )
    reason = find_wait_reasons([run], services().clock.time()).get(run.id)
    if reason is not None and reason.kind in BLOCKED:
        warn(f"{run.name} waits: {reason.message}.")
    if watch:
        run = wait_for_end(run)
    if as_json:
        emit(describe_run(run, services().clock.time()))
    elif watch:
        say(f"{run.name} is {run.state.name}.")
    else:
        say(f"{run.name} is scheduled: `flowstone run show {shorten_id(run)}`.")
    if watch:
        sys.exit(EXITS[run.state.type])


@deployment.command("pause")
@click.argument("name", shell_complete=complete_deployments)
@json_option
def pause(name: str, as_json: bool) -> None:
    """Pause the schedules of a deployment, whatever its code says. Runs can still be started."""
    found = pause_deployment(name)
    if as_json:
        emit(_describe(found, services().clock.time(), _count_servers([found])))
    else:
        say(f"{found.full_name} is paused. `flowstone deployment run` still starts runs.")


@deployment.command("resume")
@click.argument("name", shell_complete=complete_deployments)
@json_option
def resume(name: str, as_json: bool) -> None:
    """Resume the schedules of a deployment. Times that passed meanwhile are skipped."""
    found = resume_deployment(name)
    now = services().clock.time()
    if as_json:
        emit(_describe(found, now, _count_servers([found])))
        return
    soon = _find_next(found, now)
    told = f"; its next run is due at {format_time(soon[0])}" if soon else ""
    say(f"{found.full_name} is resumed{told}.")


@deployment.command("delete")
@click.argument("name", shell_complete=complete_deployments)
@json_option
def delete(name: str, as_json: bool) -> None:
    """Delete a deployment, and cancel its runs that have not been started.

    The program that serves it creates it again the next time it is started.
    """
    full_name = load_deployment(name).full_name
    cancelled = delete_deployment(full_name)
    if as_json:
        emit({"name": full_name, "deleted": True, "cancelled": cancelled})
        return
    told = f", and {format_count(len(cancelled), 'run')} cancelled" if cancelled else ""
    say(f"The deployment {full_name!r} is deleted{told}.")


@deployment.group("schedule", cls=Commands)
def schedule_group() -> None:
    """Add schedules to a deployment, besides those in its code, and remove them."""


@schedule_group.command("add")
@click.argument("name", shell_complete=complete_deployments)
@click.option("--cron", metavar="TEXT", help='A cron string: "0 9 * * MON-FRI".')
@click.option("--interval", type=float, metavar="SECONDS", help="Seconds between two runs.")
@click.option("--rrule", metavar="TEXT", help="A rule of RFC 5545: FREQ=DAILY;BYHOUR=9.")
@click.option("--timezone", metavar="NAME", help="The time zone; UTC by default.")
@click.option("--slug", metavar="TEXT", help="Its name; derived from the rule by default.")
@json_option
def add(
    name: str,
    cron: str | None,
    interval: float | None,
    rrule: str | None,
    timezone: str | None,
    slug: str | None,
    as_json: bool,
) -> None:
    """Add a schedule. It stays when the program that serves the deployment is started again."""
    if sum(each is not None for each in (cron, interval, rrule)) != 1:
        raise click.UsageError("Use one of --cron, --interval and --rrule.")
    made: Schedule
    if cron is not None:
        made = Cron(cron, timezone=timezone, slug=slug)
    elif rrule is not None:
        made = RRule(rrule, timezone=timezone, slug=slug)
    else:
        made = Interval(interval or 0.0, timezone=timezone, slug=slug)
    made = add_schedule(name, made)
    if as_json:
        emit(encode_schedule(made))
    else:
        say(f"Added {made} ({made.slug}).")


@schedule_group.command("remove")
@click.argument("name", shell_complete=complete_deployments)
@click.argument("slug")
@json_option
def remove(name: str, slug: str, as_json: bool) -> None:
    """Remove a schedule that was added by `add`; remove those of the code in the code."""
    remove_schedule(name, slug)
    if as_json:
        emit({"slug": slug, "removed": True})
    else:
        say(f"Removed the schedule {slug!r}.")


def _read_values(found: Deployment, given: Mapping[str, object]) -> dict[str, object]:
    """Return parameters as the schema wants them: what a text says in JSON, or the text itself."""
    # 40 ms of pydantic, which only this command needs.
    from flowstone.calls.parameters import Written
    from flowstone.flow_runs.schemas import find_misfits

    schema = {**found.parameter_schema, "required": []}
    values: dict[str, object] = {}
    for name, value in given.items():
        values[name] = value
        if isinstance(value, Written):
            values[name] = str(value)
            try:
                read = json.loads(value)
            except ValueError:
                continue
            if not find_misfits(schema, {name: read}):
                values[name] = read
    return values


def _count_servers(found: Iterable[Deployment]) -> dict[str, int]:
    """Return how many processes execute runs of deployments, by the full names."""
    served = Counter(slot.owner for slot in find_servers())
    workers = Counter(each.pool for each in find_workers())
    return {
        each.full_name: served[each.full_name]
        if each.work_pool_name is None
        else workers[each.work_pool_name]
        for each in found
    }


def _list_active(found: Deployment) -> list[Schedule]:
    return [each for each in found.all_schedules if each.active]


def _find_next(found: Deployment, now: float) -> list[float]:
    """Return the next times at which it is due; none where it is paused."""
    if found.is_paused:
        return []
    times = [at for each in _list_active(found) for at in islice(each.iterate(now), _SHOWN)]
    return sorted(times)[:_SHOWN]


def _make_next_cell(found: Deployment, now: float) -> Cell:
    if found.is_paused:
        return Cell(_explain_pause(found), "yellow")
    soon = _find_next(found, now)
    return Cell(format_time(soon[0]) if soon else "-")


def _explain_pause(found: Deployment) -> str:
    if found.paused_by_operator:
        return "paused by an operator"
    return "paused in its code" if found.paused else "paused until a process serves it"


def _describe(found: Deployment, now: float, served: Mapping[str, int]) -> dict[str, object]:
    return {
        "name": found.full_name,
        "id": found.id,
        "flow": found.flow_name,
        "entrypoint": found.entrypoint,
        "description": found.description,
        "version": found.version,
        "tags": list(found.tags),
        "parameters": dict(found.parameters),
        "schedules": [encode_schedule(each) for each in found.schedules],
        "added_schedules": [encode_schedule(each) for each in found.added_schedules],
        "paused": found.is_paused,
        "paused_because": _explain_pause(found) if found.is_paused else None,
        "next": [format_iso(at) for at in _find_next(found, now)],
        "work_pool": found.work_pool_name,
        "work_queue": found.work_queue_name,
        "job_variables": dict(found.job_variables),
        "concurrency_limit": found.concurrency_limit,
        "collision_strategy": found.collision_strategy,
        "served_by": served.get(found.full_name, 0),
    }


def _make_facts(found: Deployment, now: float) -> Facts:
    facts = [
        ("deployment", Cell(found.full_name, "bold")),
        ("entrypoint", Cell(found.entrypoint)),
        ("version", Cell(found.version or "")),
        ("description", Cell(found.description or "")),
        ("tags", Cell(", ".join(found.tags))),
    ]
    facts += [
        ("parameters" if not number else "", Cell(f"{name} = {value!r}"))
        for number, (name, value) in enumerate(found.parameters.items())
    ]
    facts += [
        ("schedules" if not number else "", Cell(_format_schedule(each)))
        for number, each in enumerate(found.all_schedules)
    ]
    if found.is_paused:
        facts.append(("paused", Cell(_explain_pause(found), "yellow")))
    facts += [
        ("next" if not number else "", Cell(format_time(at)))
        for number, at in enumerate(_find_next(found, now))
    ]
    facts += [("skipped", Cell(told, "yellow")) for told in _list_skipped(found)]
    facts += _list_place(found)
    return Facts([fact for fact in facts if fact[1].text])


def _list_place(found: Deployment) -> list[tuple[str, Cell]]:
    """Return where its runs are executed, how many at a time, and by whom."""
    facts = []
    if found.work_pool_name is None:
        holders = [slot.holder for slot in find_servers() if slot.owner == found.full_name]
        served = ", ".join(map(format_process, holders))
    else:
        queue = f", queue {found.work_queue_name!r}" if found.work_queue_name else ""
        facts.append(("pool", Cell(f"{found.work_pool_name}{queue}")))
        facts += [
            ("variables" if not number else "", Cell(f"{name} = {value!r}"))
            for number, (name, value) in enumerate(found.job_variables.items())
        ]
        workers = [each for each in find_workers() if each.pool == found.work_pool_name]
        served = ", ".join(each.name for each in workers)
    if found.concurrency_limit is not None:
        more = found.collision_strategy.lower().replace("_", " ")
        facts.append(("limit", Cell(f"{found.concurrency_limit} at a time; beyond it: {more}")))
    facts.append(("served by", Cell(served or "nobody", "" if served else "yellow")))
    return facts


def _format_schedule(schedule: Schedule) -> str:
    off = "" if schedule.active else ", not active"
    parameters = f", with {dict(schedule.parameters)}" if schedule.parameters else ""
    return f"{schedule}{parameters}, misfire={schedule.misfire!r}{off} ({schedule.slug})"


def _list_skipped(found: Deployment) -> list[str]:
    """Return what was left out last, by its schedules."""
    progress = services().documents.find(PROGRESS, names=[found.full_name])
    return [
        f"{format_count(each['skipped'], 'missed time')} of {key.partition('@')[0]} "
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
