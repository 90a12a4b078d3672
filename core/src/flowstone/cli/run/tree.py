"""The tree of a run and the runs that it called, with long maps folded."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstone.cli.views import Branch, Cell
from flowstone.cli.wording import STYLES, make_reason_cell, make_state_cell
from flowstone.graphs.tree import FOLD
from flowstone.records.durations import duration, format_duration
from flowstone.records.states import COMPLETED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowstone.cli.run.attempts import Attempts
    from flowstone.graphs.tree import Children
    from flowstone.records.runs import Run

#: Maximum number of completed runs to show of a folded map, and of runs in each other state.
SHOWN, SHOWN_BAD = 3, 20


def make_cells(run: Run, now: float, root: Run | None = None) -> tuple[Cell, ...]:
    """Return the line of a run: its name, state and duration, and last the reason of its state."""
    is_nested = run.kind == "flow" and not run.is_root
    what = Cell(f"flow {run.unit}", "dim") if is_nested else Cell("")
    attempts = Cell(f"{run.attempt} attempts" if run.attempt > 1 else "", "yellow")
    took = format_duration(duration(run, now, root))
    why = make_reason_cell(run.state) or Cell("")
    return Cell(run.name, "bold"), what, make_state_cell(run.state), Cell(took), attempts, why


@dataclass(frozen=True, slots=True)
class TreeView:
    """Builds the tree to show for a run.

    Attributes:
        whole: whether long maps are shown in full.
        attempts: groups called runs by attempts; None to show all of them together.
    """

    children: Children
    root: Run
    now: float
    whole: bool = False
    attempts: Attempts | None = None

    def build_branch(self, run: Run) -> Branch:
        """Return the run with the runs that it called, without the reason of its own state."""
        branch = Branch(make_cells(run, self.now, self.root)[:-1])
        waiting = [(run, branch)]
        while waiting:
            parent, above = waiting.pop()
            for number, called in self._group_calls(parent):
                home = above
                if number is not None:
                    home = Branch((Cell(f"attempt {number}", "yellow"),))
                    above.children.append(home)
                for child in self._select(called):
                    if isinstance(child, Branch):
                        home.children.append(child)
                    else:
                        below = Branch(make_cells(child, self.now, self.root))
                        home.children.append(below)
                        waiting.append((child, below))
        return branch

    def _group_calls(self, run: Run) -> Sequence[tuple[int | None, Sequence[Run]]]:
        called = self.children.of(run)
        return [(None, called)] if self.attempts is None else self.attempts.group_calls(run, called)

    def _select(self, runs: Sequence[Run]) -> Iterator[Run | Branch]:
        """Yield the runs to show, and after each folded unit, the number of omitted runs."""
        left = Counter(run.unit for run in runs)
        folded = {unit for unit, count in left.items() if count > FOLD and not self.whole}
        seen: Counter[tuple[str, str]] = Counter()
        hidden: dict[str, Counter[Cell]] = defaultdict(Counter)
        for run in runs:
            left[run.unit] -= 1
            kind = run.state.type
            seen[run.unit, run.state.name] += 1
            most = SHOWN if kind is COMPLETED else SHOWN_BAD
            if run.unit not in folded or seen[run.unit, run.state.name] <= most:
                yield run
            else:
                hidden[run.unit][Cell(run.state.name.lower(), STYLES[kind])] += 1
            if left[run.unit] == 0:
                for state, count in hidden[run.unit].items():
                    yield Branch((Cell(f"… and {count:,} more {state.text}", "dim"),))
