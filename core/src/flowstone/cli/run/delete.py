"""`flowstone run delete`: deletes runs that have ended, with everything that belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowstone.cli.candidates import complete_runs
from flowstone.cli.output import emit, json_option, say, warn
from flowstone.cli.run.choice import flow_option, parse_states, state_option
from flowstone.cli.times import Age
from flowstone.cli.wording import format_count, format_time, shorten_id
from flowstone.context.current import services
from flowstone.errors import RunNotEnded
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowstone.records.runs import Run

#: Maximum number of runs to list before deleting them.
_NAMED = 10
#: Number of runs to read at a time.
_PAGE = 1000
_WITH = "with the runs that they called, their logs, artifacts and results"


@click.command("delete")
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=complete_runs)
@state_option
@flow_option
@click.option(
    "--older-than",
    "age",
    type=Age(),
    metavar="AGE",
    help="Only runs that ended at least this long ago: 30d, 12h, 2w.",
)
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@json_option
def delete_runs(
    runs: tuple[str, ...],
    states: tuple[str, ...],
    unit: str | None,
    age: float | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete finished runs, by name or id, or all that match, after confirmation.

    Deletes a run with the runs that it called, its logs and artifacts, and its results in the home,
    unless another run uses them. A run that has not ended is never deleted.
    """
    is_choice = bool(states or unit or age is not None)
    if bool(runs) == is_choice:
        problem = "Either name runs, or select them by --state, --flow and --older-than."
        raise click.UsageError(problem)
    if runs:
        pages = iter([_load_roots(runs)])
    else:
        before = float("inf") if age is None else services().clock.time() - age
        pages = _list_pages(RunQuery(states=parse_states(states), unit=unit, ended_until=before))
    ids = _announce(pages)
    if not ids:
        services().runs.delete_trees(())  # finishes an earlier deletion that was interrupted
        emit({"runs": [], "results": 0}) if as_json else say("No finished run matches.")
        return
    if not yes:
        click.confirm(f"Delete {format_count(len(ids), 'run')}?", abort=True, err=True)
    # Reads results, which no other `run` command does.
    from flowstone.flow_runs.deletion import delete_flow_runs

    gone = delete_flow_runs(ids)
    if as_json:
        emit({"runs": list(gone.root_ids), "results": gone.results})
        return
    results = f" and {format_count(gone.results, 'result')}" if gone.results else ""
    say(f"Deleted {format_count(len(gone.root_ids), 'run')}{results}.")
    if len(gone.root_ids) < len(ids):
        left = format_count(len(ids) - len(gone.root_ids), "run")
        warn(f"{left} was not deleted: another process has resumed or deleted it.")


def _load_roots(refs: Sequence[str]) -> list[Run]:
    store = services().runs
    found: dict[str, Run] = {}
    for ref in refs:
        run = store.run(ref)
        if not run.is_root:
            root = store.run(run.root_id)
            problem = (
                f"{run.name} belongs to {root.name}, and is deleted with it: "
                f"`flowstone run delete {shorten_id(root)}`."
            )
            raise click.BadParameter(problem, param_hint="RUN")
        if not run.state.is_final():
            raise RunNotEnded(run.name, run.state.name, run.id)
        found[run.id] = run
    return list(found.values())


def _list_pages(query: RunQuery) -> Iterator[list[Run]]:
    """Yield the matching root runs in pages, oldest first."""
    after = None
    while True:
        page = services().runs.runs(
            RunQuery(
                roots=True,
                states=query.states,
                unit=query.unit,
                ended_until=query.ended_until,
                after=after,
                limit=_PAGE,
            )
        )
        if not page:
            return
        yield page
        after = page[-1].id


def _announce(pages: Iterator[list[Run]]) -> list[str]:
    """Print the runs to delete, and return their ids."""
    named: list[Run] = []
    ids: list[str] = []
    for page in pages:
        named += page[: _NAMED - len(named)]
        ids += [run.id for run in page]
    if ids:
        warn(f"{format_count(len(ids), 'run')} to delete, {_WITH}:")
    for run in named:
        ended = "" if run.ended is None else f", ended {format_time(run.ended)}"
        warn(f"  {shorten_id(run)}  {run.name} of {run.unit}, {run.state.name}{ended}")
    if len(ids) > len(named):
        warn(f"  … and {len(ids) - len(named):,} more")
    return ids
