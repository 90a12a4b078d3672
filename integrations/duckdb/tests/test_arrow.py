"""Arrow tables are written and read with their types, and without intermediate Python rows."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from flowstone.blocks.databases import Row
from flowstone.errors import IntegrityViolated, QueryInvalid
from flowstone_duckdb import DuckDBDatabase, DuckDBDriver
from flowstone_duckdb.database import DuckDBConnection, DuckDBResult

COUNT = 1_000_000
#: What Python may hold meanwhile: a millionth part of it would be the rows' alone.
MOST_BYTES = 1_000_000


class CountingDriver(DuckDBDriver):
    """Counts values that are converted by rows."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.rows = 0

    def adapt(self, value: object) -> object:
        self.rows += 1
        return super().adapt(value)

    def query(
        self, connection: DuckDBConnection, operation: str, values: Sequence[object]
    ) -> DuckDBResult:
        self.rows += 1
        return super().query(connection, operation, values)

    def insert(
        self,
        connection: DuckDBConnection,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Row],
    ) -> None:
        self.rows += len(rows)
        super().insert(connection, table, columns, rows)


class CountingDatabase(DuckDBDatabase):
    """A DuckDB driver that counts."""

    def make_driver(self) -> CountingDriver:
        return CountingDriver(self.path)


@pytest.fixture
def counting() -> Iterator[CountingDatabase]:
    with CountingDatabase() as database:
        yield database


def table(count: int) -> pa.Table:
    numbers = pa.array(range(count), pa.int64())
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int8()), ["text"])
    return pa.table({"number": numbers, "text": texts.cast(pa.string())})


def measure(work: Callable[[], object]) -> int:
    """Return the peak memory of Python objects meanwhile; Arrow's memory is not included."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_row_passes_through_python(counting: CountingDatabase) -> None:
    given = table(COUNT)
    counting.insert("t", given.slice(0, 1), create=True)  # what is imported once
    counting.fetch_arrow("SELECT * FROM t")
    assert measure(lambda: counting.insert("t", given)) < MOST_BYTES
    assert measure(lambda: counting.insert("t", given.to_reader(max_chunksize=999))) < MOST_BYTES
    assert measure(lambda: counting.fetch_arrow("SELECT * FROM t")) < MOST_BYTES
    assert counting.fetch_arrow("SELECT * FROM t").num_rows == 2 * COUNT + 1
    assert counting.fetch_polars("SELECT * FROM t").height == 2 * COUNT + 1
    driver = counting.driver_calls.driver
    assert isinstance(driver, CountingDriver)
    assert driver.rows == 0
    assert counting.fetch_one("SELECT count(*) FROM t") == (2 * COUNT + 1,)
    assert driver.rows == 1, "it counts"


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.to_datetime(["2024-01-01", None])}),
        pl.DataFrame({"a": [1, 2], "b": ["x", None], "c": [date(2024, 1, 1), None]}),
        pa.record_batch({"a": [1, 2], "b": ["x", None], "c": [0.5, None]}),
        pa.table(
            {"a": pa.array([1, 2], pa.uint8()), "b": pa.array(["x", None]).dictionary_encode()}
        ),
    ],
    ids=["pandas", "polars", "batch", "table"],
)
def test_frames_go_in_as_arrow(counting: CountingDatabase, frame: Any) -> None:
    assert counting.insert("t", frame, create=True) == 2
    driver = counting.driver_calls.driver
    assert isinstance(driver, CountingDriver)
    assert driver.rows == 0
    assert counting.fetch_all("SELECT a, b FROM t ORDER BY a") == [(1, "x"), (2, None)]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        # Arrow would give each dict the keys of all.
        (pd.DataFrame({"a": [{"x": 1}, {"y": 2}]}), ['{"x": 1}', '{"y": 2}']),
        (pd.DataFrame({"a": [1, "x"]}), ["1", "x"]),
        (pl.DataFrame({"a": pl.Series([2**60], dtype=pl.Int128)}), [str(2**60)]),
        (pa.table({"a": [timedelta(days=1)]}), ["1 day"]),
    ],
    ids=["dicts", "numbers and texts", "big numbers", "durations"],
)
def test_what_arrow_would_change_goes_by_rows(
    database: DuckDBDatabase, frame: Any, expected: list[str]
) -> None:
    database.execute("CREATE TABLE t (a VARCHAR)")
    assert database.insert("t", frame) == len(expected)
    assert database.fetch_all("SELECT a FROM t ORDER BY a") == [(text,) for text in expected]


TYPES: dict[str, tuple[object, pa.DataType]] = {
    "true": (True, pa.bool_()),
    "7::TINYINT": (7, pa.int8()),
    "7::INTEGER": (7, pa.int32()),
    "7::UBIGINT": (7, pa.uint64()),
    "7::HUGEINT": (7, pa.int64()),
    "7::UHUGEINT": (7, pa.int64()),
    "0.5::FLOAT": (0.5, pa.float32()),
    "0.5::DOUBLE": (0.5, pa.float64()),
    "1.25::DECIMAL(10, 2)": (Decimal("1.25"), pa.decimal128(10, 2)),
    "'x'": ("x", pa.string()),
    "'x'::ENUM ('x', 'y')": ("x", pa.dictionary(pa.uint8(), pa.string())),
    "'101'::BIT": ("101", pa.string()),
    "'{\"a\": 1}'::JSON": ('{"a": 1}', pa.string()),
    "'x'::BLOB": (b"x", pa.binary()),
    "DATE '2024-02-29'": (date(2024, 2, 29), pa.date32()),
    "TIME '23:59:58'": (time(23, 59, 58), pa.time64("us")),
    "TIMESTAMP '2024-02-29 23:59:58'": (
        datetime.fromisoformat("2024-02-29 23:59:58"),
        pa.timestamp("us"),
    ),
    "[1, 2]": ([1, 2], pa.list_(pa.int32())),
    "{'x': 1, 'y': 'z'}": ({"x": 1, "y": "z"}, pa.struct({"x": pa.int32(), "y": pa.string()})),
}


@pytest.mark.parametrize("literal", TYPES)
def test_types_and_values_are_those_of_rows(database: DuckDBDatabase, literal: str) -> None:
    value, kind = TYPES[literal]
    query = f"SELECT {literal} AS v UNION ALL SELECT NULL"
    found = database.fetch_arrow(query)
    rows = [(row["v"],) for row in found.to_pylist()]
    assert sorted(rows, key=str) == sorted(database.fetch_all(query), key=str)
    assert [type(v) for (v,) in rows if v is not None] == [type(value)]
    assert (value,) in rows
    assert str(found.schema.field("v").type).replace("l: ", "item: ") == str(kind)


def test_times_with_a_zone_are_the_same_moment(database: DuckDBDatabase) -> None:
    moment = datetime(2024, 2, 29, 23, 59, 58, 5, UTC)
    database.insert("t", pa.table({"seen": pa.array([moment])}), create=True)
    [(found,)] = database.fetch_all("SELECT seen FROM t")
    assert found == moment
    assert found.utcoffset() is not None
    assert database.fetch_arrow("SELECT seen FROM t").to_pylist() == [{"seen": moment}]


def test_sums_that_64_bits_can_t_hold_stay_exact(database: DuckDBDatabase) -> None:
    query = "SELECT sum(i) AS total FROM (VALUES (9223372036854775807), (1)) AS t(i)"
    [row] = database.fetch_arrow(query).to_pylist()
    assert row == {"total": Decimal(2**63)}


def test_lists_stay_lists_in_pandas(database: DuckDBDatabase) -> None:
    frame = database.fetch_pandas("SELECT [1, 2] AS many, {'a': [3]} AS named, 'x' AS text")
    assert frame["many"].tolist() == [[1, 2]]
    assert type(frame["many"][0]) is list
    assert frame["named"].tolist() == [{"a": [3]}]
    assert frame["text"].tolist() == ["x"]


def test_columns_of_one_name_are_both_there(database: DuckDBDatabase) -> None:
    assert database.fetch_arrow("SELECT 1 AS a, '1'::BIT AS a").num_columns == 2


def test_a_half_read_stream_is_not_in_the_way(database: DuckDBDatabase) -> None:
    series = "SELECT i FROM range(10000) AS t(i)"
    with database.transaction():
        left = database.stream(series, batch=10)
        next(left)
        left.close()  # type: ignore[attr-defined]
        assert database.fetch_arrow("SELECT 1 AS one").to_pydict() == {"one": [1]}
        open_ = database.stream(series, batch=10)
        assert [next(open_) for _ in range(15)][-1] == (14,)
        assert database.insert("t", pa.table({"a": [1]}), create=True) == 1
        assert database.fetch_arrow("SELECT a FROM t").num_rows == 1
        assert next(open_) == (15,)
        assert sum(1 for _ in open_) == 10000 - 16


def test_statements_that_have_no_rows(database: DuckDBDatabase) -> None:
    assert database.fetch_arrow("CREATE TABLE t (a INTEGER)").num_rows == 0
    assert database.fetch_arrow("INSERT INTO t VALUES (1) RETURNING a").to_pydict() == {"a": [1]}
    assert database.fetch_all("SELECT * FROM t") == [(1,)], "it was run once"


def test_a_table_that_does_not_fit_is_refused_whole(database: DuckDBDatabase) -> None:
    database.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    with pytest.raises(IntegrityViolated):
        database.insert("t", pa.table({"a": [*range(200_000), 7]}).to_reader(max_chunksize=5000))
    with pytest.raises(QueryInvalid, match="nope"):
        database.insert("t", pa.table({"nope": [1]}))
    with pytest.raises(QueryInvalid) as caught:
        database.insert("t", pa.table({"a": ["canary-4711"]}))
    assert "canary" not in str(caught.value)
    assert database.fetch_all("SELECT * FROM t") == []
    assert database.insert("t", pa.table({"a": [1]})) == 1
