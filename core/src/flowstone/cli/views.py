"""What a command shows, before it is known where: tables, facts and trees of styled cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

#: Control characters but for the tab and the newline: a terminal would obey them.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in [*range(32), *range(127, 160)] if code not in {9, 10}
}


def make_printable(text: str) -> str:
    """Return the text with control characters written out."""
    return text.translate(_CONTROLS)


class Cell(NamedTuple):
    """A short text; `style` is one of rich's, and means nothing in a pipe."""

    text: str
    style: str = ""

    @property
    def line(self) -> str:
        """The text on one line."""
        return " ".join(make_printable(self.text).split("\n"))


class Row(NamedTuple):
    """A row of a table; `detail` is too long for a column."""

    cells: tuple[Cell, ...]
    detail: Cell | None = None


class Table(NamedTuple):
    """Rows under headings.

    Attributes:
        columns: the headings.
        detail: the heading of the rows' details: a last column in a pipe, and a list under the
            table on a terminal.
        empty: what to say where there is no row.
        right: the headings of columns of numbers.
        verbatim: whether the headings are somebody else's, and stay as they are.
    """

    columns: tuple[str, ...]
    rows: list[Row]
    detail: str = ""
    empty: str = ""
    right: frozenset[str] = frozenset()
    verbatim: bool = False

    @property
    def headings(self) -> list[str]:
        """The columns' headings as they are shown."""
        if self.verbatim:
            return [Cell(column).line for column in self.columns]
        return [column.upper() for column in self.columns]


class Facts(NamedTuple):
    """Named texts; longer ones may have several lines."""

    facts: list[tuple[str, Cell]]


@dataclass(slots=True)
class Branch:
    """A line of a tree, and what hangs on it."""

    cells: tuple[Cell, ...]
    children: list[Branch] = field(default_factory=list)


class Prose(NamedTuple):
    """A text in Markdown: set on a terminal, as it was written in a pipe."""

    markdown: str


View = Table | Facts | Branch | Prose
