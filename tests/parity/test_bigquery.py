"""Programs of our own over BigQuery, one for each call shape that people have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from flowstone_gcp import GcpCredentials

if TYPE_CHECKING:
    from tests.parity.conftest import Program
    from tests.services.bigquery import Emulator


@pytest.fixture
def shop(bigquery: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A login at the emulator, which the SDK finds by its own variable, and an empty dataset."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)
    login = GcpCredentials(anonymous=True, project="example-project", scopes=[uuid4().hex])
    dataset = f"shop_{uuid4().hex}"
    client = login.get_bigquery_client()
    client.create_dataset(dataset)
    yield {"gcp_credentials": login, "dataset": dataset}
    client.delete_dataset(dataset, delete_contents=True)


def test_tasks_make_fill_and_query_a_table(program: Program, shop: dict[str, Any]) -> None:
    made = program(
        """
        from google.cloud.bigquery import SchemaField
        from prefect import flow
        from prefect_gcp import (
            bigquery_create_table,
            bigquery_insert_stream,
            bigquery_load_file,
            bigquery_query,
        )

        with open("rows.csv", "w") as file:
            file.write("number,text\\n3,ghi\\n")

        @flow
        def example():
            schema = [
                SchemaField("number", field_type="INTEGER", mode="REQUIRED"),
                SchemaField("text", field_type="STRING", mode="NULLABLE"),
            ]
            table = bigquery_create_table(
                dataset=dataset, table="rows", schema=schema, gcp_credentials=gcp_credentials
            )
            records = [{"number": 1, "text": "abc"}, {"number": 2, "text": "def"}]
            bigquery_insert_stream(
                dataset=dataset, table=table, records=records, gcp_credentials=gcp_credentials
            )
            bigquery_load_file(
                dataset=dataset, table=table, path="rows.csv", schema=schema,
                job_config={"skip_leading_rows": 1}, gcp_credentials=gcp_credentials,
            )
            operation = f"SELECT * FROM {dataset}.rows WHERE number > @least ORDER BY number"
            return bigquery_query(
                operation, gcp_credentials, query_params=[("least", "INTEGER", 1)],
                result_transformer=lambda rows: [row["text"] for row in rows],
            )

        result = example()
        """,
        **shop,
    )
    assert made.result == ["def", "ghi"]


def test_twins_are_awaited(program: Program, shop: dict[str, Any]) -> None:
    made = program(
        """
        import asyncio
        from prefect import flow
        from prefect_gcp import abigquery_query

        @flow
        async def example():
            frame = await abigquery_query("SELECT 1 AS one", gcp_credentials, to_dataframe=True)
            return frame["one"].tolist()

        result = asyncio.run(example())
        """,
        **shop,
    )
    assert made.result == [1]


def test_a_warehouse_runs_statements(program: Program, shop: dict[str, Any]) -> None:
    made = program(
        """
        from prefect import flow
        from prefect_gcp import BigQueryWarehouse

        BigQueryWarehouse(gcp_credentials=gcp_credentials).save("warehouse")

        @flow
        def example():
            with BigQueryWarehouse.load("warehouse") as warehouse:
                warehouse.execute(f"CREATE TABLE {dataset}.rows (name STRING, number INT64)")
                warehouse.execute_many(
                    f"INSERT INTO {dataset}.rows VALUES (:name, :number)",
                    seq_of_parameters=[{"name": "a", "number": 1}, {"name": "b", "number": 2}],
                )
                query = f"SELECT number FROM {dataset}.rows ORDER BY number"
                return (
                    warehouse.fetch_one(query),
                    warehouse.fetch_many(query, size=2),
                    warehouse.fetch_all(query),
                )

        result = example()
        """,
        **shop,
    )
    assert made.result == ((1,), [(1,), (2,)], [(1,), (2,)])


def test_a_client_is_the_sdk_s(program: Program, shop: dict[str, Any]) -> None:
    made = program(
        """
        from prefect import flow
        from prefect_gcp import GcpCredentials

        assert isinstance(gcp_credentials, GcpCredentials)
        client = gcp_credentials.get_bigquery_client()
        same = gcp_credentials.get_client("bigquery")
        result = [dataset.dataset_id for dataset in client.list_datasets()]
        """,
        **shop,
    )
    assert shop["dataset"] in made.result
    assert made.client is made.same
