"""Delete runs that have ended, with everything stored for them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from flowstone.context.current import services
from flowstone.errors import ObjectNotFound
from flowstone.ports.paging import iterate_documents, iterate_runs
from flowstone.records.runs import RunQuery
from flowstone.results.deletion import delete_results, find_results

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from flowstone.context.current import Services
    from flowstone.records.documents import Document

#: Number of trees deleted by one call of the store: a deletion can be stopped between two calls.
_PAGE = 1000
#: Kinds of documents that belong to a run: the id of the run follows the colon.
_KINDS = ("pause:", "input:", "answer:", "subrun:")
#: The kinds of documents that belong to the run whose id is their name.
_NAMED_KINDS = ("background-call:", "run-options:", "subrun:")
#: These are written just before their run: if younger than this many seconds, the run may follow.
_YOUNG = 60.0
#: The kind of documents that contain the id of a run.
_KEYS = "idempotency-key"


class Deletion(NamedTuple):
    """The result of a deletion.

    Attributes:
        root_ids: the roots of the deleted trees; the others had not ended.
        results: the number of persisted results that were deleted.
    """

    root_ids: Sequence[str]
    results: int


def delete_flow_runs(
    root_ids: Sequence[str],
    current: Services | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Deletion:
    """Delete the trees of these roots: runs, logs, artifacts, questions, inputs, results.

    A tree whose root has not ended stays. Results are deleted if they are in the home, and no
    remaining run uses them.

    Args:
        root_ids: the roots.
        current: the services to use; None for the current ones.
        is_stopped: called from time to time; if it returns True, the rest is left for later.
    """
    current = current or services()
    store = current.runs
    results = find_results(current.settings.home / "storage", store) if root_ids else {}
    gone: list[str] = []
    count = 0
    try:
        for start in range(0, len(root_ids), _PAGE):
            if is_stopped():
                break
            gone += store.delete_trees(root_ids[start : start + _PAGE])
    finally:
        if gone:
            count = delete_results(results, gone, store)
            _delete_documents(current)
    return Deletion(gone, count)


def _delete_documents(current: Services) -> None:
    """Delete the documents of deleted runs."""
    for prefix in _KINDS:
        found = list(iterate_documents(current.documents, prefix, prefix=True))
        _delete_strays(current, [(each, each.kind.removeprefix(prefix)) for each in found])
    before = current.clock.time() - _YOUNG
    for prefix in (*_NAMED_KINDS, _KEYS):
        found = list(iterate_documents(current.documents, prefix, prefix=True))
        _delete_strays(
            current,
            [
                (each, str(each.body["run"]) if prefix == _KEYS else each.name)
                for each in found
                if each.updated < before
            ],
        )


def _delete_strays(current: Services, found: Sequence[tuple[Document, str]]) -> None:
    """Delete those of these documents whose run was deleted."""
    left = _find_existing(current, {run_id for _, run_id in found})
    for document, run_id in found:
        if run_id not in left:
            with suppress(ObjectNotFound):
                current.documents.delete(document.kind, document.name)


def _find_existing(current: Services, ids: Collection[str]) -> set[str]:
    return {run.id for run in iterate_runs(current.runs, RunQuery(ids=tuple(ids)))}
