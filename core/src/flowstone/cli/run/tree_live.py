"""The live tree of runs: an observer that folds long maps, and stores only what it shows."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from flowstone.cli.run.tree import make_cells
from flowstone.cli.views import Branch, Cell
from flowstone.cli.wording import STYLES
from flowstone.graphs.tree import FOLD
from flowstone.records.runs import Run, StateChange
from flowstone.records.states import CANCELLED, COMPLETED, CRASHED, FAILED, RUNNING, TERMINAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from flowstone.records.events import Event
    from flowstone.records.states import StateType

#: Maximum number of failed runs to show of a folded flow or task.
SHOWN_BAD = 3
#: Maximum depth of the tree; deeper runs are only counted.
DEEPEST = 20
MARKS = {COMPLETED: "✓", RUNNING: "●", FAILED: "✗", CRASHED: "✗", CANCELLED: "■"}
_WAITING, TIMES = "○", "\N{MULTIPLICATION SIGN}"


@dataclass(slots=True, eq=False)
class TreeRow:
    """A run, and the runs that it called."""

    run: Run
    group: Group
    groups: dict[str, Group] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Group:
    """The runs of one flow or task that one run called; many are folded, and only counted.

    Attributes:
        rows: the runs that have their own line.
        bad: for a folded group, the first runs that did not complete.
        groups: for a folded group, the groups that its runs called.
        into: the group that this one was merged into when its caller was folded.
    """

    unit: str
    counts: Counter[StateType] = field(default_factory=Counter)
    rows: dict[str, TreeRow] = field(default_factory=dict)
    bad: list[Run] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)
    folded: bool = False
    into: Group | None = None

    @property
    def current(self) -> Group:
        group = self
        while group.into is not None:
            group = group.into
        return group

    @property
    def is_open(self) -> bool:
        return any(count for kind, count in self.counts.items() if kind not in TERMINAL)


@dataclass(slots=True, eq=False)
class LiveBranch(Branch):
    """A line of the tree whose children can be omitted to save space.

    Attributes:
        is_open: whether it, or a run below it, has not ended.
        is_bad: whether it ended without completing.
        left_out: the number of omitted lines below it.
    """

    is_open: bool = False
    is_bad: bool = False
    left_out: int = 0

    @property
    def live_children(self) -> list[LiveBranch]:
        return [child for child in self.children if isinstance(child, LiveBranch)]

    @property
    def height(self) -> int:
        below = sum(knot.height for knot in self.live_children)
        return 1 + below + (self.left_out > 0)

    def shorten(self, lines: int, *, bad_too: bool) -> int:
        """Omit finished runs, oldest first, to save a number of lines; return the saved lines."""
        toll = int(self.left_out == 0)  # the note about omitted lines takes a line
        saved, count, kept = 0, 0, list[Branch]()
        for knot in self.live_children:
            may_go = not knot.is_open and (bad_too or not knot.is_bad)
            if may_go and saved < lines + toll:
                saved, count = saved + knot.height, count + 1
            else:
                kept.append(knot)
        if saved <= toll:
            return 0
        self.children, self.left_out = kept, self.left_out + count
        return saved - toll

    def tell_left_out(self) -> None:
        for knot in self.live_children:
            knot.tell_left_out()
        if self.left_out:
            self.children.insert(0, Branch((Cell(f"… {self.left_out:,} more", "dim"),)))


class LiveTree:
    """An `Observer` that builds the tree of the runs that it observes, and of an earlier run."""

    def __init__(self, run: Run | None = None, *, marks: bool = True) -> None:
        self._marks = marks
        self._lock = Lock()
        self._rows: dict[str, TreeRow] = {}
        self._top: dict[str, Group] = {}
        if run is not None:
            self._add(run)

    def observe(self, events: Sequence[Event]) -> None:
        with self._lock:
            for event in events:
                if isinstance(event.payload, Run):
                    self._add(event.payload)
                elif isinstance(event.payload, StateChange):
                    self._change(event.run_id, event.payload)

    def close(self) -> None:
        """Do nothing: the tree can still be drawn."""

    def build_branches(self, now: float, height: int | None = None) -> list[Branch]:
        """Return the trees to draw, with at most `height` lines if the active runs allow it."""
        with self._lock:
            knots = list(self._build(self._top, now))
        if height is not None:
            _fit(knots, height)
        for knot in knots:
            knot.tell_left_out()
        return list(knots)

    # ------------------------------------------------------------ events

    def _add(self, run: Run) -> None:
        if run.id in self._rows:
            return
        groups = self._find_groups(run)
        group = groups.setdefault(run.unit, Group(run.unit))
        row = TreeRow(run, group)
        group.counts[run.state.type] += 1
        self._rows[run.id] = row
        if not group.folded:
            group.rows[run.id] = row
            if len(group.rows) > FOLD:
                self._fold(group)

    def _find_groups(self, run: Run) -> dict[str, Group]:
        """Return the groups below a run's caller, or below the root if the caller was removed."""
        row = self._rows.get(run.parent_id or "") or self._rows.get(run.root_id)
        if row is None:
            return self._top
        group = row.group.current
        return group.groups if group.folded else row.groups

    def _change(self, run_id: str, change: StateChange) -> None:
        row = self._rows.get(run_id)
        if row is None or change.version <= row.run.version:
            return
        group = row.group.current
        group.counts[row.run.state.type] -= 1
        row.run = row.run.apply(change)
        group.counts[change.state.type] += 1
        if group.folded and row.run.state.is_final():
            self._forget(row, group)

    def _fold(self, group: Group) -> None:
        group.folded = True
        for row in group.rows.values():
            self._merge(row.groups, group.groups)
            row.groups = {}
            if row.run.state.is_final():
                self._forget(row, group)
        group.rows = {}

    def _forget(self, row: TreeRow, group: Group) -> None:
        self._rows.pop(row.run.id, None)
        if row.run.state.type is not COMPLETED and len(group.bad) < SHOWN_BAD:
            group.bad.append(row.run)

    def _merge(self, groups: dict[str, Group], into: dict[str, Group]) -> None:
        for unit, group in groups.items():
            other = into.setdefault(unit, group)
            if other is group:
                continue
            group.into = other
            other.counts.update(group.counts)
            other.rows.update(group.rows)
            other.bad = (other.bad + group.bad)[:SHOWN_BAD]
            self._merge(group.groups, other.groups)
            if group.folded or other.folded or len(other.rows) > FOLD:
                self._fold(other)

    # ------------------------------------------------------------ drawing

    def _build(self, groups: dict[str, Group], now: float, depth: int = 0) -> Iterator[LiveBranch]:
        for group in groups.values():
            if group.folded:
                yield self._build_folded(group, now, depth)
            for row in group.rows.values():
                below, left_out = self._build_below(row.groups, now, depth)
                is_open = not row.run.state.is_final() or any(knot.is_open for knot in below)
                is_bad = row.run.state.is_final() and row.run.state.type is not COMPLETED
                yield LiveBranch(make_cells(row.run, now), [*below], is_open, is_bad, left_out)

    def _build_folded(self, group: Group, now: float, depth: int) -> LiveBranch:
        below, left_out = self._build_below(group.groups, now, depth)
        is_open = group.is_open or any(knot.is_open for knot in below)
        bad = [LiveBranch(make_cells(run, now), is_bad=True) for run in group.bad]
        counts = tuple(self._format_counts(group))
        return LiveBranch(counts, [*bad, *below], is_open, bool(group.bad), left_out)

    def _build_below(
        self, groups: dict[str, Group], now: float, depth: int
    ) -> tuple[list[LiveBranch], int]:
        """Return the lines to draw below a line, and the number of runs that are too deep."""
        if depth < DEEPEST:
            return list(self._build(groups, now, depth + 1)), 0
        return [], sum(group.counts.total() for group in groups.values())

    def _format_counts(self, group: Group) -> Iterable[Cell]:
        yield Cell(group.unit, "bold")
        yield Cell(f"{TIMES if self._marks else 'x'}{sum(group.counts.values()):,}")
        for kind, style in STYLES.items():
            count = group.counts[kind]
            if count and self._marks:
                yield Cell(f"{MARKS.get(kind, _WAITING)} {count:,}", style)
            elif count:
                yield Cell(f"{count:,} {kind.value.lower()}", style)


def _fit(tops: list[LiveBranch], height: int) -> None:
    over = sum(top.height for top in tops) - height
    for bad_too in (False, True):
        waiting = deque(tops)
        while waiting and over > 0:
            knot = waiting.popleft()
            over -= knot.shorten(over, bad_too=bad_too)
            waiting += knot.live_children
