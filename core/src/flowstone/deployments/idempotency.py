"""Idempotency keys: several requests with the same key create one run, and all return it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.errors import ObjectAlreadyExists
from flowstone.records.ids import derive_id, new_id
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from flowstone.records.runs import Run

#: The kind of the documents that map a key to a run.
KIND = "idempotency-key"


def choose_run_id(scope: str, key: str) -> str:
    """Return the id of the run for a key; a new one if there is none yet.

    Args:
        scope: the scope within which the key is unique: a task or a deployment.
        key: the caller's key.
    """
    documents, name = services().documents, derive_id(0, scope, key)
    body = {"run": new_id(), "scope": scope}
    try:
        return str(documents.put(KIND, name, body, expected=0).body["run"])
    except ObjectAlreadyExists:
        return str(documents.get(KIND, name).body["run"])


def find_run(run_id: str) -> Run | None:
    """Return the run of a key; None if it has not been created yet."""
    found = services().runs.runs(RunQuery(ids=(run_id,)))
    return found[0] if found else None
