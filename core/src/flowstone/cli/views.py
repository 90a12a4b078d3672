"""Views: the output of commands, independent of its destination."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

#: Control characters except tab and newline: a terminal would interpret them.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in [*range(32), *range(127, 160)] if code not in {9, 10}
}


def make_printable(text: str) -> str:
    """Return the text with control characters escaped."""
    return text.translate(_CONTROLS)


class Cell(NamedTuple):
    """A short text; `style` is a style of rich, which a pipe ignores."""

    text: str
    style: str = ""

    @property
    def line(self) -> str:
        """The text on one line."""
        return " ".join(make_printable(self.text).split("\n"))


class Row(NamedTuple):
    """A row of a table; `detail` is a text that is too long for a column."""

    cells: tuple[Cell, ...]
    detail: Cell | None = None


class Table(NamedTuple):
    """Rows under headings.

    Attributes:
        columns: the headings.
        detail: the heading of the rows' details: the last column in a pipe, and a list below the
            table on a terminal.
        empty: the text to show if there are no rows.
        right: the headings of right-aligned columns.
        verbatim: whether the headings are user data, which is shown unchanged.
    """

    columns: tuple[str, ...]
    rows: list[Row]
    detail: str = ""
    empty: str = ""
    right: frozenset[str] = frozenset()
    verbatim: bool = False

    @property
    def headings(self) -> list[str]:
        """The headings to show."""
        if self.verbatim:
            return [Cell(column).line for column in self.columns]
        return [column.upper() for column in self.columns]


class Facts(NamedTuple):
    """Named texts, which may have several lines."""

    facts: list[tuple[str, Cell]]


@dataclass(slots=True)
class Branch:
    """A line of a tree, and its children."""

    cells: tuple[Cell, ...]
    children: list[Branch] = field(default_factory=list)


class Prose(NamedTuple):
    """A Markdown text: rendered on a terminal, and unchanged in a pipe."""

    markdown: str


View = Table | Facts | Branch | Prose
