"""The tasks of BigQuery, called as programs for the incumbent call them."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from uuid import uuid4

import pytest
from google.cloud.bigquery import ScalarQueryParameter, SchemaField, TimePartitioning
from pandas import DataFrame
from tests.services.bigquery_jobs import Jobs

from flowstone import flow
from flowstone.errors import DatabaseError, QueryInvalid, RowsInvalid, TableMissing
from flowstone_gcp import (
    BigQueryWarehouse,
    abigquery_query,
    bigquery_create_table,
    bigquery_insert_stream,
    bigquery_load_cloud_storage,
    bigquery_load_file,
    bigquery_query,
)

SCHEMA = [SchemaField("number", "INTEGER"), SchemaField("text", "STRING")]
RECORDS = [{"number": 1, "text": "abc"}, {"number": 2, "text": "def"}]


@pytest.fixture
def dataset(warehouse: BigQueryWarehouse) -> str:
    return str(warehouse.dataset)


def test_a_query_returns_rows(warehouse: BigQueryWarehouse) -> None:
    query = "SELECT @n AS n, @day AS day"
    parameters = [("n", "INT64", 7), ScalarQueryParameter("day", "STRING", "mo")]
    found = bigquery_query.fn(query, warehouse, query_params=parameters)
    assert isinstance(found, list)
    [row] = found
    assert (row[0], row["day"], row.n, row.get("other", 0)) == (7, "mo", 7, 0)
    assert dict(row.items()) == {"n": 7, "day": "mo"}
    assert list(row.keys()) == ["n", "day"]
    assert pickle.loads(pickle.dumps(row)).day == "mo"
    with pytest.raises(KeyError):
        row["other"]
    with pytest.raises(AttributeError, match="other"):
        row.other
    frame = bigquery_query.fn("SELECT 1 AS one", warehouse, to_dataframe=True)
    assert isinstance(frame, DataFrame)
    assert frame["one"].tolist() == [1]
    assert bigquery_query.fn("SELECT 1", warehouse, result_transformer=len) == 1


def test_a_query_writes_a_table(warehouse: BigQueryWarehouse, dataset: str, jobs: Jobs) -> None:
    bigquery_query.fn(
        "SELECT 1 AS one",
        warehouse,
        dataset=dataset,
        table="ones",
        job_config={"write_disposition": "WRITE_TRUNCATE"},
        location="EU",
    )
    found = jobs.known[jobs.started[-1]]
    assert found["configuration"]["query"]["writeDisposition"] == "WRITE_TRUNCATE"
    assert found["configuration"]["query"]["destinationTable"]["tableId"] == "ones"
    assert found["jobReference"]["location"] == "EU"
    with pytest.raises(QueryInvalid, match="only one"):
        bigquery_query.fn("SELECT 1", warehouse, table="ones")
    with pytest.raises(QueryInvalid, match="job_config"):
        bigquery_query.fn("SELECT 1", warehouse, job_config={"nonsense": 1})


def test_a_query_that_reads_too_much_is_not_run(warehouse: BigQueryWarehouse, jobs: Jobs) -> None:
    with pytest.raises(DatabaseError, match="0 bytes, and -1 are allowed"):
        bigquery_query.fn("SELECT 1", warehouse, dry_run_max_bytes=-1)
    assert jobs.started == []
    assert bigquery_query.fn("SELECT 1 AS one", warehouse, dry_run_max_bytes=0)


def test_a_script_is_one_query(warehouse: BigQueryWarehouse) -> None:
    found = bigquery_query.fn("DECLARE x INT64 DEFAULT 3; SELECT x;", warehouse)
    assert found == [(3,)]


def test_a_table_is_made_with_its_dataset(warehouse: BigQueryWarehouse) -> None:
    name = f"flowstone_{uuid4().hex}"
    client = warehouse.get_client()
    try:
        made = bigquery_create_table.fn(
            name,
            "t",
            warehouse,
            schema=[*SCHEMA, SchemaField("day", "DATE")],
            clustering_fields=["text"],
            time_partitioning=TimePartitioning(field="day"),
        )
        assert made == "t"
        assert bigquery_create_table.fn(name, "t", warehouse, schema=SCHEMA) == "t"
        assert client.get_table(f"{name}.t").clustering_fields == ["text"]
    finally:
        client.delete_dataset(name, delete_contents=True)
    with pytest.raises(QueryInvalid, match="external_config"):
        bigquery_create_table.fn(name, "t", warehouse)


def test_rows_are_streamed(warehouse: BigQueryWarehouse, dataset: str, jobs: Jobs) -> None:
    bigquery_create_table.fn(dataset, "t", warehouse, schema=SCHEMA)
    assert bigquery_insert_stream.fn(dataset, "t", RECORDS, warehouse) == []
    assert warehouse.fetch_all("SELECT number FROM t ORDER BY number") == [(1,), (2,)]
    with pytest.raises(TableMissing):
        bigquery_insert_stream.fn(dataset, "nowhere", RECORDS, warehouse)
    message = "Cannot convert value to integer (bad value): canary"
    error = {"reason": "invalid", "location": "number", "message": message}
    jobs.row_errors = [{"index": 1, "errors": [error]}]
    with pytest.raises(RowsInvalid, match=r"1 of 2 rows .* row 1, column 'number'") as caught:
        bigquery_insert_stream.fn(dataset, "t", RECORDS, warehouse)
    assert "canary" not in str(caught.value)


def test_a_file_is_loaded(
    warehouse: BigQueryWarehouse, dataset: str, tmp_path: Path, jobs: Jobs
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("number,text\n1,abc\n2,def\n")
    found = bigquery_load_file.fn(dataset, "t", path, warehouse, schema=SCHEMA)
    assert found.output_rows == 2
    assert found.job_id == jobs.started[-1]
    first = len("number,text\n1,abc\n")
    bigquery_load_file.fn(dataset, "t", str(path), warehouse, schema=SCHEMA, size=first)
    assert warehouse.fetch_one("SELECT COUNT(*) FROM t") == (3,)
    for wrong in ("nowhere.csv", tmp_path):
        with pytest.raises(RowsInvalid, match="can't be read"):
            bigquery_load_file.fn(dataset, "t", wrong, warehouse)
    with pytest.raises(TableMissing):
        bigquery_load_file.fn("nowhere", "t", path, warehouse, schema=SCHEMA)


def test_objects_are_loaded(warehouse: BigQueryWarehouse, dataset: str, jobs: Jobs) -> None:
    jobs.failure = {"reason": "notFound", "message": "Not found: URI gs://nowhere/a.csv"}
    with pytest.raises(DatabaseError, match="gs://nowhere"):
        bigquery_load_cloud_storage.fn(
            dataset, "t", "gs://nowhere/a.csv", warehouse, job_config={"skip_leading_rows": 1}
        )
    load = jobs.configuration(jobs.started[-1])["load"]
    assert load["sourceUris"] == ["gs://nowhere/a.csv"]
    assert (load["sourceFormat"], load["autodetect"], load["skipLeadingRows"]) == ("CSV", True, "1")


def test_a_login_alone_is_enough(
    warehouse: BigQueryWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's own variable leads to the emulator."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", str(warehouse.endpoint))
    login = warehouse.gcp_credentials.model_copy(update={"scopes": ["a-login-of-its-own"]})
    assert bigquery_query.fn("SELECT 1 AS one", login) == [(1,)]
    assert login.get_bigquery_client().project == "example-project"
    other = login.get_bigquery_client(project="other-project", location="EU")
    assert (other.project, other.location) == ("other-project", "EU")


def test_it_runs_in_an_async_flow(warehouse: BigQueryWarehouse) -> None:
    @flow
    async def run() -> object:
        return await abigquery_query("SELECT 1 AS one", warehouse)

    assert asyncio.run(run()) == [(1,)]
