"""What differs between databases; everything else in `stores.sql` is shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.records.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@record
class Dialect:
    """The SQL of one database, where databases have no SQL in common.

    Attributes:
        types: what stands in the schema for ``{text}``, ``{integer}``, ``{real}`` (of eight bytes),
            ``{cursor}`` (a primary key that counts up by itself) and ``{keyed}`` (behind a table
            that is read by its primary key only). Texts have to be ordered by their code points.
        texts: a query of the texts in a JSON array, which stands for ``{}``.
        matches: whether a column, ``{}``, matches a parameter that `make_pattern` has made.
        unindexed: a column, ``{}``, for which no index is to be used.
        make_pattern: returns what matches as a text in which ``*`` stands for any characters, and
            ``?`` for one; all other characters stand for themselves, and case counts.
    """

    types: Mapping[str, str]
    texts: str
    matches: str
    unindexed: str
    make_pattern: Callable[[str], str]

    def select_texts(self, array: str = "?") -> str:
        """Return a query of the texts in a JSON array: in a parameter, or in a column."""
        return self.texts.format(array)
