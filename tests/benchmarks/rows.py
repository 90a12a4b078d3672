"""A row of the table: a figure beside its floor, its budget, and the peer's figure."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: what was measured, with the unit of all its figures.
        floor: what a person would have without Flowstone, in the same unit; `beside` names it.
        budget: what the figure may be; None where there is no budget.
        times: how many times its floor the figure may be; None where that is no budget. Figures of
            different machines compare by it.
        peer: Prefect's figure, where it was asked for.
    """

    what: str
    figure: float
    unit: str
    floor: float | None = None
    beside: str = ""
    budget: float | None = None
    times: float | None = None
    peer: float | None = None

    @property
    def verdict(self) -> str:
        if self.budget is None and self.times is None:
            return ""
        dear = self.budget is not None and self.figure > self.budget
        slow = self.times is not None and self.ratio > self.times
        return "MISSED" if dear or slow else "met"

    @property
    def ratio(self) -> float:
        """How many times its floor the figure is; 0 where it has none."""
        return self.figure / self.floor if self.floor else 0

    def against(self, peer: float | None) -> Row:
        return replace(self, peer=peer)

    def cells(self) -> list[str]:
        ratio = f"{self.ratio:.1f}x" if self.floor else ""
        floor = f"{_number(self.floor)} {self.beside}" if self.floor is not None else ""
        figures = [f"{_number(self.figure)} {self.unit}", floor, ratio]
        budgets = [_number(self.budget), f"{self.times:g}x" if self.times else ""]
        budget = " and ".join(filter(None, budgets))
        return [self.what, *figures, budget, self.verdict, self._describe_peer()]

    def _describe_peer(self) -> str:
        if not self.peer:
            return ""
        if not self.figure:  # memory that does not grow at all
            return _number(self.peer)
        slower = self.peer / self.figure
        return f"{_number(self.peer)} ({slower:.{1 if slower < 10 else 0}f}x)"


HEADINGS = ("what", "figure", "floor", "ratio", "budget", "", "Prefect")


def show(rows: Sequence[Row], *, peer: bool) -> None:
    """Print the table: drawn on a terminal, plain columns in a pipe."""
    count = len(HEADINGS) - (not peer)
    cells = [row.cells()[:count] for row in rows]
    if not sys.stdout.isatty():
        widths = [max(len(line[at]) for line in [HEADINGS, *cells]) for at in range(count)]
        for line in [HEADINGS[:count], *cells]:
            print("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)))
        return
    table = Table(*HEADINGS[:count])
    for row, line in zip(rows, cells, strict=True):
        table.add_row(*line, style="red" if row.verdict == "MISSED" else None)
    Console().print(table)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
