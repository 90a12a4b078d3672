"""Object stores that statements read and write."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowstone.blocks import LocalDirectory
from flowstone.errors import BlockInvalid, DatabaseError
from flowstone.records.access import DatabaseAccess
from flowstone_duckdb import DuckDBDatabase


@pytest.fixture
def store(tmp_path: Path) -> LocalDirectory:
    store = LocalDirectory(basepath=tmp_path / "lake")
    for month in (1, 2):
        draft = tmp_path / f"{month}.parquet"
        pq.write_table(pa.table({"month": [month] * 3, "n": [1, 2, 3]}), draft)
        store.upload_from_path(draft, f"2026/{month}.parquet")
    store.write_path("names.csv", b"month,name\n1,January\n2,February\n")
    return store


def test_statements_read_a_store(store: LocalDirectory) -> None:
    with DuckDBDatabase(stores={"lake": store}) as database:
        rows = database.fetch_all(
            "SELECT name, sum(n)::INT FROM 'lake://2026/*.parquet' JOIN 'lake://names.csv' "
            "USING (month) GROUP BY name ORDER BY name"
        )
    assert rows == [("February", 6), ("January", 6)]


def test_statements_write_a_store(store: LocalDirectory) -> None:
    with DuckDBDatabase(stores={"lake": store, "other": store}) as database:
        database.execute("COPY (SELECT 7 AS n) TO 'lake://out/a.parquet'")
        database.execute("COPY (SELECT 8 AS n) TO 'other://out/b.csv' (HEADER)")
        assert database.fetch_one("FROM 'other://out/a.parquet'") == (7,)
    assert store.read_path("out/b.csv") == b"n\n8\n"


def test_what_is_not_there_is_an_error_of_ours(store: LocalDirectory) -> None:
    with (
        DuckDBDatabase(stores={"lake": store}) as database,
        pytest.raises(DatabaseError, match=r"no.parquet"),
    ):
        database.fetch_all("FROM 'lake://no.parquet'")


@pytest.mark.parametrize("name", ["s3", "Lake", "my-lake", "", "a:b"])
def test_a_store_has_a_name_of_its_own(store: LocalDirectory, name: str) -> None:
    with pytest.raises(BlockInvalid, match="is not a valid store name"):
        DuckDBDatabase(stores={name: store})


def test_it_comes_back_with_its_stores(store: LocalDirectory) -> None:
    store.save("lake")
    DuckDBDatabase(stores={"lake": store}).save("analysis")
    again = DuckDBDatabase.load("analysis")
    assert again.stores == {"lake": store}
    with again:
        assert again.fetch_one("SELECT count(*) FROM 'lake://names.csv'") == (2,)


def test_a_file_is_handed_out_to_other_tools(tmp_path: Path) -> None:
    path = str(tmp_path / "a.duckdb")
    assert DuckDBDatabase(path=path).access() == DatabaseAccess("duckdb", path)
    tuned = DuckDBDatabase(
        path=path, read_only=True, config={"threads": 2, "preserve_insertion_order": False}
    )
    assert tuned.access().options == {
        "threads": "2", "preserve_insertion_order": "false", "access_mode": "READ_ONLY",
    }  # fmt: skip
    with pytest.raises(DatabaseError, match="other tools can't connect"):
        DuckDBDatabase().access()
