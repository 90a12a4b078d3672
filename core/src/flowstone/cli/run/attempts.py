"""The attempts of a flow run that called each run: the runs of all attempts are in one tree."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

from flowstone.records.events import KINDS
from flowstone.records.runs import Run, StateChange
from flowstone.records.states import RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowstone.ports import RunStore

_STARTS = (KINDS["flow"][RUNNING],)


class Attempts:
    """The start times of the attempts of flow runs that have several."""

    def __init__(self, store: RunStore, runs: Iterable[Run]) -> None:
        self._starts: dict[str, list[float]] = {}
        for run in runs:
            if run.kind == "flow" and run.attempt > 1:
                self._starts[run.id] = _find_starts(store, run)

    def of(self, run: Run) -> int:
        """Return the number of the caller's attempt that called a run; usually 1."""
        return max(1, bisect_right(self._starts.get(run.parent_id or "", ()), run.created))

    def group_calls(
        self, run: Run, called: Sequence[Run]
    ) -> list[tuple[int | None, Sequence[Run]]]:
        """Group the runs that a run called by its attempts; under None if there is only one."""
        if run.id not in self._starts:
            return [(None, called)]
        found: dict[int | None, list[Run]] = defaultdict(list)
        for child in called:
            found[self.of(child)].append(child)
        return list(found.items())

    def keep_last(self, runs: Iterable[Run]) -> list[Run]:
        """Return a tree of runs, callers first, without those of earlier attempts."""
        kept: dict[str, Run] = {}
        for run in runs:
            starts = self._starts.get(run.parent_id or "")
            is_late = starts is None or self.of(run) == len(starts)
            if run.is_root or (run.parent_id in kept and is_late):
                kept[run.id] = run
        return list(kept.values())


def _find_starts(store: RunStore, run: Run) -> list[float]:
    """Return the start of each attempt; for an attempt that was paused, the first of its starts."""
    begun: dict[int, float] = {}
    for _, event in store.events(run_id=run.id, kinds=_STARTS):
        if isinstance(event.payload, (Run, StateChange)) and event.payload.attempt:
            begun.setdefault(event.payload.attempt, event.at)
    return sorted(begun.values())
