"""`flowstone artifact`: lists and shows the artifacts of runs."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import click

from flowstone.artifacts import read
from flowstone.cli.commands import Commands
from flowstone.cli.output import emit, is_terminal, json_option, limit_option, show, warn
from flowstone.cli.views import Cell, Facts, Prose, Row, Table
from flowstone.cli.wording import SHORT, format_ago, format_iso, format_time
from flowstone.context.current import services

if TYPE_CHECKING:
    from flowstone.artifacts.read import SavedArtifact
    from flowstone.cli.views import View

KINDS = ("image", "link", "markdown", "progress", "table")
#: Maximum rows of a table, and characters of an artifact's summary, that a terminal shows.
_MOST_ROWS, _LONGEST = 100, 60


@click.group(cls=Commands)
def artifact() -> None:
    """List and show the tables, texts, links, images and progress that runs have saved.

    An ARTIFACT is a key, for its newest version, or an id; the first or last eight characters of an
    id are enough.
    """


@artifact.command("ls")
@click.option(
    "--run",
    "run",
    metavar="RUN",
    help="Only artifacts of this run and of the flow run that it belongs to.",
)
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    metavar="KIND",
    help=f"Only artifacts of this kind: {', '.join(KINDS)}.",
)
@limit_option
@json_option
def list_artifacts(run: str | None, kind: str | None, limit: int, as_json: bool) -> None:
    """List artifacts: the newest version of each key, most recent first."""
    root_id = None if run is None else services().runs.run(run).root_id
    found = [
        each
        for each in reversed(read.find_newest(root_id=root_id, abstracts=True))
        if kind in {None, each.artifact.kind}
    ]
    more, found = len(found) > limit, found[:limit]
    if as_json:
        emit([_describe(each) for each in found])
        return
    now = services().clock.time()
    rows = [Row(_make_cells(each, now)) for each in found]
    empty = "No artifact matches." if run or kind else "There are no artifacts yet."
    columns = ("id", "key", "kind", "content", "saved", "versions")
    show(Table(columns, rows, empty=empty, right=frozenset({"versions"})))
    if more:
        warn(f"\nThere are older ones: --limit {max(100, 5 * limit)}")


@artifact.command("show")
@click.argument("artifact")
@click.option("--versions", is_flag=True, help="List all versions of the key instead.")
@click.option("--all", "whole", is_flag=True, help="Show long tables in full.")
@json_option
def show_artifact(artifact: str, versions: bool, whole: bool, as_json: bool) -> None:
    """Show an artifact: its kind, its run, and its content."""
    found = read.find(artifact)
    if versions:
        _show_versions(found, as_json=as_json)
    elif as_json:
        emit({**_describe(found), "data": found.artifact.data})
    else:
        show(*_make_views(found, whole=whole))


def _show_versions(found: SavedArtifact, *, as_json: bool) -> None:
    all_versions = [found] if found.key is None else read.find_versions(found.key)
    if as_json:
        emit([{**_describe(each), "data": each.artifact.data} for each in all_versions])
        return
    rows = [
        Row(
            (
                Cell(str(each.versions)),
                Cell(each.id, "dim"),
                Cell(_shorten(read.summarize(each.artifact))),
                Cell(format_time(each.updated)),
                Cell(each.run_id[-SHORT:], "dim"),
            )
        )
        for each in all_versions
    ]
    show(Table(("version", "id", "content", "saved", "run"), rows, right=frozenset({"version"})))


def _make_cells(found: SavedArtifact, now: float) -> tuple[Cell, ...]:
    artifact = found.artifact
    return (
        Cell(found.id[-SHORT:], "dim"),
        Cell(found.key or "-", "bold"),
        Cell(artifact.kind),
        Cell(_shorten(artifact.data)),
        Cell(format_ago(found.updated, now) if is_terminal() else format_time(found.updated)),
        Cell(f"{found.versions:,}"),
    )


def _make_views(found: SavedArtifact, *, whole: bool) -> list[View]:
    artifact, data = found.artifact, found.artifact.data
    facts = [("artifact", Cell(found.key or found.id, "bold")), ("kind", Cell(artifact.kind))]
    if found.key is not None:
        facts += [("id", Cell(found.id)), ("versions", Cell(f"{found.versions:,}"))]
    facts.append(("saved", Cell(format_time(found.created))))
    if found.run_id:
        run = services().runs.run(found.run_id)
        facts.append(("by", Cell(f"{run.name} ({run.id})")))
    if found.updated != found.created:
        facts.append(("updated", Cell(format_time(found.updated))))
    if artifact.description:
        facts.append(("description", Cell(artifact.description)))
    if artifact.kind == "link":
        facts += [("link", Cell(data["link"])), ("text", Cell(data["text"]))]
    elif artifact.kind == "image":
        facts.append(("image", Cell(data)))
    elif artifact.kind == "progress":
        facts.append(("progress", Cell(f"{data:g}%")))
    views: list[View] = [Facts(facts)]
    if artifact.kind == "markdown":
        views.append(Prose(data))
    elif artifact.kind == "table":
        views += _make_table(data, whole=whole)
    return views


def _make_table(data: object, *, whole: bool) -> list[View]:
    columns, rows = _read_grid(data)
    most = len(rows) if whole or not is_terminal() else _MOST_ROWS
    numeric = {
        name
        for place, name in enumerate(columns)
        if all(isinstance(row[place], (int, float, type(None))) for row in rows)
    }
    shown = [Row(tuple(Cell(_format_value(value)) for value in row)) for row in rows[:most]]
    views: list[View] = [
        Table(tuple(columns), shown, "", "It has no rows.", frozenset(numeric), verbatim=True)
    ]
    if len(rows) > most:
        told = f"… and {len(rows) - most:,} more rows (--all shows them)"
        views.append(Facts([("", Cell(told, "dim"))]))
    return views


def _read_grid(data: Any) -> tuple[list[str], list[list[Any]]]:
    """Return the columns and rows of a table that was saved in any of the supported forms."""
    if isinstance(data, dict):
        columns = [
            each if isinstance(each, list) else list(each.values()) for each in data.values()
        ]
        return list(data), [list(row) for row in zip_longest(*columns)]
    if all(isinstance(row, dict) for row in data):
        names = list(dict.fromkeys(name for row in data for name in row))
        return names, [[row.get(name) for name in names] for row in data]
    plain = [row if isinstance(row, list) else list(row.values()) for row in data]
    width = max(map(len, plain), default=0)
    filled = [[*row, *([None] * (width - len(row)))] for row in plain]
    return [str(number) for number in range(1, width + 1)], filled


def _format_value(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST or not is_terminal() else f"{text[:_LONGEST]}…"


def _describe(found: SavedArtifact) -> dict[str, object]:
    return {
        "id": found.id,
        "key": found.key,
        "kind": found.artifact.kind,
        "description": found.artifact.description,
        "run_id": found.run_id or None,
        "root_id": found.root_id or None,
        "created": format_iso(found.created),
        "updated": format_iso(found.updated),
        "versions": found.versions,
    }
