"""Tests of tables: dicts and DataFrames in, Arrow and DataFrames out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from json import loads
from typing import TYPE_CHECKING, Any

import pytest

from flowstone.blocks.databases import AwareDatetime
from flowstone.errors import DatabaseError, RowsInvalid, TableMissing
from flowstone_testing.conformance.database.base import DatabaseBase, names
from flowstone_testing.conformance.suite import capability, needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowstone.blocks import Database

ROWS = [{"id": n, "name": None if n == 2 else f"n{n}"} for n in range(5)]
QUERY = "SELECT id, name FROM items ORDER BY id"
TUPLES = [(row["id"], row["name"]) for row in ROWS]


class TableTests(DatabaseBase):
    """Insert, and fetch as tables."""

    def test_dicts_are_inserted(self, items: Database) -> None:
        """Look at the driver's `insert`, and at the order of its columns."""
        assert items.insert("items", ROWS[:3]) == 3
        assert items.insert("items", ({"name": r["name"], "id": r["id"]} for r in ROWS[3:])) == 2
        assert items.insert("items", []) == 0
        assert items.fetch_all(QUERY) == TUPLES

    def test_frames_are_inserted(self, items: Database) -> None:
        """Look at the driver's `insert`: nulls must stay nulls, and numbers numbers."""
        for given in _make_frames():
            items.execute("DELETE FROM items")
            assert items.insert("items", given) == 5
            assert items.fetch_all(QUERY) == TUPLES, type(given)

    def test_tables_come_out(self, items: Database) -> None:
        """Look at the driver's `query`: its description names the columns; nulls must stay."""
        items.insert("items", ROWS)
        arrow = items.fetch_arrow(QUERY)
        assert arrow.to_pylist() == ROWS
        assert items.fetch_polars(QUERY).to_dicts() == ROWS
        frame = items.fetch_pandas(QUERY)
        assert list(frame.columns) == ["id", "name"]
        assert frame["id"].tolist() == [row["id"] for row in ROWS]
        assert frame["name"].isna().tolist() == [row["name"] is None for row in ROWS]
        query = "SELECT name FROM items WHERE id = :id"
        assert items.fetch_arrow(query, {"id": 4}).to_pylist() == [{"name": "n4"}]

    def test_empty_tables_have_columns(self, items: Database) -> None:
        """Look at the description of a query without rows."""
        assert items.fetch_arrow(QUERY).column_names == ["id", "name"]
        assert list(items.fetch_pandas(QUERY).columns) == ["id", "name"]
        assert items.fetch_polars(QUERY).columns == ["id", "name"]
        assert items.fetch_arrow(QUERY).num_rows == 0

    def test_tables_have_the_values_of_rows(self, database: Database) -> None:
        """Look at `fetch_arrow` of an `ArrowDriver`: values must equal those of rows."""
        rows = [*make_typed_rows(self.keeps), dict.fromkeys(make_typed_rows(self.keeps)[0])]
        database.insert("typed", rows, create=True)
        for query in (
            "SELECT * FROM typed ORDER BY number",
            "SELECT count(*) AS n, sum(number) AS total, max(text) AS most FROM typed",
            "SELECT number, text FROM typed WHERE number > 99",
        ):
            expected = database.fetch_all(query)
            table = database.fetch_arrow(query)
            found = [tuple(row[name] for name in table.column_names) for row in table.to_pylist()]
            assert found == expected
            assert _types(found) == _types(expected)
            assert _types(database.fetch_polars(query).rows()) == _types(expected)
            assert len(database.fetch_pandas(query)) == len(expected)

    def test_tables_are_kept_as_rows_are(self, database: Database) -> None:
        """Look at `insert_arrow` of an `ArrowDriver`: it must store the same as rows do."""
        import pyarrow as pa  # an optional dependency

        rows = make_typed_rows(self.keeps)
        table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
        assert database.insert("by_rows", rows, create=True) == len(rows)
        assert database.insert("by_table", table, create=True) == len(rows)
        assert database.insert("by_table", table.slice(0, 0)) == 0
        expected = database.fetch_all("SELECT * FROM by_rows ORDER BY number")
        found = database.fetch_all("SELECT * FROM by_table ORDER BY number")
        assert found == expected
        assert _types(found) == _types(expected)
        nested = pa.table({"many": [[1, None]], "named": [{"a": "b"}]})
        assert database.insert("nested", nested, create=True) == 1
        [values] = database.fetch_all("SELECT many, named FROM nested")
        told = [loads(value) if isinstance(value, str) else value for value in values]
        assert told == [[1, None], {"a": "b"}]

    @needs("transactions")
    def test_a_table_goes_in_whole_or_not_at_all(self, items: Database) -> None:
        """Look at `insert_arrow` of an `ArrowDriver`: it must not commit by itself."""
        import pyarrow as pa  # an optional dependency

        schema = pa.schema({"id": pa.int64(), "name": pa.string()})

        def read(last: object) -> Iterator[pa.RecordBatch]:
            for start in range(0, 300_000, 150_000):
                (count,) = items.fetch_one("SELECT count(*) FROM items") or (None,)
                assert count == start, "rows of the same transaction are visible"
                numbers = range(start, start + 150_000)
                yield pa.record_batch([numbers, [None] * len(numbers)], schema=schema)
            if last is not None:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            items.insert("items", pa.RecordBatchReader.from_batches(schema, read("fails")))
        assert items.fetch_one("SELECT count(*) FROM items") == (0,)
        assert (
            items.insert("items", pa.RecordBatchReader.from_batches(schema, read(None))) == 300_000
        )

    def test_a_table_is_made_if_asked(self, database: Database) -> None:
        """Look at `create_table` and at `column_types`."""
        with pytest.raises(TableMissing):
            database.insert("things", ROWS)
        rows = [{"a": None, "b": 1.5, "c": "x"}, {"a": 7, "b": 2, "c": None}]
        assert database.insert("things", rows, create=True) == 2
        assert database.insert("things", rows, create=True) == 2
        assert database.fetch_all("SELECT a, b, c FROM things ORDER BY b, a") == [
            (None, 1.5, "x"), (None, 1.5, "x"), (7, 2.0, None), (7, 2.0, None),
        ]  # fmt: skip

    @capability("odd_names", DatabaseError)
    def test_names_are_quoted(self, database: Database) -> None:
        """Look at `quote_name`: a name may contain any character."""
        table, column = 'odd "name; DROP', "select it's"
        assert database.insert(table, [{column: 1, "b?": 2, ":c": 3}], create=True) == 1
        assert database.insert(table, [{":c": 6, "b?": 5, column: 4}]) == 1
        quoted = '"odd ""name; DROP"'
        assert database.fetch_all(f"SELECT * FROM {quoted} ORDER BY 1") == [(1, 2, 3), (4, 5, 6)]  # noqa: S608

    def test_rows_that_do_not_fit_are_refused(self, items: Database) -> None:
        """Look for an `insert` that the block defines: `Database` compares the rows."""
        wrong: list[Any] = [
            "text", {"id": 1}, 7, None, [1], [{}], [(1, "a")],
            [*ROWS, {"id": 9}], [*ROWS, {"id": 9, "name": "x", "more": 1}],
        ]  # fmt: skip
        for rows in wrong:
            with pytest.raises(RowsInvalid):
                items.insert("items", rows)
        assert names(items) == []

    def test_many_rows_go_in_batches(self, items: Database) -> None:
        """Look at the driver's `insert` with a second batch: no row may be lost or duplicated."""
        rows = ({"id": number, "name": f"n{number}"} for number in range(5001))
        assert items.insert("items", rows) == 5001
        assert items.fetch_one("SELECT count(*), sum(id) FROM items") == (5001, 5000 * 5001 // 2)


def make_typed_rows(keeps: frozenset[type]) -> list[dict[str, object]]:
    """Return rows with a column for each type that is read back unchanged."""
    values: dict[str, tuple[object, object]] = {
        "number": (1, -(2**62)),
        "real": (0.5, -1e300),
        "text": ("\u00e4'", ""),
        "data": (b"\0\xff", b""),
        "nothing": (None, None),
    }
    more: dict[type, tuple[object, object]] = {
        bool: (True, False),
        Decimal: (Decimal("12345.67"), Decimal("-0.01")),
        date: (date(2024, 2, 29), date(1969, 12, 31)),
        datetime: (datetime(2024, 2, 29, 23, 59, 58, 123456), datetime(1969, 12, 31)),  # noqa: DTZ001 - a column without a zone
        AwareDatetime: (
            datetime(2024, 2, 29, 23, 59, 58, 123456, UTC),
            datetime(1969, 12, 31, tzinfo=UTC),
        ),
    }
    values |= {f"a_{kind.__name__.lower()}": more[kind] for kind in more if kind in keeps}
    return [{name: pair[place] for name, pair in values.items()} for place in (0, 1)]


def _types(rows: Iterable[Iterable[object]]) -> list[list[type]]:
    return [[type(value) for value in row] for row in rows]


def _make_frames() -> list[object]:
    import pandas as pd  # an optional dependency
    import polars as pl  # an optional dependency
    import pyarrow as pa  # an optional dependency

    table = pa.Table.from_pylist(ROWS)
    batches = table.to_batches(max_chunksize=2)
    return [
        table,
        batches[0] if len(batches) == 1 else pa.Table.from_batches(batches),
        pa.RecordBatchReader.from_batches(table.schema, batches),
        pl.DataFrame(ROWS),
        pd.DataFrame(ROWS),
    ]
