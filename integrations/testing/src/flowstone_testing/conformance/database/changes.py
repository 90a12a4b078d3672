"""Tests of upserts, scripts, and files in object stores."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowstone.blocks import LocalDirectory
from flowstone.errors import DatabaseError, ObjectExists, QueryInvalid, RowsInvalid, TableMissing
from flowstone_testing.conformance.database.base import DatabaseBase, names
from flowstone_testing.conformance.database.tables import QUERY, ROWS, TUPLES
from flowstone_testing.conformance.suite import needs

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.blocks import Database


class UpsertTests(DatabaseBase):
    """Rows that are added or replace rows with the same key."""

    def test_rows_are_added_or_updated(self, items: Database) -> None:
        """Look at the driver's `stage` and `merge`."""
        import pyarrow as pa  # an optional dependency

        items.insert("items", ROWS)
        new = [{"name": "changed", "id": 1}, {"name": "two", "id": 2}, {"name": None, "id": 7}]
        assert items.upsert("items", new, "id") == 3
        expected = [(0, "n0"), (1, "changed"), (2, "two"), (3, "n3"), (4, "n4"), (7, None)]
        assert items.fetch_all(QUERY) == expected
        assert items.upsert("items", pa.Table.from_pylist(ROWS), ["id"]) == 5
        assert items.fetch_all(QUERY) == [*TUPLES, (7, None)]
        assert items.upsert("items", [], "id") == 0

    def test_other_columns_stay(self, database: Database) -> None:
        """Look at the driver's `merge`: it must set only the columns of the rows."""
        rows = [
            {"a": 1, "b": 1, "kept": 5, "changed": 1},
            {"a": 1, "b": 2, "kept": 6, "changed": 1},
        ]
        assert database.upsert("pairs", rows, ["a", "b"], create=True) == 2
        assert database.upsert("pairs", [{"b": 2, "a": 1, "changed": 9}], ["a", "b"]) == 1
        assert database.upsert("pairs", [{"b": 1, "a": 1}], ["a", "b"]) == 1
        found = database.fetch_all("SELECT a, b, kept, changed FROM pairs ORDER BY b")
        assert found == [(1, 1, 5, 1), (1, 2, 6, 9)]

    def test_keys_that_tell_nothing_are_refused(self, items: Database) -> None:
        """Look for an `upsert` that the block defines: `Database` checks the keys."""
        items.insert("items", ROWS)
        wrong: list[tuple[list[dict[str, object]], list[str]]] = [
            ([{"id": 1, "name": "a"}, {"id": 1, "name": "b"}], ["id"]),
            ([{"id": None, "name": "a"}], ["id"]),
            ([{"id": 1, "name": "a"}], ["other"]),
            ([{"id": 1, "name": "a"}], []),
        ]
        for rows, keys in wrong:
            with pytest.raises(RowsInvalid):
                items.upsert("items", rows, keys)
        assert items.fetch_all(QUERY) == TUPLES
        with pytest.raises(TableMissing):
            items.upsert("others", ROWS, "id")

    @needs("transactions")
    def test_an_upsert_is_all_or_none(self, items: Database) -> None:
        """Look at the driver's `stage`: it must not end the transaction."""
        items.insert("items", ROWS)

        def work() -> None:
            with items.transaction():
                items.upsert(
                    "items", [{"id": 0, "name": "changed"}, {"id": 9, "name": "new"}], "id"
                )
                assert items.fetch_one("SELECT count(*) FROM items") == (6,)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()
        assert items.fetch_all(QUERY) == TUPLES


class ScriptTests(DatabaseBase):
    """Many statements in one string."""

    @needs("standard_quotes")
    def test_a_script_runs_in_order(self, items: Database) -> None:
        """Look at the driver's `syntax`, or its `split_script`."""
        script = """
            INSERT INTO items VALUES (1, 'a;b'); -- a comment; with a semicolon
            INSERT INTO items VALUES (2, 'it''s'), (3, 'c');
            /* nothing; here */ ;
            UPDATE items SET name = 'x' WHERE id > 1
        """
        assert items.execute_script(script) == [1, 2, 2]
        assert names(items) == ["a;b", "x", "x"]

    def test_a_script_ends_at_an_error(self, items: Database) -> None:
        """Look for an `execute_script` that the block defines: it must stop at the first error."""
        script = "INSERT INTO items VALUES (1, 'a'); SELECT nothing FROM nowhere; DELETE FROM items"
        with pytest.raises(DatabaseError) as caught:
            items.execute_script(script)
        assert "nowhere" in str(caught.value)
        assert names(items) == ["a"]
        for empty in ("", " ; -- nothing"):
            with pytest.raises(QueryInvalid):
                items.execute_script(empty)

    @needs("transactions")
    def test_a_script_is_part_of_a_transaction(self, items: Database) -> None:
        """Look for an `execute_script` that the block defines: it must use one connection."""

        def work() -> None:
            with items.transaction():
                items.execute_script(
                    "INSERT INTO items VALUES (1, 'a'); DELETE FROM items WHERE id = 2"
                )
                assert names(items) == ["a"]
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()
        assert names(items) == []

    def test_the_twin_runs_the_same(self, items: Database) -> None:
        """Look for async versions that the block defines: they must come from `Database`."""
        counts = asyncio.run(items.aexecute_script("INSERT INTO items VALUES (1, 'a'), (2, 'b')"))
        assert counts == [2]


class FileTests(DatabaseBase):
    """Parquet files in an object store."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalDirectory:
        return LocalDirectory(basepath=str(tmp_path / "store"))

    def test_files_go_out_and_come_in(self, items: Database, store: LocalDirectory) -> None:
        """Look at `open_arrow` and `insert_arrow`, or at the methods of a `StoreDriver`."""
        items.insert("items", ROWS)
        paths = items.unload(QUERY, store, "out")
        assert paths
        assert [info.path for info in store.list_objects("out")] == sorted(paths)
        assert items.copy_into("copies", store, "out/*.parquet", create=True) == 5
        assert items.fetch_all("SELECT id, name FROM copies ORDER BY id") == TUPLES
        items.execute("DELETE FROM items")
        assert items.copy_into("items", store) == 5
        assert items.fetch_all(QUERY) == TUPLES
        one = items.unload("SELECT id FROM items WHERE id = :id", store, "one", {"id": 3})
        assert items.copy_into("one", store, "one/*.parquet", create=True) == 1
        assert items.fetch_all("SELECT id FROM one") == [(3,)]
        assert asyncio.run(items.acopy_into("one", store, one[0])) == 1

    def test_files_are_never_written_over(self, items: Database, store: LocalDirectory) -> None:
        """Look at `unload_to` of a `StoreDriver`: it must not overwrite files."""
        items.insert("items", ROWS)
        before = {path: store.read_path(path) for path in items.unload(QUERY, store, "out")}
        items.execute("DELETE FROM items")
        with pytest.raises(ObjectExists):
            items.unload(QUERY, store, "out")
        assert {info.path: store.read_path(info.path) for info in store.list_objects()} == before

    @needs("transactions")
    def test_files_that_do_not_fit_add_nothing(
        self, items: Database, store: LocalDirectory
    ) -> None:
        """Look for a `copy_into` that the block defines: it must load all files, or none."""
        items.insert("items", ROWS)
        items.unload(QUERY, store, "out")
        store.write_path("out/zz.parquet", b"no parquet")
        items.execute("DELETE FROM items")
        with pytest.raises(RowsInvalid, match=r"zz\.parquet"):
            items.copy_into("items", store)
        with pytest.raises(RowsInvalid, match="nothing/"):
            items.copy_into("items", store, "nothing/*.parquet")
        assert names(items) == []
