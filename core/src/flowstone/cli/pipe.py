"""Views as plain lines for a pipe: aligned, not truncated, without colors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.cli.views import Branch, Facts, Prose, make_printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.cli.views import Table, View

_GAP = "  "


def format_lines(view: View) -> Iterator[str]:
    """Yield the lines of a view."""
    if isinstance(view, Branch):
        yield from _format_branch(view, 0)
    elif isinstance(view, Facts):
        yield from _format_facts(view)
    elif isinstance(view, Prose):
        yield from make_printable(view.markdown).split("\n")
    elif view.rows:
        yield from _format_table(view)
    else:
        yield view.empty


def _format_table(table: Table) -> Iterator[str]:
    has_detail = any(row.detail for row in table.rows)
    head = [*table.headings, *([table.detail.upper()] * has_detail)]
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


def _format_facts(view: Facts) -> Iterator[str]:
    width = max((len(name) for name, _ in view.facts), default=0)
    for name, cell in view.facts:
        first, *more = make_printable(cell.text).split("\n")
        yield f"{name.ljust(width)}{_GAP}{first}".rstrip()
        for line in more:
            yield f"{' ' * width}{_GAP}{line}".rstrip()


def _format_branch(branch: Branch, depth: int) -> Iterator[str]:
    yield _GAP * depth + _GAP.join(cell.line for cell in branch.cells if cell.text)
    for child in branch.children:
        yield from _format_branch(child, depth + 1)
