"""Retention: delete runs that ended longer ago than a number of days."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flowstone.errors import FlowstoneError, ObjectAlreadyExists, ObjectNotFound, StaleDocument
from flowstone.ports.paging import iterate_runs
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.context.current import Services
    from flowstone.ports import DocumentStore, RunStore

#: The document with the time of the last deletion, in seconds since the epoch.
KIND, NAME = "retention", "runs"
#: Seconds between two deletions, by any process.
INTERVAL = 3600.0
_DAY = 86400

logger = logging.getLogger("flowstone.retention")


def apply_retention(current: Services, is_stopped: Callable[[], bool]) -> int:
    """Delete runs older than `keep_runs_days`, unless that was done within the last hour.

    Args:
        current: the services with the store and the setting.
        is_stopped: called from time to time; if it returns True, the rest is left for later.

    Returns:
        The number of deleted trees.
    """
    days = current.settings.keep_runs_days
    now = current.clock.time()
    try:
        if days is None or not _claim(current.documents, now):
            return 0
        ids = _list_ids(current.runs, now - days * _DAY)
        if not ids:
            current.runs.delete_trees(())  # what an earlier deletion may have left
            return 0
        # Imports 100 ms of code for results, so only if there is something to delete.
        from flowstone.flow_runs.deletion import delete_flow_runs

        gone = delete_flow_runs(ids, current, is_stopped).root_ids
        if len(gone) < len(ids) and is_stopped():
            current.documents.put(KIND, NAME, {"at": 0.0})  # the next process continues
    except FlowstoneError as error:
        logger.warning("old runs could not be deleted: %s", error)
        return 0
    logger.debug("deleted %d runs that ended more than %g days ago", len(gone), days)
    return len(gone)


def _claim(documents: DocumentStore, now: float) -> bool:
    """Return whether it is this process's turn."""
    version, last = 0, 0.0
    try:
        found = documents.get(KIND, NAME)
    except ObjectNotFound:
        pass
    else:
        version, last = found.version, found.body["at"]
    if abs(now - last) < INTERVAL:  # a clock that was ahead must not block it for long
        return False
    try:
        documents.put(KIND, NAME, {"at": now}, expected=version)
    except (ObjectAlreadyExists, StaleDocument):
        return False
    return True


def _list_ids(store: RunStore, before: float) -> list[str]:
    return [run.id for run in iterate_runs(store, RunQuery(roots=True, ended_until=before))]
