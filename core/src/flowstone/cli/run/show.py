"""`flowstone run show`: shows a run, its parameters, its state, and the runs that it called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowstone.cli.candidates import complete_runs
from flowstone.cli.output import emit, is_terminal, json_option, show
from flowstone.cli.run.attempts import Attempts
from flowstone.cli.run.choice import find_run
from flowstone.cli.run.records import describe_run, find_waits
from flowstone.cli.run.tree import TreeView
from flowstone.cli.views import Cell, Facts
from flowstone.cli.wording import (
    format_ago,
    format_count,
    format_measure,
    format_process,
    format_time,
    make_reason_cell,
    make_state_cell,
    shorten_id,
)
from flowstone.context.current import services
from flowstone.context.external_work import find_open_handles, read_handles, sum_measures
from flowstone.flow_runs import requests
from flowstone.flow_runs.subruns import find_caller, find_tree
from flowstone.graphs.tree import Children
from flowstone.ports.paging import iterate_events
from flowstone.records.durations import duration, format_duration
from flowstone.records.runs import Run, StateChange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.cli.run.records import Json

#: Maximum characters of a parameter's value on a terminal.
_LONGEST = 300


@click.command("show")
@click.argument("run", shell_complete=complete_runs)
@click.option("--all", "whole", is_flag=True, help="Show every run of long maps.")
@json_option
def show_run(run: str, whole: bool, as_json: bool) -> None:
    """Show a run: its parameters, its state, and everything it called.

    RUN can also be the name of a flow, for its newest run.
    """
    store, now = services().runs, services().clock.time()
    found = find_run(run)
    tree = find_tree(found.root_id)
    children, attempts = Children(tree), Attempts(store, tree)
    root = next((each for each in tree if each.is_root), found)
    if as_json:
        emit(_describe(found, children, now, root, attempts))
        return
    tree_view = TreeView(children, root, now, whole, attempts)
    show(
        _make_facts(found, now, root, _list_ids(found, children), whole=whole),
        tree_view.build_branch(found),
    )


def _describe(run: Run, children: Children, now: float, root: Run, attempts: Attempts) -> Json:
    """Return a run with its parameters as JSON values, and the runs that it called as `children`.

    Args:
        run: the run.
        children: the runs that each run of the tree called.
        now: the current time, in seconds since the epoch.
        root: the root of the tree.
        attempts: the attempts of the flow runs in the tree.
    """
    records: dict[str, Json] = {}
    waits = find_waits([run], now)
    for each in children.below(run):
        record = {
            **describe_run(each, now, root, waits=waits),
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
        found["cache"] = _find_cache_lookup(run)
    if run.state.is_paused() and (question := requests.find_open_question(run.id)):
        found["asks"] = {"description": question.description, "schema": question.schema}
    measured = sum_measures(root.id, _list_ids(run, children))
    found["measures"] = {
        name: {"value": value, "unit": unit} for name, (value, unit) in measured.items()
    }
    found["external"] = [
        {
            "kind": work.handle.kind,
            "block": work.handle.block,
            "id": work.handle.id,
            "run_id": work.run_id,
            "ended": ended,
        }
        for work, ended in read_handles(root.id)
        if work.run_id in records
    ]
    return found


def _list_ids(run: Run, children: Children) -> set[str] | None:
    """Return the ids of a run and of the runs that it called; None for the whole tree."""
    return None if run.is_root else {each.id for each in children.below(run)}


def _list_measures(run: Run, run_ids: set[str] | None) -> Iterator[tuple[str, Cell]]:
    """Yield the sums of the measures of a run and of the runs that it called."""
    measured = sum_measures(run.root_id, run_ids)
    for number, (name, (value, unit)) in enumerate(sorted(measured.items())):
        yield "measures" if not number else "", Cell(f"{name} = {format_measure(value, unit)}")


def _list_open_handles(run: Run, root: Run) -> Iterator[tuple[str, Cell]]:
    """Yield external work that may still be running, without requests to services."""
    for number, work in enumerate(find_open_handles(run)):
        told = f"{work.handle} is running"
        if root.state.is_final():
            told = f"{work.handle} may still be running: `flowstone run cleanup {shorten_id(run)}`"
        yield "external" if not number else "", Cell(told, "yellow")


def _make_facts(run: Run, now: float, root: Run, run_ids: set[str] | None, *, whole: bool) -> Facts:
    facts = [
        ("run", Cell(run.name, "bold")),
        (run.kind, Cell(run.unit + (f", version {run.unit_version}" if run.unit_version else ""))),
        ("id", Cell(run.id)),
        ("state", make_state_cell(run.state)),
    ]
    wait = find_waits([run], now).get(run.id)
    reason = make_reason_cell(run.state)
    # The wait reason already names the full limit, or the limit has free slots by now.
    if reason and not (wait and run.state.name == "AwaitingConcurrencySlot"):
        facts.append(("reason", reason))
    if wait:
        facts.append(("waits", Cell(wait.message, "yellow")))
    if run.lease is not None and not run.state.is_final():
        facts.append(("process", Cell(format_process(run.lease.holder))))
    if run.deployment is not None:
        facts.append(("deployment", Cell(run.deployment)))
        caller = find_caller(run.id)
        if caller is not None:
            facts.append(("requested by", Cell(f"run {caller}")))
    if run.recipe is not None and run.recipe.code is not None:
        facts.append(("code", Cell(str(run.recipe.code))))
    if run.scheduled_time is not None:
        facts.append(("due", Cell(format_time(run.scheduled_time))))
    if run.state.is_paused() and (question := requests.find_open_question(run.id)):
        facts += _list_questions(question)
    if looked := _find_cache_lookup(run):
        facts.append(("cache", Cell(looked)))
    if run.started is not None:
        facts.append(
            ("started", Cell(f"{format_time(run.started)} ({format_ago(run.started, now)})"))
        )
        took = duration(run, now, root)
        attempts = f", {format_count(run.attempt, 'attempt')}" if run.attempt > 1 else ""
        told = "unknown: its end was not recorded" if took is None else format_duration(took)
        facts.append(("took", Cell(told + attempts)))
    facts += _list_measures(run, run_ids)
    facts += _list_open_handles(run, root)
    if not run.is_root:
        facts.append(("part of", Cell(f"{root.name} ({root.id})")))
    if run.tags:
        facts.append(("tags", Cell(", ".join(run.tags))))
    facts += [
        ("parameters" if not number else "", Cell(f"{name} = {_format_value(value, whole=whole)}"))
        for number, (name, value) in enumerate((run.parameters or {}).items())
    ]
    return Facts(facts)


def _find_cache_lookup(run: Run) -> str | None:
    """Return the outcome of a task run's cache lookup; None if there was none."""
    if run.kind != "task":
        return None
    told = None
    for event in iterate_events(services().runs, run_id=run.id):
        if isinstance(event.payload, Run | StateChange):
            state = event.payload.state
            if state.message and state.name in {"Running", "Retrying", "Cached"}:
                told = state.message
    return told


def _list_questions(question: requests.Question) -> Iterator[tuple[str, Cell]]:
    """Yield the description and the fields of the input that a run waits for."""
    if question.description:
        yield "asks", Cell(question.description)
    for number, field in enumerate(question.fields):
        told = f": {field.description}" if field.description else ""
        optional = "" if field.is_required else ", optional"
        cell = Cell(f"{field.name} ({field.kind}{optional}){told}")
        yield "input" if not number else "", cell


def _format_value(value: object, *, whole: bool) -> str:
    text = repr(value)
    if whole or len(text) <= _LONGEST or not is_terminal():
        return text
    return f"{text[:_LONGEST]}… (--all shows the rest)"
