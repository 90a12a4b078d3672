"""Views on a terminal, with rich: colored, and no wider than the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table as Grid
from rich.text import Text
from rich.tree import Tree

from flowstone.cli.views import Branch, Cell, Facts, Prose, make_printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import JustifyMethod

    from flowstone.cli.views import Table, View


def show(views: Iterable[View]) -> None:
    """Print the views, one below the other, separated by blank lines."""
    console = Console(highlight=False)
    for number, view in enumerate(views):
        if number:
            console.print()
        if isinstance(view, Branch):
            console.print(build_tree(view))
        elif isinstance(view, Facts):
            console.print(_make_facts(view))
        elif isinstance(view, Prose):
            console.print(Markdown(make_printable(view.markdown)))
        elif view.rows:
            _show_table(console, view)
        else:
            console.print(view.empty, markup=False)


def print_line(console: Console, cells: Iterable[Cell]) -> None:
    """Print cells next to each other; the terminal wraps long lines."""
    line = Text.assemble(*((make_printable(cell.text), cell.style) for cell in cells))
    console.print(line, soft_wrap=True)


def show_traceback(text: str) -> None:
    """Print a traceback on standard error: errors highlighted, frames of Flowstone dimmed."""
    console = Console(stderr=True, highlight=False)
    for line in make_printable(text).split("\n"):
        if not line.startswith((" ", "Traceback", "The above", "During", "Read it")):
            style = "bold red"
        else:
            style = "dim" if line.lstrip().startswith(("…", "~", "^")) else ""
        console.print(Text(line, style), soft_wrap=True)


def _show_table(console: Console, table: Table) -> None:
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column, heading in zip(table.columns, table.headings, strict=True):
        justify: JustifyMethod = "right" if column in table.right else "left"
        grid.add_column(Text(heading), justify=justify, overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(cell.line, cell.style) for cell in row.cells))
    console.print(grid)
    details = [(row.cells[0], row.detail) for row in table.rows if row.detail]
    if details:
        listed = Grid.grid(padding=(0, 2, 0, 0))
        listed.add_column(no_wrap=True)
        listed.add_column(overflow="fold")
        for cell, detail in details:
            listed.add_row(Text(cell.line, "dim"), Text(detail.line, detail.style))
        console.print()
        console.print(listed)


def _make_facts(view: Facts) -> Grid:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, cell in view.facts:
        grid.add_row(name, Text(make_printable(cell.text), cell.style))
    return grid


def build_tree(branch: Branch, *, one_line: bool = False, above: Tree | None = None) -> Tree:
    """Return a tree to print.

    Args:
        branch: the root of the tree.
        one_line: whether to truncate labels that are too long for a line.
        above: the tree to add it to; None for a new one.
    """
    label = Text("  ").join(Text(cell.line, cell.style) for cell in branch.cells if cell.text)
    if one_line:
        label.no_wrap, label.overflow = True, "ellipsis"
    drawn = Tree(label, guide_style="dim") if above is None else above.add(label)
    for child in branch.children:
        build_tree(child, one_line=one_line, above=drawn)
    return drawn
