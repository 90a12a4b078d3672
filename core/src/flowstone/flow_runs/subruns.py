"""Runs that another process executes for a run: displayed below it, and cancelled with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context import current
from flowstone.context.current import services
from flowstone.context.runtime import snapshot_run
from flowstone.errors import Conflict, RunNotFound
from flowstone.ports.paging import iterate_documents, iterate_runs
from flowstone.records.events import make_change_event
from flowstone.records.record import evolve
from flowstone.records.runs import RunQuery
from flowstone.records.states import CANCELLING, Cancelled, Cancelling

if TYPE_CHECKING:
    from flowstone.records.runs import Run

#: With the id of a root, the kind of the documents that name the runs requested in its tree, each
#: by its own id.
KIND = "subrun:"


def note_subrun(run_id: str) -> None:
    """Record that a run that is about to be created belongs to the current run, if any."""
    scope = current.scope.get()
    if scope is not None:
        caller = snapshot_run(scope).origin
        services().documents.put(f"{KIND}{caller.root_id}", run_id, {"caller": caller.id})


def find_caller(run_id: str) -> str | None:
    """Return the id of the run that requested a run; None if there is none."""
    found = services().documents.find(KIND, prefix=True, names=[run_id], limit=1)
    return str(found[0].body["caller"]) if found else None


def find_tree(root_id: str) -> list[Run]:
    """Return the runs of a tree, callers first, and those that its runs have requested.

    The latter are returned as if the requesting run had called them.
    """
    tree = list(iterate_runs(services().runs, RunQuery(root_id=root_id)))
    for run_id, caller in _list_subruns(root_id):
        below = find_tree(run_id)
        tree += [evolve(run, parent_id=caller) if run.id == run_id else run for run in below]
    return tree


def request_cancel(run: Run, reason: str) -> Run:
    """Request to cancel a root, and the runs its tree has requested; return the root's new state.

    Nothing changes for a run that has ended or was asked already.

    Args:
        run: the root.
        reason: the reason, for its state.
    """
    store = services().runs
    while not (run.state.is_final() or run.state.type is CANCELLING):
        # A suspended or scheduled run has no process that could end it.
        state = (Cancelled if run.lease is None else Cancelling)(reason)
        try:
            run = store.record(make_change_event(run, state, run.attempt))
        except Conflict:
            run = store.run(run.id)  # it has changed in the meantime
    for run_id, _ in _list_subruns(run.id):
        try:
            request_cancel(store.run(run_id), f"{run.name}, which requested it, was cancelled")
        except RunNotFound:
            continue
    return run


def _list_subruns(root_id: str) -> list[tuple[str, str]]:
    """Return the ids of the runs that were requested in a tree, and of the requesting runs."""
    found = iterate_documents(services().documents, f"{KIND}{root_id}")
    return [(document.name, str(document.body["caller"])) for document in found]
