"""SQLite passes the suites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from flowstone.blocks import Block, Database, Secret, SqliteDatabase
from flowstone.errors import QueryInvalid
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.database import DatabaseSuite


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


@pytest.mark.parametrize("size", [0, -1])
def test_no_row_is_lost_for_a_wrong_size(size: int) -> None:
    with SqliteDatabase() as database:
        with pytest.raises(QueryInvalid, match="Request at least 1"):
            database.fetch_many("SELECT 1", size=size)
        with pytest.raises(QueryInvalid, match="Request at least 1"):
            list(database.stream("SELECT 1", batch=size))


def test_a_secret_written_in_a_statement_is_not_told() -> None:
    secret = Secret(value="of-a-statement-4711").get()
    statement = f"SELECT '{secret}' {'x' * 200} FROM WHERE"
    with SqliteDatabase() as database, pytest.raises(QueryInvalid) as caught:
        database.execute(statement)
    assert secret not in f"{caught.value} {vars(caught.value)}"
    assert "SELECT '********'" in str(caught.value)
