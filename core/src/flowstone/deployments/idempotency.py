"""Idempotency keys: of many that ask for a run by one key, one makes it, and all get it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.errors import ObjectAlreadyExists
from flowstone.records.ids import derive_id, new_id
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from flowstone.records.runs import Run

#: The kind of the documents that say which run a key stands for.
KIND = "idempotency-key"


def choose_run_id(scope: str, key: str) -> str:
    """Return the id of the run that a key stands for; a new one, where it stands for none yet.

    Args:
        scope: within which the key is unique: a task or a deployment.
        key: the caller's own.
    """
    documents, name = services().documents, derive_id(0, scope, key)
    body = {"run": new_id(), "scope": scope}
    try:
        return str(documents.put(KIND, name, body, expected=0).body["run"])
    except ObjectAlreadyExists:
        return str(documents.get(KIND, name).body["run"])


def find_run(run_id: str) -> Run | None:
    """Return the run of a key; None where it is not made yet."""
    found = services().runs.runs(RunQuery(ids=(run_id,)))
    return found[0] if found else None
