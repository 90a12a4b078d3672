"""Tests of Arrow batches: out by `stream_arrow`, in from any Arrow-compatible object."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Generator
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import QueryInvalid, RowsInvalid
from flowstone_testing.conformance.database.base import DatabaseBase
from flowstone_testing.conformance.database.tables import QUERY, ROWS, TUPLES
from flowstone_testing.conformance.suite import needs

if TYPE_CHECKING:
    import pyarrow as pa

    from flowstone.blocks import Database


class StreamTests(DatabaseBase):
    """Batches of Arrow, out and in."""

    def test_batches_come_out_in_order(self, items: Database) -> None:
        """Look at `open_arrow` of an `ArrowDriver`: it must not lose or duplicate rows."""
        items.insert("items", [{"id": n, "name": f"n{n}"} for n in range(2500)])
        for size in (7, 1000, 5000):
            batches = list(items.stream_arrow(QUERY, batch_rows=size))
            assert max(batch.num_rows for batch in batches) <= size
            assert len({batch.schema for batch in batches}) == 1
            rows = [row for batch in batches for row in batch.to_pylist()]
            assert rows == [{"id": n, "name": f"n{n}"} for n in range(2500)]
        found = items.stream_arrow("SELECT name FROM items WHERE id = :id", {"id": 7})
        assert [batch.to_pylist() for batch in found] == [[{"name": "n7"}]]

    def test_an_empty_stream_has_columns(self, items: Database) -> None:
        """Look at the schema of `open_arrow` for a query without rows."""
        [batch] = items.stream_arrow(QUERY)
        assert (batch.num_rows, batch.schema.names) == (0, ["id", "name"])

    def test_a_stream_of_arrow_may_be_left(self, items: Database) -> None:
        """Look at the reader of `open_arrow`: closing it must release locks and the connection."""
        items.insert("items", [{"id": n, "name": f"n{n}"} for n in range(50)])
        stream = items.stream_arrow("SELECT id FROM items ORDER BY id", batch_rows=2)
        first = [batch.to_pylist() for batch in islice(stream, 2)]
        assert first == [[{"id": 0}, {"id": 1}], [{"id": 2}, {"id": 3}]]
        assert isinstance(stream, Generator)
        stream.close()
        assert items.execute("DELETE FROM items") == 50

    def test_others_run_while_a_stream_of_arrow_is_open(self, items: Database) -> None:
        """Look at `open_arrow`: a second statement must not end the first one's batches."""
        items.insert("items", [{"id": n, "name": "old"} for n in range(30)])

        def rename() -> None:
            for batch in items.stream_arrow("SELECT id FROM items ORDER BY id", batch_rows=4):
                for row in batch.to_pylist():
                    items.execute("UPDATE items SET name = 'new' WHERE id = ?", [row["id"]])

        rename()
        if self.transactions:
            with items.transaction():
                rename()
        assert items.fetch_one("SELECT count(*) FROM items WHERE name = 'new'") == (30,)

    @needs("streams")
    def test_many_batches_stream_in_little_memory(self, database: Database) -> None:
        """Look at `open_arrow` of an `ArrowDriver`: it must fetch one batch at a time."""
        import pyarrow as pa  # an optional dependency

        list(database.stream_arrow(self.series, {"count": 10}))
        before, most, total = pa.total_allocated_bytes(), 0, 0
        tracemalloc.start()
        try:
            for batch in database.stream_arrow(self.series, {"count": self.count}, 10_000):
                most = max(most, pa.total_allocated_bytes() - before)
                total += sum(batch.column(0).to_pylist())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert total == self.count * (self.count + 1) // 2
        assert peak + most < self.most_bytes, f"{peak} + {most} bytes were in memory"

    def test_a_batch_has_rows(self, items: Database) -> None:
        """Look for a `stream_arrow` that the block defines: `Database` refuses such sizes."""
        for size in (0, -1):
            with pytest.raises(QueryInvalid):
                next(iter(items.stream_arrow(QUERY, batch_rows=size)))

    def test_what_speaks_arrow_is_inserted(self, items: Database) -> None:
        """Look at `insert_arrow` of an `ArrowDriver`: batches of any size, and string views."""
        import pyarrow as pa  # an optional dependency

        table = pa.Table.from_pylist(ROWS)
        names = pa.array(table.column("name").to_pylist(), pa.string_view())
        views = table.set_column(1, "name", names)
        given: list[object] = [
            _Stream(table), _Stream(views), _Array(table.combine_chunks().to_batches()[0]),
            iter(table.to_batches(max_chunksize=2)), [table.slice(0, 1), table.slice(1)],
            (_Stream(part) for part in (table.slice(0, 4), table.slice(4))),
            [table.slice(0, 2), table.select(["name", "id"]).slice(2)],
        ]  # fmt: skip
        for number, each in enumerate(given):
            items.execute("DELETE FROM items")
            assert items.insert("items", each) == 5, number
            assert items.fetch_all(QUERY) == TUPLES, number

    @needs("transactions")
    def test_tables_of_an_iterator_are_alike(self, items: Database) -> None:
        """Look for an `insert` that the block defines: `Database` compares the tables."""
        import pyarrow as pa  # an optional dependency

        table = pa.Table.from_pylist(ROWS)
        for other in (table.select(["id"]), pa.table({"id": ["x"], "name": ["y"]}), 7):
            with pytest.raises(RowsInvalid, match="table 1"):
                items.insert("items", iter([table, other]))
        assert items.fetch_all(QUERY) == []

    def test_a_stream_goes_from_table_to_table(self, items: Database) -> None:
        """Look at `open_arrow` and `insert_arrow`: one must accept the other's batches."""
        items.insert("items", ROWS)
        copied = items.insert("copies", items.stream_arrow(QUERY, batch_rows=2), create=True)
        assert copied == 5
        assert items.fetch_all("SELECT id, name FROM copies ORDER BY id") == TUPLES

    def test_the_twin_streams_the_same(self, items: Database) -> None:
        """Look for async versions that the block defines: they must come from `Database`."""
        items.insert("items", ROWS)

        async def read() -> list[dict[str, object]]:
            stream = items.astream_arrow(QUERY, batch_rows=2)
            return [row async for batch in stream for row in batch.to_pylist()]

        assert asyncio.run(read()) == ROWS


class _Stream:
    """A table of a library that implements Arrow's C stream protocol."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, schema: object = None) -> object:
        found: object = self._table.__arrow_c_stream__(schema)
        return found


class _Array:
    """A batch of a library that implements Arrow's C data protocol."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch

    def __arrow_c_array__(self, schema: object = None) -> object:
        found: object = self._batch.__arrow_c_array__(schema)
        return found
