"""Views as plain lines for a pipe: aligned, uncut, without colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.cli.views import Branch, Facts, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.cli.views import Table, View

_GAP = "  "


def lines(view: View) -> Iterator[str]:
    """Yield the lines of a view."""
    if isinstance(view, Branch):
        yield from _branch(view, 0)
    elif isinstance(view, Facts):
        yield from _facts(view)
    elif view.rows:
        yield from _table(view)
    else:
        yield view.empty


def _table(table: Table) -> Iterator[str]:
    has_detail = any(row.detail for row in table.rows)
    head = [column.upper() for column in (*table.columns, *([table.detail] * has_detail))]
    right = [column in table.right for column in table.columns] + [False] * has_detail
    grid = [head]
    for row in table.rows:
        detail = [row.detail.line if row.detail else ""] * has_detail
        grid.append([cell.line for cell in row.cells] + detail)
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    for texts in grid:
        cells = [
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(texts, widths, right, strict=True)
        ]
        yield _GAP.join(cells).rstrip()


def _facts(view: Facts) -> Iterator[str]:
    width = max((len(name) for name, _ in view.facts), default=0)
    for name, cell in view.facts:
        first, *more = printable(cell.text).split("\n")
        yield f"{name.ljust(width)}{_GAP}{first}".rstrip()
        for line in more:
            yield f"{' ' * width}{_GAP}{line}".rstrip()


def _branch(branch: Branch, depth: int) -> Iterator[str]:
    yield _GAP * depth + _GAP.join(cell.line for cell in branch.cells if cell.text)
    for child in branch.children:
        yield from _branch(child, depth + 1)
