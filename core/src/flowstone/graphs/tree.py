"""The call tree of runs, and which runs are folded."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from flowstone.records.runs import Run

#: A flow or task that one run called more often than this is folded.
FOLD = 12


class Children:
    """The calls among the runs of one tree."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._of: dict[str, list[Run]] = defaultdict(list)
        for run in runs:
            if run.parent_id is not None:
                self._of[run.parent_id].append(run)

    def of(self, run: Run) -> Sequence[Run]:
        return self._of.get(run.id, ())

    def below(self, run: Run) -> Iterator[Run]:
        """Yield a run and everything that it called, at any depth."""
        waiting = [run]
        while waiting:
            found = waiting.pop()
            yield found
            waiting += reversed(self.of(found))
