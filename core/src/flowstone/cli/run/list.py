"""`flowstone run ls`: lists runs, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowstone.cli.candidates import complete_runs
from flowstone.cli.output import emit, is_terminal, json_option, show, warn
from flowstone.cli.run.choice import (
    choose_deployments,
    find_run,
    flow_option,
    parse_states,
    parse_time,
    period_options,
    source_options,
    state_option,
)
from flowstone.cli.run.records import describe_run, describe_tally, find_waits
from flowstone.cli.views import Cell, Row, Table
from flowstone.cli.wording import (
    format_ago,
    format_time,
    make_reason_cell,
    make_state_cell,
    shorten_id,
)
from flowstone.context.current import services
from flowstone.records.durations import duration, format_duration
from flowstone.records.runs import Run, RunQuery
from flowstone.records.states import COMPLETED, FAILED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.cli.run.records import Json, Waits


@click.command("ls")
@state_option
@flow_option
@source_options
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="Only runs with this tag; can be repeated."
)
@period_options
@click.option(
    "--before",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Only runs created before this one, for the next page.",
)
@click.option(
    "--limit",
    "--last",
    type=click.IntRange(min=1),
    metavar="N",
    default=20,
    show_default=True,
    help="Maximum number to list.",
)
@json_option
def list_runs(
    states: tuple[str, ...],
    unit: str | None,
    source: tuple[str | None, str | None],
    tags: tuple[str, ...],
    period: tuple[str | None, str | None],
    before: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List runs, most recent first.

    Lists flow runs, and runs of tasks that were called outside a flow. TASKS is the number of
    completed task runs of a run.
    """
    store, now = services().runs, services().clock.time()
    since, until = period
    deployments = choose_deployments(*source)
    query = RunQuery(
        ids=() if deployments is None else None,
        listed=True,
        states=parse_states(states),
        unit=unit,
        deployments=deployments or (),
        tags=tags,
        created_since=parse_time("--since", since, now),
        created_until=parse_time("--until", until, now),
        newest_first=True,
        after=None if before is None else find_run(before).id,
        limit=limit + 1,
    )
    found = store.runs(query)
    more, found = len(found) > limit, found[:limit]
    tally = store.tally(sorted({each.root_id for each in found}))
    waits = find_waits(found, now)
    if as_json:
        emit([_describe(each, now, tally.get(each.id, {}), waits) for each in found])
        return
    is_choice = bool(states or unit or any(source) or tags or since or until or before)
    show(_make_table(found, now, tally, waits, is_choice=is_choice))
    if more:
        warn(
            f"\nThere are older ones: --before {shorten_id(found[-1])} shows the next page, and "
            f"--limit {max(100, 5 * limit)} more at once."
        )


def _make_table(
    runs: list[Run],
    now: float,
    tally: Mapping[str, Mapping[str, int]],
    waits: Waits,
    *,
    is_choice: bool,
) -> Table:
    empty = "No run matches." if is_choice else "There are no runs yet."
    rows = [
        Row(
            (
                Cell(shorten_id(run), "dim"),
                Cell(run.name, "bold"),
                Cell(run.unit),
                make_state_cell(run.state),
                Cell(_format_start(run.started, now)),
                Cell(format_duration(duration(run, now))),
                _make_tally_cell(tally.get(run.id, {})),
            ),
            _make_reason_cell(run, waits),
        )
        for run in runs
    ]
    columns = ("id", "name", "flow", "state", "started", "took", "tasks")
    return Table(columns, rows, "reason", empty, frozenset({"took", "tasks"}))


def _make_reason_cell(run: Run, waits: Waits) -> Cell | None:
    if run.id in waits:
        return Cell(waits[run.id].message, "yellow")
    return make_reason_cell(run.state) if run.state.is_final() or run.state.is_paused() else None


def _format_start(at: float | None, now: float) -> str:
    if at is None:
        return "-"
    return format_ago(at, now) if is_terminal() else format_time(at)


def _make_tally_cell(counts: Mapping[str, int]) -> Cell:
    total, done = sum(counts.values()), counts.get(COMPLETED, 0)
    style = "red" if counts.get(FAILED) else ""
    told = f"{done:,}" if done == total else f"{done:,}/{total:,}"
    skipped = counts.get("SKIPPED", 0)
    return Cell(f"{told}, {skipped:,} skipped" if skipped else told, style)


def _describe(run: Run, now: float, counts: Mapping[str, int], waits: Waits) -> Json:
    return {**describe_run(run, now, waits=waits), "tasks": describe_tally(counts)}
