"""The SQL that is specific to SQLite."""

from __future__ import annotations

from flowstone.stores.sql.dialect import Dialect


def _make_pattern(text: str) -> str:
    return text.replace("[", "[[]")


SQLITE = Dialect(
    types={
        "text": "TEXT",
        "integer": "INTEGER",
        "real": "REAL",
        "cursor": "INTEGER PRIMARY KEY",
        "keyed": "WITHOUT ROWID",
    },
    texts="SELECT value FROM json_each({})",
    matches="{} GLOB ?",
    unindexed="+{}",
    make_pattern=_make_pattern,
)
