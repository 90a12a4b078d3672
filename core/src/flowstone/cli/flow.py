"""`flowstone flow`: lists flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowstone.cli.commands import Commands
from flowstone.cli.output import emit, json_option, show
from flowstone.cli.run.records import describe_run
from flowstone.cli.views import Cell, Row, Table
from flowstone.cli.wording import format_ago, make_state_cell
from flowstone.context.current import services
from flowstone.deployments.documents import find_deployments
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.records.runs import Run

#: Maximum number of runs to search for flows, newest first.
_NEWEST = 1000


@click.group(cls=Commands)
def flow() -> None:
    """List flows that are deployed or have run recently."""


@flow.command("ls")
@json_option
def list_flows(as_json: bool) -> None:
    """List flows, with their deployments and last runs.

    Lists flows that are deployed, and the flows of the newest 1000 runs.
    """
    now = services().clock.time()
    deployed, runs = _find_deployed(), _find_last_runs()
    names = sorted({*deployed, *runs})
    if as_json:
        emit(
            [
                {
                    "name": name,
                    "deployments": deployed.get(name, []),
                    "last_run": describe_run(runs[name], now) if name in runs else None,
                }
                for name in names
            ]
        )
        return
    rows = [_make_row(name, deployed.get(name, []), runs, now) for name in names]
    empty = "There are no flows yet: `flowstone run start FILE.py` runs one."
    show(Table(("flow", "deployments", "last run", "state", "created"), rows, empty=empty))


def _find_deployed() -> dict[str, list[str]]:
    """Return the full names of deployments, by flow."""
    found: dict[str, list[str]] = {}
    for each in find_deployments():
        found.setdefault(each.flow_name, []).append(each.full_name)
    return found


def _find_last_runs() -> dict[str, Run]:
    """Return the newest run of each flow, among the newest runs."""
    query = RunQuery(listed=True, newest_first=True, limit=_NEWEST)
    found: dict[str, Run] = {}
    for run in services().runs.runs(query):
        if run.kind == "flow":
            found.setdefault(run.unit, run)
    return found


def _make_row(name: str, deployed: list[str], runs: Mapping[str, Run], now: float) -> Row:
    run = runs.get(name)
    last = (
        (Cell("-"), Cell("-"), Cell("-"))
        if run is None
        else (Cell(run.name), make_state_cell(run.state), Cell(format_ago(run.created, now)))
    )
    return Row((Cell(name, "bold"), Cell(", ".join(deployed) or "-"), *last))
