"""`flowstone deployment schedule`: manages single schedules of a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from flowstone.cli.candidates import complete_deployments
from flowstone.cli.commands import Commands
from flowstone.cli.deployment.parameters import read_values
from flowstone.cli.deployment.records import describe_schedule, explain_schedule_pause
from flowstone.cli.output import emit, json_option, say, show
from flowstone.cli.run.execution import param_option, params_option, read_parameters
from flowstone.cli.times import MOMENT, MOMENT_OR_DAY
from flowstone.cli.views import Cell, Row, Table
from flowstone.cli.wording import format_time
from flowstone.context.current import services
from flowstone.deployments.documents import add_schedule, load_deployment, remove_schedule
from flowstone.deployments.schedule_pauses import pause_schedule, resume_schedule
from flowstone.records.schedules import GRACE, MISFIRES, Cron, Interval, RRule

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from flowstone.records.deployments import Deployment
    from flowstone.records.schedules import Misfire, Schedule


class _Options(TypedDict):
    """Options that all kinds of schedules have."""

    timezone: str | None
    slug: str | None
    misfire: Misfire
    grace_seconds: float
    jitter_seconds: float
    start: datetime | None
    end: datetime | None
    exclude: tuple[date, ...]


@click.group("schedule", cls=Commands)
def schedule_group() -> None:
    """List, create, pause, resume and delete single schedules of a deployment."""


@schedule_group.command("ls")
@click.argument("name", shell_complete=complete_deployments)
@json_option
def list_schedules(name: str, as_json: bool) -> None:
    """List the schedules of a deployment, and their next due times."""
    found, now = load_deployment(name), services().clock.time()
    if as_json:
        emit(
            [
                {**describe_schedule(found, each), "added": each in found.added_schedules}
                for each in found.all_schedules
            ]
        )
        return
    rows = [
        Row(
            (
                Cell(each.slug or "", "bold"),
                Cell(str(each)),
                _make_next_cell(found, each, now),
                Cell("command line" if each in found.added_schedules else "code"),
            )
        )
        for each in found.all_schedules
    ]
    empty = "It has no schedule: `flowstone deployment schedule create` creates one."
    show(Table(("slug", "schedule", "next", "from"), rows, empty=empty))


@schedule_group.command("create")
@click.argument("name", shell_complete=complete_deployments)
@click.option("--cron", metavar="TEXT", help='A cron string: "0 9 * * MON-FRI".')
@click.option("--interval", type=float, metavar="SECONDS", help="Seconds between runs.")
@click.option("--rrule", metavar="TEXT", help="A rule of RFC 5545: FREQ=DAILY;BYHOUR=9.")
@click.option("--timezone", metavar="NAME", help="The time zone; UTC by default.")
@click.option("--slug", metavar="TEXT", help="Its name; derived from the rule by default.")
@click.option(
    "--misfire",
    type=click.Choice(MISFIRES),
    default="latest",
    show_default=True,
    help="Which of the missed times are run.",
)
@click.option(
    "--grace",
    "grace_seconds",
    type=float,
    default=GRACE,
    show_default=True,
    metavar="SECONDS",
    help="How late a run may start without its time counting as missed.",
)
@click.option(
    "--jitter",
    "jitter_seconds",
    type=float,
    default=0.0,
    metavar="SECONDS",
    help="Maximum random delay of each run, in seconds.",
)
@click.option("--start", type=MOMENT, metavar="TIME", help="First time at which it can be due.")
@click.option("--end", type=MOMENT, metavar="TIME", help="Last time at which it can be due.")
@click.option(
    "--exclude",
    multiple=True,
    type=MOMENT_OR_DAY,
    metavar="DATE",
    help="A day, or a time, at which it is not due; can be repeated.",
)
@param_option
@params_option
@json_option
def create(
    name: str,
    cron: str | None,
    interval: float | None,
    rrule: str | None,
    pairs: tuple[str, ...],
    file: Path | None,
    as_json: bool,
    **options: Unpack[_Options],
) -> None:
    """Create a schedule. It survives restarts of the program that serves the deployment.

    Times are in the schedule's time zone: 2026-12-24 or 2026-12-24T18:00.
    """
    if sum(each is not None for each in (cron, interval, rrule)) != 1:
        raise click.UsageError("Use one of --cron, --interval and --rrule.")
    found = load_deployment(name)
    parameters = read_values(found, read_parameters(file, pairs))
    made: Schedule
    if cron is not None:
        made = Cron(cron, parameters=parameters, **options)
    elif rrule is not None:
        made = RRule(rrule, parameters=parameters, **options)
    else:
        made = Interval(interval or 0.0, parameters=parameters, **options)
    made = add_schedule(found.full_name, made)
    if as_json:
        emit(describe_schedule(load_deployment(found.full_name), made))
    else:
        say(f"Created {made} ({made.slug}).")


@schedule_group.command("delete")
@click.argument("name", shell_complete=complete_deployments)
@click.argument("slug")
@json_option
def delete(name: str, slug: str, as_json: bool) -> None:
    """Delete a schedule that `create` created. Schedules in the code must be removed there."""
    remove_schedule(name, slug)
    if as_json:
        emit({"slug": slug, "deleted": True})
    else:
        say(f"Deleted the schedule {slug!r}.")


@schedule_group.command("pause")
@click.argument("name", shell_complete=complete_deployments)
@click.argument("slug")
@json_option
def pause(name: str, slug: str, as_json: bool) -> None:
    """Pause a schedule, regardless of the code. Other schedules stay active."""
    made = pause_schedule(name, slug)
    if as_json:
        emit(describe_schedule(load_deployment(name), made))
    else:
        say(f"The schedule {slug!r} is paused.")


@schedule_group.command("resume")
@click.argument("name", shell_complete=complete_deployments)
@click.argument("slug")
@json_option
def resume(name: str, slug: str, as_json: bool) -> None:
    """Resume a schedule. Times that passed in the meantime are skipped."""
    made = resume_schedule(name, slug)
    found, now = load_deployment(name), services().clock.time()
    if as_json:
        emit(describe_schedule(found, made))
        return
    soon = next(made.iterate(now), None)
    told = "" if soon is None else f"; it is due next at {format_time(soon)}"
    if found.is_paused:
        told = f"; {found.full_name} is still paused: `flowstone deployment resume {name}`"
    say(f"The schedule {slug!r} is resumed{told}.")


def _make_next_cell(found: Deployment, schedule: Schedule, now: float) -> Cell:
    off = explain_schedule_pause(found, schedule)
    if off or found.is_paused:
        return Cell(off or "the deployment is paused", "yellow")
    soon = next(schedule.iterate(now), None)
    return Cell("-" if soon is None else format_time(soon))
