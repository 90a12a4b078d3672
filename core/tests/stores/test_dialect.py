"""What the stores over SQL share is no database's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flowstone.stores import sql

FILES = sorted(Path(sql.__path__[0]).glob("*.py"))
#: What other databases do not know, or understand differently.
OF_SQLITE = re.compile(
    r"\b(json_each|GLOB|PRAGMA|ROWID|rowid|AUTOINCREMENT|INSERT OR|INTEGER PRIMARY KEY|REAL|"
    r"julianday|strftime|import sqlite3)\b|LIMIT -"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_statement_is_of_sqlite_alone(path: Path) -> None:
    assert OF_SQLITE.search(path.read_text("utf-8")) is None
