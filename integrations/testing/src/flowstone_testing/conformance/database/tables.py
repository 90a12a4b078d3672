"""Tests of whole tables: dicts and frames in, Arrow and frames out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowstone.errors import RowsInvalid, TableMissing
from flowstone_testing.conformance.database.base import DatabaseBase, names

if TYPE_CHECKING:
    from flowstone.blocks import Database

ROWS = [{"id": n, "name": None if n == 2 else f"n{n}"} for n in range(5)]
QUERY = "SELECT id, name FROM items ORDER BY id"
TUPLES = [(row["id"], row["name"]) for row in ROWS]


class TableTests(DatabaseBase):
    """Insert, and fetch as tables."""

    def test_dicts_are_inserted(self, items: Database) -> None:
        """Look at `_insert`, and at the order of the columns in it."""
        assert items.insert("items", ROWS[:3]) == 3
        assert items.insert("items", ({"name": r["name"], "id": r["id"]} for r in ROWS[3:])) == 2
        assert items.insert("items", []) == 0
        assert items.fetch_all(QUERY) == TUPLES

    def test_frames_are_inserted(self, items: Database) -> None:
        """Look at `_insert`: nulls of frames arrive as nulls, numbers as numbers."""
        for given in _frames():
            items.execute("DELETE FROM items")
            assert items.insert("items", given) == 5
            assert items.fetch_all(QUERY) == TUPLES, type(given)

    def test_tables_come_out(self, items: Database) -> None:
        """Look at `_query`: its description names the columns, and nulls stay nulls."""
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
        """Look at the description of a query that finds nothing."""
        assert items.fetch_arrow(QUERY).column_names == ["id", "name"]
        assert list(items.fetch_pandas(QUERY).columns) == ["id", "name"]
        assert items.fetch_polars(QUERY).columns == ["id", "name"]
        assert items.fetch_arrow(QUERY).num_rows == 0

    def test_a_table_is_made_if_asked(self, database: Database) -> None:
        """Look at `_create` and at `_column_types`."""
        with pytest.raises(TableMissing):
            database.insert("things", ROWS)
        rows = [{"a": None, "b": 1.5, "c": "x"}, {"a": 7, "b": 2, "c": None}]
        assert database.insert("things", rows, create=True) == 2
        assert database.insert("things", rows, create=True) == 2
        assert database.fetch_all("SELECT a, b, c FROM things ORDER BY b, a") == [
            (None, 1.5, "x"), (None, 1.5, "x"), (7, 2.0, None), (7, 2.0, None),
        ]  # fmt: skip

    def test_names_are_quoted(self, database: Database) -> None:
        """Look at `_quoted`: a name may have anything in it, and means only itself."""
        table, column = 'odd "name; DROP', "select it's"
        assert database.insert(table, [{column: 1, "b?": 2, ":c": 3}], create=True) == 1
        assert database.insert(table, [{":c": 6, "b?": 5, column: 4}]) == 1
        quoted = '"odd ""name; DROP"'
        assert database.fetch_all(f"SELECT * FROM {quoted} ORDER BY 1") == [(1, 2, 3), (4, 5, 6)]  # noqa: S608

    def test_rows_that_do_not_fit_are_refused(self, items: Database) -> None:
        """Look for an `insert` of the provider's own: the interface compares the rows."""
        wrong: list[Any] = [
            "text", {"id": 1}, 7, None, [1], [{}], [(1, "a")],
            [*ROWS, {"id": 9}], [*ROWS, {"id": 9, "name": "x", "more": 1}],
        ]  # fmt: skip
        for rows in wrong:
            with pytest.raises(RowsInvalid):
                items.insert("items", rows)
        assert names(items) == []

    def test_many_rows_go_in_batches(self, items: Database) -> None:
        """Look at `_insert` with a second batch: nothing is lost or doubled."""
        rows = ({"id": number, "name": f"n{number}"} for number in range(5001))
        assert items.insert("items", rows) == 5001
        assert items.fetch_one("SELECT count(*), sum(id) FROM items") == (5001, 5000 * 5001 // 2)


def _frames() -> list[Any]:
    import pandas as pd  # noqa: PLC0415 - an optional dependency
    import polars as pl  # noqa: PLC0415 - an optional dependency
    import pyarrow as pa  # noqa: PLC0415 - an optional dependency

    table = pa.Table.from_pylist(ROWS)
    batches = table.to_batches(max_chunksize=2)
    return [
        table,
        batches[0] if len(batches) == 1 else pa.Table.from_batches(batches),
        pa.RecordBatchReader.from_batches(table.schema, batches),
        pl.DataFrame(ROWS),
        pd.DataFrame(ROWS),
    ]
