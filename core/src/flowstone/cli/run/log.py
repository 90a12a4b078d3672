"""`flowstone run logs`: prints the log records of a run from the store."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import click

from flowstone.cli.candidates import complete_runs
from flowstone.cli.output import emit, is_terminal, json_option, warn
from flowstone.cli.run.choice import find_run
from flowstone.cli.views import Cell, make_printable
from flowstone.cli.wording import format_iso
from flowstone.context.current import services
from flowstone.graphs.tree import Children
from flowstone.ports.paging import iterate_runs
from flowstone.records.events import LOG_WRITTEN, LogLine
from flowstone.records.runs import RunQuery
from flowstone.settings import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowstone.records.events import Event
    from flowstone.records.runs import Run

#: Number of events to read at a time.
_PAGE = 1000
#: Seconds between polls for new lines.
_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A log line, with its time and its run."""

    at: float
    run_id: str
    run_name: str
    line: LogLine


@click.command("logs")
@click.argument("run", shell_complete=complete_runs)
@click.option(
    "--level",
    type=click.Choice(LEVELS, case_sensitive=False),
    metavar="LEVEL",
    default="DEBUG",
    help=f"Lowest level to show: {', '.join(LEVELS)}.",
)
@click.option("--follow", is_flag=True, help="Keep printing new lines until the run has ended.")
@json_option
def show_logs(run: str, level: str, follow: bool, as_json: bool) -> None:
    """Show the logs of a run and of everything it called."""
    if follow and as_json:
        raise click.UsageError("--follow and --json can't be used together.")
    found = find_run(run)
    lines = read_lines(found, level, follow=follow)
    if as_json:
        emit([_describe(line) for line in lines])
    elif not _print_lines(lines):
        least = "" if level == "DEBUG" else f" of {level} or above"
        warn(f"{found.name!r} has logged nothing{least}.")


def read_lines(run: Run, level: str, *, follow: bool = False) -> Iterator[LogEntry]:
    """Yield the log lines of a run and of the runs that it called, in the order of the store.

    Args:
        run: the run.
        level: the lowest level, such as ``INFO``.
        follow: whether to wait for new lines until the run has ended, or its process has died.
    """
    store, clock = services().runs, services().clock
    names = _Names(run)
    lowest = logging.getLevelNamesMapping()[level.upper()]
    cursor = 0
    while True:
        is_over = not follow or store.run(run.id).state.is_final()
        while page := store.events(cursor, root_id=run.root_id, kinds=[LOG_WRITTEN], limit=_PAGE):
            cursor = page[-1][0]
            for _, event in page:
                line = cast("LogLine", event.payload)
                name = names.of(event)
                if name is not None and line.level >= lowest:
                    yield LogEntry(event.at, event.run_id, name, line)
        if is_over:
            return
        clock.sleep(_PAUSE)
        store.reap()


class _Names:
    """The names of a run and of the runs that it called; reads the tree again if it has grown."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._names: dict[str, str | None] = {run.id: run.name}

    def of(self, event: Event) -> str | None:
        """Return the name of the run that logged an event; None if it is not in the tree."""
        if event.run_id not in self._names:
            tree = list(iterate_runs(services().runs, RunQuery(root_id=self._run.root_id)))
            self._names |= {run.id: None for run in tree}
            self._names |= {run.id: run.name for run in Children(tree).below(self._run)}
        return self._names.setdefault(event.run_id, None)


def _describe(logged: LogEntry) -> dict[str, object]:
    """Return a line as JSON values."""
    return {
        "at": format_iso(logged.at),
        "level": logging.getLevelName(logged.line.level),
        "run_id": logged.run_id,
        "run": logged.run_name,
        "logger": logged.line.logger,
        "message": logged.line.message,
        "fields": dict(logged.line.fields or {}),
    }


def _print_lines(lines: Iterable[LogEntry]) -> bool:
    """Print lines as they arrive, and return whether there were any."""
    write = _make_printer() if is_terminal() else _print_plain
    any_came = False
    for logged in lines:
        any_came = True
        write(_make_cells(logged))
    return any_came


def _make_cells(logged: LogEntry) -> list[Cell]:
    level, fields = logged.line.level, logged.line.fields or {}
    when = datetime.fromtimestamp(logged.at).astimezone().isoformat(" ", "milliseconds")[:23]
    style = "red" if level >= logging.ERROR else "yellow" if level >= logging.WARNING else "dim"
    return [
        Cell(when, "dim"),
        Cell(f" {logging.getLevelName(level):<7} ", style),
        Cell(f"{logged.run_name}  ", "bold"),
        Cell(logged.line.message),
        Cell("".join(f"  {name}={value}" for name, value in fields.items()), "dim"),
    ]


def _print_plain(cells: list[Cell]) -> None:
    click.echo(make_printable("".join(cell.text for cell in cells)))


def _make_printer() -> Any:
    # Takes 60 ms, which a pipe doesn't need.
    from rich.console import Console

    from flowstone.cli.terminal import print_line

    console = Console(highlight=False)
    return lambda cells: print_line(console, cells)
