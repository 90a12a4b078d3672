"""Rows without types as Arrow: one type for a column, or an error that shows no value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flowstone.blocks import LocalDirectory, SqliteDatabase
from flowstone.errors import QueryInvalid, RowsInvalid

VALUE = "a-value-of-a-row"


@pytest.fixture
def database() -> Iterator[SqliteDatabase]:
    with SqliteDatabase() as database:
        database.execute("CREATE TABLE t (mixed, late, big)")
        rows = [(1, None, 1), (VALUE, None, 1.5), (2, 3, 2**62)]
        database.execute_many("INSERT INTO t VALUES (?, ?, ?)", rows)
        yield database


Fetch = Callable[[SqliteDatabase, str], object]


def fetch(database: SqliteDatabase, query: str) -> object:
    return database.fetch_arrow(query)


def stream(database: SqliteDatabase, query: str) -> object:
    return list(database.stream_arrow(query))


def stream_by_one(database: SqliteDatabase, query: str) -> object:
    return list(database.stream_arrow(query, batch_rows=1))


def unload(database: SqliteDatabase, query: str) -> object:
    with TemporaryDirectory() as directory:
        return database.unload(query, LocalDirectory(basepath=directory), "out")


@pytest.mark.parametrize("read", [fetch, stream, stream_by_one, unload])
def test_values_of_several_types_are_refused_without_them(
    database: SqliteDatabase, read: Fetch
) -> None:
    with pytest.raises(QueryInvalid, match=r"column 'mixed'.*CAST") as caught:
        read(database, "SELECT mixed FROM t")
    assert VALUE not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_later_value_of_another_type_is_refused(database: SqliteDatabase) -> None:
    for column in ("late", "big"):
        with pytest.raises(QueryInvalid, match=f"column '{column}'"):
            stream_by_one(database, f"SELECT {column} FROM t")
    assert database.fetch_arrow("SELECT late FROM t").to_pydict() == {"late": [None, None, 3]}


def test_an_int_becomes_a_float_only_as_the_same_number(database: SqliteDatabase) -> None:
    query = "SELECT 0.5 AS x UNION ALL SELECT {} ORDER BY 1"
    batches = list(database.stream_arrow(query.format("3"), batch_rows=1))
    assert [batch.to_pydict() for batch in batches] == [{"x": [0.5]}, {"x": [3.0]}]
    with pytest.raises(QueryInvalid, match="column 'x'"):
        list(database.stream_arrow(query.format(2**60 + 1), batch_rows=1))


def test_a_cast_gives_a_column_one_type(database: SqliteDatabase) -> None:
    [batch] = database.stream_arrow("SELECT CAST(mixed AS TEXT) AS mixed FROM t")
    assert batch.to_pydict() == {"mixed": ["1", VALUE, "2"]}


def test_a_file_that_is_not_parquet_is_told_in_one_sentence(tmp_path: Path) -> None:
    store = LocalDirectory(basepath=str(tmp_path))
    store.write_path("a.parquet", b"some bytes, but no Parquet")
    with SqliteDatabase() as database, pytest.raises(RowsInvalid) as caught:
        database.copy_into("t", store, create=True)
    assert "a.parquet" in str(caught.value)
    assert ".." not in str(caught.value)
