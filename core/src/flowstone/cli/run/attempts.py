"""Which attempt of a flow run called what: the runs of all attempts are in one tree."""

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
    """When each attempt of the flow runs with several began."""

    def __init__(self, store: RunStore, runs: Iterable[Run]) -> None:
        self._starts: dict[str, list[float]] = {}
        for run in runs:
            if run.kind == "flow" and run.attempt > 1:
                self._starts[run.id] = _find_starts(store, run)

    def of(self, run: Run) -> int:
        """Return the attempt of its caller that called a run: 1 for most."""
        return max(1, bisect_right(self._starts.get(run.parent_id or "", ()), run.created))

    def group_calls(
        self, run: Run, called: Sequence[Run]
    ) -> list[tuple[int | None, Sequence[Run]]]:
        """Return what a run called, by its attempts; with None where there is one."""
        if run.id not in self._starts:
            return [(None, called)]
        found: dict[int | None, list[Run]] = defaultdict(list)
        for child in called:
            found[self.of(child)].append(child)
        return list(found.items())

    def keep_last(self, runs: Iterable[Run]) -> list[Run]:
        """Return of a tree, callers first, what is not of an earlier attempt of some flow."""
        kept: dict[str, Run] = {}
        for run in runs:
            starts = self._starts.get(run.parent_id or "")
            is_late = starts is None or self.of(run) == len(starts)
            if run.is_root or (run.parent_id in kept and is_late):
                kept[run.id] = run
        return list(kept.values())


def _find_starts(store: RunStore, run: Run) -> list[float]:
    """Return when each attempt began; one that was paused has several starts, the first counts."""
    begun: dict[int, float] = {}
    for _, event in store.events(run_id=run.id, kinds=_STARTS):
        if isinstance(event.payload, (Run, StateChange)) and event.payload.attempt:
            begun.setdefault(event.payload.attempt, event.at)
    return sorted(begun.values())
