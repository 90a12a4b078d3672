"""`flowstone deployment backfill`: creates runs for times that have passed."""

from __future__ import annotations

import sys

import click

from flowstone.cli.candidates import complete_deployments
from flowstone.cli.deployment.records import count_servers
from flowstone.cli.output import emit, json_option, say, show, warn
from flowstone.cli.run.choice import parse_time
from flowstone.cli.views import Cell, Facts
from flowstone.cli.wording import format_count, format_iso, format_time
from flowstone.context.current import services
from flowstone.deployments.backfills import LIMIT, Backfill

#: Seconds between polls of the runs in flight.
_LOOK = 0.5


@click.command("backfill")
@click.argument("name", shell_complete=complete_deployments)
@click.option(
    "--from",
    "start",
    required=True,
    metavar="TIME",
    help="Start of the window, included: a date, a date and time, or an age such as 7d.",
)
@click.option("--to", "end", metavar="TIME", help="End of the window, excluded; now by default.")
@click.option(
    "--schedule", "slug", metavar="SLUG", help="Only this schedule; all active ones by default."
)
@click.option(
    "--limit",
    type=int,
    default=LIMIT,
    show_default=True,
    metavar="N",
    help="Maximum number of runs in flight.",
)
@click.option("--plan", is_flag=True, help="Show what would be created, without creating it.")
@json_option
def backfill(
    name: str, start: str, end: str | None, slug: str | None, limit: int, plan: bool, as_json: bool
) -> None:
    """Create the runs of schedules for a past window, and wait until they have ended.

    Times that already have a run are skipped, so the same command resumes an interrupted backfill.
    A process that serves the deployment, or a worker of its pool, executes the runs. Exits with 1
    if one of them has not completed.
    """
    now = services().clock.time()
    since, until = parse_time("--from", start, now), parse_time("--to", end, now)
    assert since is not None
    made = Backfill(name, since, now if until is None else until, slug=slug, limit=limit)
    if plan:
        _show_plan(made, as_json=as_json)
        return
    full_name = made.deployment.full_name
    if not count_servers([made.deployment])[full_name]:
        pool = made.deployment.work_pool_name
        missing = f"No process serves {full_name!r}"
        if pool is not None:
            missing = f"No worker is online in {pool!r}, the pool of {full_name!r}"
        warn(f"{missing}: the runs wait until one starts.")
    planned = made.plan()
    if count := planned.times - planned.existing:
        told = format_count(count, "run")
        warn(f"{full_name}: {told} to create, at most {limit} in flight.")
    while made.step():
        services().clock.sleep(_LOOK)
    done = made.result
    if as_json:
        emit({"name": full_name, **done._asdict()})
    else:
        ends = ", ".join(f"{count} {state}" for state, count in sorted(done.states.items()))
        told = f"{format_count(done.created, 'run')} created, {done.existing} existed already"
        say(f"{full_name}: {told}; {ends or 'nothing was due'}.")
    sys.exit(int(any(state != "Completed" for state in done.states)))


def _show_plan(made: Backfill, *, as_json: bool) -> None:
    full_name, plan = made.deployment.full_name, made.plan()
    if as_json:
        ends = {"first": format_iso(plan.first), "last": format_iso(plan.last)}
        emit({"name": full_name, **plan._asdict(), **ends})
        return
    facts = [
        ("deployment", Cell(full_name, "bold")),
        ("due", Cell(format_count(plan.times, "time"))),
        ("existing", Cell(format_count(plan.existing, "run"))),
        ("to create", Cell(format_count(plan.times - plan.existing, "run"))),
    ]
    if plan.first is not None and plan.last is not None:
        facts += [
            ("first", Cell(format_time(plan.first))),
            ("last", Cell(format_time(plan.last))),
        ]
    show(Facts(facts))
