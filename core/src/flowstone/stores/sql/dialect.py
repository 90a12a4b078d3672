"""What differs between databases; everything else in `stores.sql` is shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.records.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@record
class Dialect:
    """The SQL of one database where databases differ.

    Attributes:
        types: replacements in the schema for ``{text}``, ``{integer}``, ``{real}`` (eight bytes),
            ``{cursor}`` (an auto-incremented primary key) and ``{keyed}`` (after a table that is
            only read by its primary key). Texts must be ordered by their code points.
        texts: a query of the texts in the JSON array ``{}``.
        matches: whether a column ``{}`` matches a parameter that `make_pattern` has created.
        unindexed: a column ``{}`` for which no index should be used.
        make_pattern: returns the pattern for a text in which ``*`` matches any characters, and
            ``?`` one; all other characters match themselves, and case is significant.
    """

    types: Mapping[str, str]
    texts: str
    matches: str
    unindexed: str
    make_pattern: Callable[[str], str]

    def select_texts(self, array: str = "?") -> str:
        """Return a query of the texts in a JSON array: in a parameter, or in a column."""
        return self.texts.format(array)
