"""Delete the persisted results of runs, unless other runs use them."""

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

#: Number of runs read at a time.
_PAGE = 1000
_MAKER = re.compile(rf"{TOLD_MAKER}(\S+)")


def find_results(folder: Path, store: RunStore) -> dict[str, list[Path]]:
    """Return the result files in a folder, by the root of the tree whose run wrote them.

    Files that are not results, or whose run is not in the store, are skipped.
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
    """Delete the results of deleted trees, except for those that a remaining run uses.

    Args:
        results: the result of `find_results` before the trees were deleted.
        root_ids: the ids of the deleted trees.
        store: the store of the remaining runs.

    Returns:
        The number of deleted results.
    """
    files = [path for root_id in root_ids for path in results.get(root_id, ())]
    used = _find_used_makers(store) if files else frozenset()
    count = 0
    for path in files:
        maker = _read_maker(path)  # again: another run may have written a newer one
        if maker is None or maker[-8:] in used or store.runs(RunQuery(ids=(maker,))):
            continue
        path.unlink(missing_ok=True)
        count += 1
    return count


def _walk(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _read_maker(path: Path) -> str | None:
    """Return the id of the run that wrote a result; None if the file is not a result."""
    try:
        with path.open("rb") as file:
            return read_header(file).run_id
    except (OSError, ValueError):
        return None


def _find_used_makers(store: RunStore) -> frozenset[str]:
    """Return the ends of the ids of runs whose results other runs have used."""
    cached = iterate_runs(store, RunQuery(states=("Cached",)))
    return frozenset(maker for run in cached for maker in _MAKER.findall(run.state.message or ""))
