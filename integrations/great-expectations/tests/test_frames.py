"""Frames of each kind are returned with the same kind, types and row labels."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from great_expectations import expectations as gxe

from flowstone_great_expectations import ValidationInvalid, validate

if TYPE_CHECKING:
    from flowstone.blocks import LocalDirectory

ROWS = [
    {
        "id": at or None,
        "big": 2**53 + at,
        "name": None if at == 2 else f"n{at}",
        "price": Decimal(at) - 1,
        "day": date(2026, 1, 1 + at),
        "seen": datetime(2026, 1, 1, at, tzinfo=UTC),
        "tags": ["a"] * at,
        "open": None if at == 1 else at % 2 == 0,
    }
    for at in range(5)
]
EXPECTED = [
    gxe.ExpectColumnValuesToBeUnique(column="big"),
    gxe.ExpectColumnValuesToBeUnique(column="id"),
    gxe.ExpectColumnValuesToNotBeNull(column="name"),
    gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0),
    gxe.ExpectColumnValuesToBeInSet(column="open", value_set=[True, False]),
]
PASSING = [1, 3, 4]


def set_aside(data: Any, store: LocalDirectory, expected: Any = EXPECTED) -> tuple[Any, pa.Table]:
    """Return the rows that passed, and those that were quarantined."""
    report = validate(data, expected, name="rows", on_failure="quarantine", quarantine=store)
    assert report.quarantined is not None
    return report.data, pq.read_table(store.download_object_to_path(report.quarantined.path))


@pytest.fixture(autouse=True)
def _folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_arrow(store: LocalDirectory) -> None:
    table = pa.Table.from_pylist(ROWS)
    passing, failing = set_aside(table, store)
    assert passing.equals(table.take(PASSING))
    assert failing.drop(["failed_expectations"]).equals(table.take([0, 2]))


def test_categories_are_compared_by_what_they_stand_for() -> None:
    numbers = pa.array([0, 1, None], pa.uint32())
    kinds = pa.DictionaryArray.from_arrays(numbers, pa.array([2.5, 1.5]))
    wanted = [
        gxe.ExpectColumnValuesToBeBetween(column="kind", min_value=1, max_value=3),
        gxe.ExpectColumnMaxToBeBetween(column="kind", max_value=3),
    ]
    assert validate(pa.table({"kind": kinds}), wanted, name="kinds").success


def test_a_record_batch(store: LocalDirectory) -> None:
    batch = pa.RecordBatch.from_pylist(ROWS)
    passing, _ = set_aside(batch, store)
    assert passing.equals(batch.take(pa.array(PASSING)))


def test_polars(store: LocalDirectory) -> None:
    kind = pl.Categorical()
    frame = pl.DataFrame(ROWS).with_columns(kind=pl.Series(list("aabba"), dtype=kind))
    passing, failing = set_aside(frame, store)
    assert passing.equals(frame[PASSING])
    assert passing.schema == frame.schema
    assert failing.num_rows == 2


# pyarrow reads times with a time zone like this.
@pytest.mark.filterwarnings("ignore:Series.values returning an ndarray:DeprecationWarning")
def test_pandas_with_labels_and_types(store: LocalDirectory) -> None:
    """Duplicate labels, a categorical, integers with nulls."""
    frame = pd.DataFrame(ROWS).astype({"id": "Int64", "name": "category"})
    frame.index = pd.Index(["x", "x", "y", "y", "z"], name="label")
    passing, failing = set_aside(frame, store)
    pd.testing.assert_frame_equal(passing, frame.iloc[PASSING])
    assert failing["label"].to_pylist() == ["x", "y"]


def test_whatever_speaks_arrow(store: LocalDirectory) -> None:
    class Relation:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pa.Table.from_pylist(ROWS).__arrow_c_stream__(requested_schema)

    passing, _ = set_aside(Relation(), store)
    assert passing.equals(pa.Table.from_pylist(ROWS).take(PASSING))


@pytest.mark.parametrize("make", [pa.Table.from_pylist, pl.DataFrame])
def test_large_numbers_beside_a_null_stay_exact(make: Any) -> None:
    """As floats, these two would be equal."""
    data = make([{"id": 2**53}, {"id": 2**53 + 1}, {"id": None}])
    assert validate(data, [gxe.ExpectColumnValuesToBeUnique(column="id")], name="ids").success


def test_columns_of_mixed_types_are_quarantined_as_text(store: LocalDirectory) -> None:
    """Bad data often has mixed types."""
    frame = pd.DataFrame({"id": [1, "two", None, 4.5], "n": [1, -1, -2, -3]})
    wanted = [gxe.ExpectColumnValuesToBeBetween(column="n", min_value=0)]
    passing, failing = set_aside(frame, store, wanted)
    assert failing["id"].to_pylist() == ["two", None, "4.5"]
    pd.testing.assert_frame_equal(passing, frame.iloc[:1])


def test_all_rows_and_no_rows(store: LocalDirectory) -> None:
    wanted = [gxe.ExpectColumnValuesToBeBetween(column="n", min_value=0)]
    table = pa.table({"n": [-1, -2]})
    passing, failing = set_aside(table, store, wanted)
    assert (passing.num_rows, failing.num_rows) == (0, 2)
    assert passing.schema == table.schema
    assert validate(table.slice(0, 0), wanted, name="none").success


def test_the_frame_is_left_as_it_is() -> None:
    frame = pd.DataFrame(ROWS, index=list("abcde"))
    before = frame.copy(deep=True)
    validate(frame, EXPECTED, name="rows", on_failure="warn")
    pd.testing.assert_frame_equal(frame, before)


def test_many_rows_are_told_apart(store: LocalDirectory) -> None:
    """Great Expectations itself lists 20."""
    numbers = np.arange(5000)
    table = pa.table({"n": np.where(numbers % 3 == 0, -1, numbers)})
    wanted = [gxe.ExpectColumnValuesToBeBetween(column="n", min_value=0)]
    passing, failing = set_aside(table, store, wanted)
    assert (passing.num_rows, failing.num_rows) == (3333, 1667)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (3, "a int can't be validated"),
        (pl.LazyFrame({"n": [1]}), r"Call `collect\(\)` first"),
        (pa.table([[1], [2]], names=["n", "n"]), "two columns have the name 'n'"),
        (pd.DataFrame([[1, 2]], columns=["n", "n"]), "two columns have the name 'n'"),
    ],
)
def test_what_is_no_frame(data: Any, words: str) -> None:
    with pytest.raises(ValidationInvalid, match=words):
        validate(data, EXPECTED, name="rows")


def test_a_column_that_is_ours(store: LocalDirectory) -> None:
    table = pa.table({"n": [-1], "failed_expectations": ["x"]})
    wanted = [gxe.ExpectColumnValuesToBeBetween(column="n", min_value=0)]
    with pytest.raises(ValidationInvalid, match="Rename it"):
        set_aside(table, store, wanted)
