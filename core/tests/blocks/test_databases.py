"""The built-in databases pass the suites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from flowstone.blocks import Block, Database, SqliteDatabase
from flowstone.testing.conformance.blocks import BlockSuite
from flowstone.testing.conformance.database import DatabaseSuite


class TestSqliteDatabase(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [SqliteDatabase(), SqliteDatabase(path="~/ä b.db", read_only=True, busy_seconds=1)]


class TestSqliteFile(DatabaseSuite):
    keeps: ClassVar[frozenset[type]] = frozenset()

    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        with SqliteDatabase(path=str(tmp_path / "odd ?#%20name.db")) as database:
            yield database


class TestSqliteMemory(DatabaseSuite):
    keeps: ClassVar[frozenset[type]] = frozenset()
    persists = False
    streams = False

    @pytest.fixture
    def database(self) -> Iterator[Database]:
        with SqliteDatabase() as database:
            yield database
