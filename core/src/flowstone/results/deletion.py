"""Deleting the results that runs have kept, where no other run uses them."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from flowstone.ports.paging import iterate_runs
from flowstone.records.runs import RunQuery
from flowstone.results.result_header import read_header
from flowstone.results.result_store import TOLD_MAKER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from flowstone.ports import RunStore

#: So many runs are read at a time.
_PAGE = 1000
_MAKER = re.compile(rf"{TOLD_MAKER}(\S+)")


def find_results(folder: Path, store: RunStore) -> dict[str, list[Path]]:
    """Return the files of results in a folder, by the root of the tree whose run kept them.

    Files that are no results, or whose run the store does not have, are left out.
    """
    by_maker: dict[str, list[Path]] = defaultdict(list)
    for path in _walk(folder):
        if (maker := _read_maker(path)) is not None:
            by_maker[maker].append(path)
    makers = list(by_maker)
    found: dict[str, list[Path]] = defaultdict(list)
    for start in range(0, len(makers), _PAGE):
        for run in store.runs(RunQuery(ids=tuple(makers[start : start + _PAGE]))):
            found[run.root_id] += by_maker[run.id]
    return found


def delete_results(
    results: Mapping[str, list[Path]], root_ids: Collection[str], store: RunStore
) -> int:
    """Delete the results of trees that are deleted, but for those that a run which is left uses.

    Args:
        results: what `find_results` has found before the trees were deleted.
        root_ids: of the deleted trees.
        store: where the runs are that are left.

    Returns:
        How many were deleted.
    """
    files = [path for root_id in root_ids for path in results.get(root_id, ())]
    used = _find_used_makers(store) if files else frozenset()
    count = 0
    for path in files:
        maker = _read_maker(path)  # again: another run may have kept a newer one meanwhile
        if maker is None or maker[-8:] in used or store.runs(RunQuery(ids=(maker,))):
            continue
        path.unlink(missing_ok=True)
        count += 1
    return count


def _walk(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _read_maker(path: Path) -> str | None:
    """Return the id of the run that kept a result; None where the file is none."""
    try:
        with path.open("rb") as file:
            return read_header(file).run_id
    except (OSError, ValueError):
        return None


def _find_used_makers(store: RunStore) -> frozenset[str]:
    """Return the ends of the ids of runs whose results other runs have used."""
    cached = iterate_runs(store, RunQuery(states=("Cached",)))
    return frozenset(maker for run in cached for maker in _MAKER.findall(run.state.message or ""))
