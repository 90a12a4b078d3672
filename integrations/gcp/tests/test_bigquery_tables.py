"""Whole tables of BigQuery: loaded, written by queries, appended to, extracted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from google.cloud.bigquery import PartitionRange, RangePartitioning, SchemaField
from pyarrow import parquet
from tests.services.bigquery_jobs import Jobs

from flowstone.errors import QueryCancelled, QueryInvalid, RowsInvalid, TableMissing
from flowstone_gcp import BigQueryWarehouse, GcsBucket

ROWS = pa.table({"id": [1, 2, 3], "name": ["a", None, "c"]})
DICTS = ROWS.to_pylist()
ALL = "SELECT id, name FROM t ORDER BY id"
TUPLES = [(1, "a"), (2, None), (3, "c")]


class TestLoads:
    @pytest.mark.parametrize(
        "rows", [DICTS, ROWS, pd.DataFrame(DICTS), pl.DataFrame(DICTS), ROWS.to_batches()]
    )
    def test_rows_of_any_kind_make_a_table(
        self, warehouse: BigQueryWarehouse, jobs: Jobs, rows: object
    ) -> None:
        assert warehouse.load_table("t", rows) == 3
        assert warehouse.fetch_all(ALL) == TUPLES
        load = jobs.configuration(jobs.started[0])["load"]
        assert (load["sourceFormat"], load["writeDisposition"]) == ("PARQUET", "WRITE_APPEND")
        assert [field["type"] for field in load["schema"]["fields"]] == ["INT64", "STRING"]

    def test_one_job_loads_all_batches(self, warehouse: BigQueryWarehouse, jobs: Jobs) -> None:
        def read() -> Iterator[pa.RecordBatch]:
            for start in range(0, 300_000, 100_000):
                yield pa.record_batch({"id": range(start, start + 100_000)})

        assert warehouse.load_table("t", read()) == 300_000
        assert len(jobs.started) == 1
        assert warehouse.fetch_one("SELECT COUNT(DISTINCT id) FROM t") == (300_000,)

    def test_nothing_is_added_of_rows_that_do_not_fit(
        self, warehouse: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        warehouse.load_table("t", ROWS)
        jobs.started.clear()

        def read() -> Iterator[pa.RecordBatch]:
            yield from ROWS.to_batches()
            yield pa.record_batch({"id": ["canary"], "name": ["a"]})

        wrong: list[object] = [
            read(), [{"id": "canary", "name": "a"}], [{"id": 1, "name": "a", "more": 2}],
            pa.table({"more": [1]}), [{"id": 1}, {"other": 1}], 7, "no-extension", "nowhere.csv",
        ]  # fmt: skip
        for rows in wrong:
            with pytest.raises(RowsInvalid) as caught:
                warehouse.load_table("t", rows)
            assert "canary" not in str(caught.value)
        assert jobs.started == []
        assert warehouse.fetch_all(ALL) == TUPLES

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("INT64", 1.5), ("INT64", Decimal("1.5")), ("INT64", 2.0**70), ("INT64", "1"),
            ("STRING", b"a"), ("DATE", datetime.combine(date(2026, 1, 1), time(12))),
            ("ARRAY<INT64>", [1, 1.5]),
        ],
    )  # fmt: skip
    def test_a_value_is_never_cut_to_fit(
        self, warehouse: BigQueryWarehouse, jobs: Jobs, kind: str, value: object
    ) -> None:
        warehouse.execute(f"CREATE TABLE exact (x {kind})")
        with pytest.raises(RowsInvalid, match="column 'x'"):
            warehouse.insert("exact", [{"x": value}])
        assert warehouse.fetch_all("SELECT * FROM exact") == []

    def test_a_table_is_written_over_or_must_be_empty(self, warehouse: BigQueryWarehouse) -> None:
        warehouse.load_table("t", ROWS)
        assert warehouse.load_table("t", ROWS, write_disposition="WRITE_TRUNCATE") == 3
        assert warehouse.fetch_all(ALL) == TUPLES
        with pytest.raises(QueryInvalid):
            warehouse.load_table("t", ROWS, write_disposition="WRITE_EMPTY")

    def test_a_new_table_is_partitioned_and_clustered(
        self, warehouse: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        rows = [{"day": date(2026, 1, 31), "name": "a"}]
        assert warehouse.load_table("t", rows, partition_by="day", cluster_by=["name"]) == 1
        load = jobs.configuration(jobs.started[0])["load"]
        assert load["timePartitioning"] == {"type": "DAY", "field": "day"}
        assert load["clustering"] == {"fields": ["name"]}

    def test_columns_are_added_where_that_is_allowed(
        self, warehouse: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        warehouse.load_table("t", ROWS)
        more = [{"id": 4, "name": "d", "more": 1.5}]
        jobs.failure = {"reason": "stopped", "message": "the emulator adds no columns"}
        with pytest.raises(QueryCancelled, match="stopped"):
            warehouse.load_table("t", more, schema_update_options=["ALLOW_FIELD_ADDITION"])
        load = jobs.configuration(jobs.started[-1])["load"]
        assert load["schemaUpdateOptions"] == ["ALLOW_FIELD_ADDITION"]
        names = [(field["name"], field["type"]) for field in load["schema"]["fields"]]
        assert names == [("id", "INT64"), ("name", "STRING"), ("more", "FLOAT64")]

    def test_a_partition_is_loaded_by_its_decorator(
        self, warehouse: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        warehouse.load_table("t", ROWS)
        jobs.failure = {"reason": "stopped", "message": "the emulator knows no decorators"}
        with pytest.raises(QueryCancelled, match="stopped"):
            warehouse.load_table("t$20260131", ROWS, write_disposition="WRITE_TRUNCATE")
        load = jobs.configuration(jobs.started[-1])["load"]
        assert load["destinationTable"]["tableId"] == "t$20260131"

    def test_files_are_loaded(self, warehouse: BigQueryWarehouse, tmp_path: Path) -> None:
        warehouse.load_table("t", ROWS.slice(0, 0))
        parquet.write_table(ROWS, tmp_path / "rows.parquet")
        (tmp_path / "rows.csv").write_text("id,name\n4,d\n")
        (tmp_path / "rows.jsonl").write_text(json.dumps({"id": 5, "name": "e"}) + "\n")
        for name in ("rows.parquet", "rows.csv", "rows.jsonl"):
            schema = [SchemaField("id", "INT64"), SchemaField("name", "STRING")]
            warehouse.load_table("t", tmp_path / name, schema=schema)
        assert warehouse.fetch_all(ALL) == [*TUPLES, (4, "d"), (5, "e")]

    def test_objects_of_cloud_storage_are_loaded(
        self, warehouse: BigQueryWarehouse, buckets: Path, jobs: Jobs
    ) -> None:
        folder = buckets / "raw" / str(warehouse.dataset)
        folder.mkdir(parents=True)
        parquet.write_table(ROWS, folder / "one.parquet")
        parquet.write_table(ROWS, folder / "two.parquet")
        warehouse.load_table("t", ROWS.slice(0, 0))
        uris = [f"gs://raw/{warehouse.dataset}/{name}.parquet" for name in ("one", "two")]
        assert warehouse.load_table("t", uris) == 6
        assert jobs.configuration(jobs.started[-1])["load"]["sourceUris"] == uris
        assert warehouse.fetch_one("SELECT COUNT(*) FROM t") == (6,)


MOMENT = datetime(2024, 2, 29, 23, 59, 58, 123456, UTC)
MIDNIGHT = datetime(1969, 12, 31, tzinfo=UTC)
TYPED: dict[str, tuple[object, object]] = {
    "a": (1, -(2**63)),
    "b": (0.5, -1e300),
    "c": ("ä'", ""),
    "d": (b"\0\xff", b""),
    "e": (True, False),
    "f": (Decimal("12345.67"), Decimal("-0.01")),
    "g": (date(2024, 2, 29), date(1969, 12, 31)),
    "h": (MOMENT.replace(tzinfo=None), MIDNIGHT.replace(tzinfo=None)),
    "i": (MOMENT, MIDNIGHT),
    "j": (time(23, 59, 58), time(0)),
}


def test_typed_rows_come_back_the_same_by_each_way(warehouse: BigQueryWarehouse) -> None:
    """A check of what tables dropped in between keep the standard test from."""
    rows = [{name: pair[place] for name, pair in TYPED.items()} for place in (0, 1)]
    empty: dict[str, object] = dict.fromkeys(TYPED)
    names = ", ".join(TYPED)
    table = pa.Table.from_pylist([*rows, empty])
    warehouse.load_table("loaded", table)
    warehouse.load_table("appended", table.slice(0, 0))
    warehouse.append_rows("appended", table)
    warehouse.load_table("inserted", table.slice(0, 0))
    warehouse.insert("inserted", [*rows, empty])
    expected = [tuple(row.values()) for row in (*rows, empty)]
    for name in ("loaded", "appended", "inserted"):
        query = f"SELECT {names} FROM {name} ORDER BY a DESC NULLS LAST"
        found = warehouse.fetch_all(query)
        assert found == expected, name
        assert [[type(v) for v in row] for row in found] == [[type(v) for v in r] for r in expected]
        assert [tuple(row.values()) for row in warehouse.fetch_arrow(query).to_pylist()] == expected


def test_json_and_lists_are_kept(warehouse: BigQueryWarehouse) -> None:
    rows = [{"id": 1, "doc": {"a": [1, None]}, "tags": ["x", "y"]}]
    assert warehouse.insert("docs", rows, create=True) == 1
    assert warehouse.fetch_all("SELECT doc, tags FROM docs") == [({"a": [1, None]}, ["x", "y"])]


class TestAppends:
    def test_rows_are_seen_when_all_are_there(self, warehouse: BigQueryWarehouse) -> None:
        warehouse.load_table("t", ROWS.slice(0, 0))

        def read() -> Iterator[pa.RecordBatch]:
            for _ in range(3):
                yield from ROWS.to_batches()
                assert warehouse.fetch_one("SELECT COUNT(*) FROM t") == (0,)

        assert warehouse.append_rows("t", read()) == 9
        assert warehouse.append_rows("t", DICTS) == 3
        assert warehouse.append_rows("t", []) == 0
        assert warehouse.fetch_one("SELECT COUNT(*) FROM t") == (12,)

    def test_nothing_is_committed_of_rows_that_do_not_fit(
        self, warehouse: BigQueryWarehouse
    ) -> None:
        warehouse.load_table("t", ROWS.slice(0, 0))

        def read() -> Iterator[pa.RecordBatch]:
            yield from ROWS.to_batches()
            yield pa.record_batch({"id": ["canary"], "name": ["a"]})

        with pytest.raises(RowsInvalid):
            warehouse.append_rows("t", read())
        assert warehouse.fetch_all("SELECT * FROM t") == []
        with pytest.raises(TableMissing):
            warehouse.append_rows("nowhere", ROWS)


class TestQueries:
    def test_a_query_writes_a_table(self, warehouse: BigQueryWarehouse, jobs: Jobs) -> None:
        query = "SELECT ? AS id, 'a' AS name"
        assert warehouse.write_query(query, "t", [1], cluster_by=["id"]) == 1
        found = jobs.configuration(jobs.started[-1])["query"]
        assert found["writeDisposition"] == "WRITE_EMPTY"
        assert found["clustering"] == {"fields": ["id"]}
        assert found["destinationTable"]["tableId"] == "t"

    def test_a_dry_run_runs_nothing(self, warehouse: BigQueryWarehouse, jobs: Jobs) -> None:
        warehouse.load_table("t", ROWS)
        jobs.started.clear()
        assert warehouse.dry_run("SELECT id FROM t WHERE id = ?", [1]) == 0  # of the emulator
        with pytest.raises(TableMissing):
            warehouse.dry_run("SELECT id FROM nowhere")
        with pytest.raises(QueryInvalid):
            warehouse.dry_run("SELEC 1")
        assert jobs.started == []

    def test_limits_and_settings_go_with_each_query(
        self, warehouse: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        warehouse.maximum_bytes_billed = 10**9
        warehouse.priority = "BATCH"
        warehouse.use_query_cache = False
        warehouse.labels = {"Team": "Data & Co"}
        warehouse.fetch_all("SELECT 1")
        found = jobs.configuration(jobs.started[-1])
        assert found["query"]["maximumBytesBilled"] == "1000000000"
        assert (found["query"]["priority"], found["query"]["useQueryCache"]) == ("BATCH", False)
        assert found["labels"] == {"team": "data-co"}

    def test_a_script_with_variables_runs_as_one_job(
        self, warehouse: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        warehouse.load_table("t", ROWS)
        jobs.started.clear()
        assert len(warehouse.execute_script("DECLARE x INT64 DEFAULT 3; SELECT x;")) == 1
        assert len(jobs.started) == 1
        script = (
            f"DELETE FROM {warehouse.dataset}.t WHERE id = 1; -- one\nDELETE FROM t WHERE id > 1"
        )
        assert warehouse.execute_script(script) == [1, 2]

    def test_large_results_come_by_rest_without_a_storage_session(
        self, warehouse: BigQueryWarehouse
    ) -> None:
        """The emulator refuses storage sessions for results; `--live` reads by the Storage API."""
        numbers = "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 5000)) AS n ORDER BY n"
        assert warehouse.fetch_arrow(numbers)["n"].to_pylist() == list(range(1, 5001))
        batches = list(warehouse.stream_arrow(numbers, batch_rows=1000))
        assert [batch.num_rows for batch in batches] == [1000] * 5

    def test_lists_are_arrays_in_parameters(self, warehouse: BigQueryWarehouse, jobs: Jobs) -> None:
        assert warehouse.fetch_one("SELECT ARRAY_LENGTH(:ids)", {"ids": [1, 3]}) == (2,)
        [parameter] = jobs.configuration(jobs.started[-1])["query"]["queryParameters"]
        assert parameter["parameterType"] == {"type": "ARRAY", "arrayType": {"type": "INT64"}}

    def test_a_null_parameter_fits_each_column(
        self, warehouse: BigQueryWarehouse, jobs: Jobs
    ) -> None:
        warehouse.load_table("t", ROWS)
        assert warehouse.execute("UPDATE t SET name = ? WHERE id = ?", [None, 1]) == 1
        query = jobs.configuration(jobs.started[-1])["query"]
        assert query["query"] == "UPDATE t SET name = NULL WHERE id = ?"
        assert len(query["queryParameters"]) == 1


class TestTables:
    def test_a_table_is_made(self, warehouse: BigQueryWarehouse) -> None:
        fields = [SchemaField("id", "INT64"), SchemaField("day", "DATE")]
        name = warehouse.create_table("t", fields, partition_by="day", cluster_by=["id"])
        assert name == f"example-project.{warehouse.dataset}.t"
        table = warehouse.get_client().get_table(name)
        assert table.clustering_fields == ["id"]
        assert table.time_partitioning.field == "day"
        with pytest.raises(QueryInvalid, match="Already Exists"):
            warehouse.create_table("t", fields)
        assert warehouse.create_table("t", fields, exists_ok=True) == name
        buckets = RangePartitioning(range_=PartitionRange(0, 100, 10), field="id")
        assert warehouse.create_table("ranges", fields, partition_by=buckets)
        warehouse.dataset = None
        with pytest.raises(QueryInvalid, match="no dataset"):
            warehouse.create_table("t", fields)

    def test_a_table_is_extracted(self, warehouse: BigQueryWarehouse, buckets: Path) -> None:
        folder = buckets / "out" / str(warehouse.dataset)
        folder.mkdir(parents=True)
        warehouse.load_table("t", ROWS)
        warehouse.extract_table("t", f"gs://out/{warehouse.dataset}/t.parquet")
        assert parquet.read_table(folder / "t.parquet").num_rows == 3

    def test_a_query_is_unloaded_by_a_job(
        self,
        warehouse: BigQueryWarehouse,
        bucket: GcsBucket,
        jobs: Jobs,
        buckets: Path,
    ) -> None:
        folder = buckets / bucket.bucket / bucket.basepath / "out"
        folder.mkdir(parents=True)
        warehouse.load_table("t", ROWS)
        paths = warehouse.unload("SELECT id FROM t WHERE id > :n", bucket, "out", {"n": 1})
        assert paths == ["out/part-000000000000.parquet"]
        found = jobs.configuration(jobs.started[-1])["query"]["query"]
        assert found.startswith(f"EXPORT DATA OPTIONS(uri='gs://{bucket.bucket}/")
        assert [path.name for path in folder.iterdir()] == ["part-000000000000.parquet"]

    def test_objects_of_a_bucket_are_copied_into_a_table_by_a_job(
        self,
        warehouse: BigQueryWarehouse,
        bucket: GcsBucket,
        jobs: Jobs,
        buckets: Path,
    ) -> None:
        folder = buckets / bucket.bucket / bucket.basepath / "in"
        folder.mkdir(parents=True)
        parquet.write_table(ROWS, folder / "rows.parquet")
        bucket.write_path("in/rows.parquet", (folder / "rows.parquet").read_bytes())
        warehouse.load_table("t", ROWS.slice(0, 0))
        assert warehouse.copy_into("t", bucket, "in/*.parquet") == 3
        [uri] = jobs.configuration(jobs.started[-1])["load"]["sourceUris"]
        assert uri == f"gs://{bucket.bucket}/{bucket.basepath}/in/rows.parquet"
        assert warehouse.fetch_all(ALL) == TUPLES


def test_twins_do_the_same(warehouse: BigQueryWarehouse) -> None:
    async def work() -> None:
        fields = [SchemaField("id", "INT64"), SchemaField("name", "STRING")]
        assert await warehouse.acreate_table("t", fields)
        assert await warehouse.aload_table("t", ROWS) == 3
        assert await warehouse.aappend_rows("t", ROWS) == 3
        assert await warehouse.adry_run("SELECT 1") == 0
        assert await warehouse.awrite_query("SELECT 1 AS a", "other") == 1

    asyncio.run(work())


def test_the_client_and_its_connection_are_at_hand(warehouse: BigQueryWarehouse) -> None:
    cursor = warehouse.get_connection().cursor()
    cursor.execute("SELECT 1")
    assert [tuple(row) for row in cursor.fetchall()] == [(1,)]
    warehouse.reset_cursors()
