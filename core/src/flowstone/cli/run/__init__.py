"""`flowstone run`: list runs, show one, read its log; start, cancel, retry and resume them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowstone.cli.commands import Commands
from flowstone.cli.output import emit, is_terminal, json_option, limit_option, show, warn
from flowstone.cli.run import log
from flowstone.cli.run.attempts import Attempts
from flowstone.cli.run.control import cancel_run, start_run
from flowstone.cli.run.graph import show_graph
from flowstone.cli.run.records import run_record, tally_record
from flowstone.cli.run.retry import resume_run, retry_run
from flowstone.cli.run.tree import TreeView
from flowstone.cli.views import Cell, Facts, Row, Table
from flowstone.cli.wording import (
    ago,
    counted,
    exact,
    reason_cell,
    short_id,
    state_cell,
)
from flowstone.context.current import services
from flowstone.errors import nearest
from flowstone.flow_runs import requests
from flowstone.graphs.tree import Children
from flowstone.records.durations import duration, lasted
from flowstone.records.runs import Change, Run, RunQuery
from flowstone.records.states import COMPLETED, FAILED, StateType
from flowstone.settings import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowstone.cli.run.records import Json

#: Of a parameter's value, so many characters are shown on a terminal.
_LONGEST = 300

_TYPES = tuple(state.value for state in StateType)
#: State names that are no types.
_FINER = (
    "AwaitingConcurrencySlot",
    "AwaitingRetry",
    "Resuming",
    "Retrying",
    "Suspended",
    "TimedOut",
)
_STATES: dict[str, str] = {name.lower(): name for name in (*_TYPES, *_FINER)}


@click.group(cls=Commands)
def run() -> None:
    """List runs, show one, read its log, draw its graph; start, cancel, retry and resume them.

    A RUN is named by its id, by eight or more characters of the beginning or end of its id, or by
    its name; of several runs of one name it is the newest.
    """


run.add_command(cancel_run)
run.add_command(resume_run)
run.add_command(retry_run)
run.add_command(show_graph)
run.add_command(start_run)


@run.command("ls")
@click.option("--state", "states", multiple=True, metavar="STATE", help="Only in this state.")
@click.option("--flow", "unit", metavar="NAME", help="Only of this flow.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only with this tag.")
@limit_option
@json_option
def list_runs(
    states: tuple[str, ...], unit: str | None, tags: tuple[str, ...], limit: int, as_json: bool
) -> None:
    """List the runs, the newest first.

    These are the runs of flows, and of tasks that were called outside any flow. TASKS counts the
    task runs that each called: those completed of all.
    """
    query = RunQuery(
        listed=True,
        states=tuple(_state(name) for name in states),
        unit=unit,
        tags=tags,
        newest_first=True,
        limit=limit + 1,
    )
    store, now = services().runs, services().clock.time()
    found = store.runs(query)
    more, found = len(found) > limit, found[:limit]
    tally = store.tally(sorted({each.root_id for each in found}))
    if as_json:
        emit([_listed(each, now, tally.get(each.id, {})) for each in found])
        return
    is_choice = bool(states or unit or tags)
    show(_table(found, now, tally, is_choice=is_choice))
    if more:
        warn(f"\nThere are older ones: --limit {max(100, 5 * limit)}")


@run.command("show", short_help="Show a run, and all that it called.")
@click.argument("run")
@click.option("--all", "whole", is_flag=True, help="Show long maps in full.")
@json_option
def show_run(run: str, whole: bool, as_json: bool) -> None:
    """Show a run: what it was given, how it ended, and all that it called."""
    store, now = services().runs, services().clock.time()
    found = store.run(run)
    tree = store.runs(RunQuery(root_id=found.root_id))
    children, attempts = Children(tree), Attempts(store, tree)
    root = next((each for each in tree if each.is_root), found)
    if as_json:
        emit(_whole(found, children, now, root, attempts))
        return
    tree_view = TreeView(children, root, now, whole, attempts)
    show(_facts(found, now, root, whole=whole), tree_view.branch(found))


@run.command("logs")
@click.argument("run")
@click.option(
    "--level",
    type=click.Choice(LEVELS, case_sensitive=False),
    metavar="LEVEL",
    default="DEBUG",
    help=f"Only lines of this level and above: {', '.join(LEVELS)}.",
)
@click.option("--follow", is_flag=True, help="Go on until the run has ended.")
@json_option
def show_logs(run: str, level: str, follow: bool, as_json: bool) -> None:
    """Show what a run, and all that it called, has logged."""
    if follow and as_json:
        raise click.UsageError("--follow has no end to close a JSON document at: leave one out.")
    found = services().runs.run(run)
    lines = log.lines(found, level, follow=follow)
    if as_json:
        emit([log.line_record(line) for line in lines])
    elif not log.print_lines(lines):
        least = "" if level == "DEBUG" else f" of {level} or above"
        warn(f"{found.name!r} has logged nothing{least}.")


def _state(name: str) -> str:
    known = _STATES.get(name.lower())
    if known is None:
        names = [*map(str.capitalize, _TYPES), *_FINER]
        problem = f"{name!r} is no state.{nearest(name.capitalize(), names)}"
        raise click.BadParameter(problem, param_hint="--state")
    return known


def _table(
    runs: list[Run], now: float, tally: Mapping[str, Mapping[StateType, int]], *, is_choice: bool
) -> Table:
    empty = "No run fits." if is_choice else "There is no run yet."
    rows = [
        Row(
            (
                Cell(short_id(run), "dim"),
                Cell(run.name, "bold"),
                Cell(run.unit),
                state_cell(run.state),
                Cell(_when(run.started, now)),
                Cell(lasted(duration(run, now))),
                _tally(tally.get(run.id, {})),
            ),
            reason_cell(run.state) if run.state.is_final() or run.state.is_paused() else None,
        )
        for run in runs
    ]
    columns = ("id", "name", "flow", "state", "started", "took", "tasks")
    return Table(columns, rows, "reason", empty, frozenset({"took", "tasks"}))


def _when(at: float | None, now: float) -> str:
    if at is None:
        return "-"
    return ago(at, now) if is_terminal() else exact(at)


def _tally(counts: Mapping[StateType, int]) -> Cell:
    total, done = sum(counts.values()), counts.get(COMPLETED, 0)
    style = "red" if counts.get(FAILED) else ""
    return Cell(f"{done:,}" if done == total else f"{done:,}/{total:,}", style)


def _listed(run: Run, now: float, counts: Mapping[StateType, int]) -> Json:
    return {**run_record(run, now), "tasks": tally_record(counts)}


def _whole(run: Run, children: Children, now: float, root: Run, attempts: Attempts) -> Json:
    """Return a run with its parameters, and all that it called as `children`."""
    records: dict[str, Json] = {}
    for each in children.below(run):
        record = {
            **run_record(each, now, root),
            "parameters": each.parameters,
            "inputs": list(each.inputs),
            "attempt_of_parent": None if each.is_root else attempts.of(each),
            "children": [],
        }
        records[each.id] = record
        if each.id != run.id and each.parent_id is not None:
            records[each.parent_id]["children"].append(record)
    found = records[run.id]
    if run.kind == "task":
        found["cache"] = _looked(run)
    if run.state.is_paused() and (question := requests.waiting(run.id)):
        found["asks"] = {"description": question.description, "schema": question.schema}
    return found


def _facts(run: Run, now: float, root: Run, *, whole: bool) -> Facts:
    facts = [
        ("run", Cell(run.name, "bold")),
        (run.kind, Cell(run.unit + (f", version {run.unit_version}" if run.unit_version else ""))),
        ("id", Cell(run.id)),
        ("state", state_cell(run.state)),
    ]
    if reason := reason_cell(run.state):
        facts.append(("reason", reason))
    if run.state.is_paused() and (question := requests.waiting(run.id)):
        facts += _asked(question)
    if looked := _looked(run):
        facts.append(("cache", Cell(looked)))
    if run.started is not None:
        facts.append(("started", Cell(f"{exact(run.started)} ({ago(run.started, now)})")))
        took = duration(run, now, root)
        attempts = f", {counted(run.attempt, 'attempt')}" if run.attempt > 1 else ""
        told = "unknown: nobody saw it end" if took is None else lasted(took)
        facts.append(("took", Cell(told + attempts)))
    if not run.is_root:
        facts.append(("part of", Cell(f"{root.name} ({root.id})")))
    if run.tags:
        facts.append(("tags", Cell(", ".join(run.tags))))
    facts += [
        ("parameters" if not number else "", Cell(f"{name} = {_value(value, whole=whole)}"))
        for number, (name, value) in enumerate((run.parameters or {}).items())
    ]
    return Facts(facts)


def _looked(run: Run) -> str | None:
    """Return what a task run told of its look for a kept result; None where it did not look."""
    if run.kind != "task":
        return None
    told = None
    for _, event in services().runs.events(run_id=run.id):
        if isinstance(event.payload, Run | Change):
            state = event.payload.state
            if state.message and state.name in {"Running", "Retrying", "Cached"}:
                told = state.message
    return told


def _asked(question: requests.Question) -> Iterator[tuple[str, Cell]]:
    """Yield what a run waits for."""
    if question.description:
        yield "asks", Cell(question.description)
    for number, field in enumerate(question.fields):
        told = f": {field.description}" if field.description else ""
        optional = "" if field.is_required else ", if you like"
        cell = Cell(f"{field.name} ({field.kind}{optional}){told}")
        yield "input" if not number else "", cell


def _value(value: object, *, whole: bool) -> str:
    text = repr(value)
    if whole or len(text) <= _LONGEST or not is_terminal():
        return text
    return f"{text[:_LONGEST]}… (--all shows the rest)"
