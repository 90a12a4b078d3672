"""Files and folders of object stores."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from great_expectations import expectations as gxe

from flowstone.errors import ObjectMissing
from flowstone_great_expectations import StoredFiles, ValidationInvalid, validate

if TYPE_CHECKING:
    from flowstone.blocks import LocalDirectory

ROWS = [{"id": 1, "price": 2.5}, {"id": 2, "price": -1.0}]
EXPECTED = [gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0)]


def make_parquet() -> bytes:
    file = BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), file)
    return file.getvalue()


CONTENTS = {
    "orders.csv": b"id,price\n1,2.5\n2,-1.0\n",
    "orders.json": json.dumps(ROWS).encode(),
    "lines.json": b"".join(json.dumps(row).encode() + b"\n" for row in ROWS),
    "orders.jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in ROWS),
    "orders.PARQUET": make_parquet(),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file(store: LocalDirectory, name: str) -> None:
    store.write_path(f"in/{name}", CONTENTS[name])
    report = validate(
        StoredFiles(store, f"in/{name}"),
        EXPECTED,
        name="orders",
        on_failure="quarantine",
        quarantine=store,
    )
    assert report.data.to_pylist() == ROWS[:1]
    assert report.quarantined is not None
    (row,) = pq.read_table(BytesIO(store.read_path(report.quarantined.path))).to_pylist()
    assert row["id"] == 2


def test_a_folder(store: LocalDirectory) -> None:
    for at in range(3):
        store.write_path(f"in/2026/{at}.csv", CONTENTS["orders.csv"])
    store.write_path("in/2026/_SUCCESS", b"")
    report = validate(StoredFiles(store, "in"), EXPECTED, name="orders", on_failure="warn")
    assert (report.statistics["rows"], report.statistics["rows_failed"]) == (6, 3)


def test_bad_files(store: LocalDirectory) -> None:
    with pytest.raises(ObjectMissing):
        validate(StoredFiles(store, "nothing.csv"), EXPECTED, name="orders")
    with pytest.raises(ValidationInvalid, match="there is no file in that folder with"):
        validate(StoredFiles(store, "nothing"), EXPECTED, name="orders")
    store.write_path("mixed/a.csv", CONTENTS["orders.csv"])
    store.write_path("mixed/b.json", CONTENTS["orders.json"])
    with pytest.raises(ValidationInvalid, match=r"several formats: \.csv, \.json"):
        validate(StoredFiles(store, "mixed"), EXPECTED, name="orders")
    for name, content in (("a.parquet", b"PAR1"), ("a.json", b"[1"), ("b.json", b"[1]")):
        store.write_path(f"broken/{name}", content)
        with pytest.raises(ValidationInvalid, match="can't be read"):
            validate(StoredFiles(store, f"broken/{name}"), EXPECTED, name="orders")
