"""A database without transactions gets all rows of an insert, or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pytest

from flowstone.blocks import SqliteDatabase
from flowstone.blocks.databases import Row, SqliteDriver
from flowstone.blocks.databases.driver import ARROW_BATCH
from flowstone.blocks.databases.sqlite import SqliteConnection
from flowstone.errors import IntegrityViolated, RowsInvalid


class PlainDriver(SqliteDriver):
    """SQLite, as if it had no transactions."""

    transactions = savepoints = False

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.inserted: list[tuple[str, int]] = []

    def insert(
        self,
        connection: SqliteConnection,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Row],
    ) -> None:
        self.inserted.append((table, len(rows)))
        super().insert(connection, table, columns, rows)


class PlainDatabase(SqliteDatabase):
    """A database without transactions."""

    def make_driver(self) -> PlainDriver:
        return PlainDriver(self.path)


@pytest.fixture
def plain() -> Iterator[PlainDatabase]:
    with PlainDatabase() as database:
        database.execute("CREATE TABLE items (id INTEGER CHECK (id <> 250000))")
        yield database


def count_items(database: SqliteDatabase) -> int:
    [(found,)] = database.fetch_all("SELECT count(*) FROM items")
    return int(found)


def list_inserts(database: PlainDatabase) -> list[tuple[str, int]]:
    """Return the tables of the driver's inserts, and how many rows each had."""
    driver = database.driver_calls.driver
    assert isinstance(driver, PlainDriver)
    return driver.inserted


def make_rows(end: int) -> Iterator[dict[str, int]]:
    return ({"id": number} for number in range(end))


def test_few_rows_go_by_one_call(plain: PlainDatabase) -> None:
    assert plain.insert("items", make_rows(5000)) == 5000
    assert list_inserts(plain) == [('"items"', 5000)]
    assert count_items(plain) == 5000


@pytest.mark.parametrize("kind", ["dicts", "arrow"])
def test_many_rows_are_added_by_one_statement(plain: PlainDatabase, kind: str) -> None:
    end = 2 * ARROW_BATCH + 1
    rows = make_rows(end) if kind == "dicts" else pa.table({"id": range(end)})
    assert plain.insert("items", rows) == end
    assert count_items(plain) == end
    inserts = list_inserts(plain)
    assert sum(size for _, size in inserts) == end
    assert '"items"' not in {table for table, _ in inserts}, "the rows go by a staging table"


def test_a_part_that_fails_leaves_nothing(plain: PlainDatabase) -> None:
    with pytest.raises(IntegrityViolated):
        plain.insert("items", make_rows(3 * ARROW_BATCH))
    assert count_items(plain) == 0
    rows = (row if row["id"] < 2 * ARROW_BATCH else {"other": 1} for row in make_rows(10**6))
    with pytest.raises(RowsInvalid):
        plain.insert("items", rows)
    assert count_items(plain) == 0
    left = plain.fetch_all(
        "SELECT name FROM temp.sqlite_master UNION SELECT name FROM sqlite_master"
    )
    assert left == [("items",)]
