"""Programs over Snowflake: each call shape, but that parameters are written as `?` or `:name`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from tests.services.snowflake import ACCOUNT, PASSWORD, USER

if TYPE_CHECKING:
    from tests.parity.conftest import Program
    from tests.services.snowflake import Snowflake


@pytest.fixture
def names(snowflake: Snowflake, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the programs have in place of their own account."""
    monkeypatch.setenv("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")
    login = {"account": ACCOUNT, "user": USER, "password": PASSWORD, "server_url": snowflake.url}
    return {"login": login, "place": f"P{uuid4().hex[:12].upper()}"}


def test_a_connector_is_saved_loaded_and_used(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        from prefect import flow, task
        from prefect_snowflake import SnowflakeConnector, SnowflakeCredentials

        SnowflakeCredentials(**login).save("credentials")
        SnowflakeConnector(
            credentials=SnowflakeCredentials.load("credentials"),
            database=place,
            warehouse="COMPUTE_WH",
            schema="PUBLIC",
            poll_frequency_s=1,
        ).save("connector")

        @task
        def setup_table(block_name: str) -> None:
            with SnowflakeConnector.load(block_name) as connector:
                connector.execute(
                    "CREATE TABLE IF NOT EXISTS customers (name varchar, address varchar);"
                )
                connector.execute_many(
                    "INSERT INTO customers (name, address) VALUES (:name, :address);",
                    seq_of_parameters=[
                        {"name": "Ford", "address": "Highway 42"},
                        {"name": "Unknown", "address": "Space"},
                        {"name": "Me", "address": "Myway 88"},
                    ],
                )

        @task
        def fetch_data(block_name: str) -> list:
            all_rows = []
            with SnowflakeConnector.load(block_name) as connector:
                all_rows += connector.fetch_many("SELECT * FROM customers ORDER BY 1", size=2)
                all_rows.append(
                    connector.fetch_one(
                        operation="SELECT name FROM customers WHERE address = :address",
                        parameters={"address": "Space"},
                    )
                )
                connector.reset_cursors()
            return all_rows

        @flow
        def snowflake_flow(block_name: str) -> list:
            setup_table(block_name)
            return fetch_data(block_name)

        rows = snowflake_flow("connector")
        """,
        **names,
    )
    assert made.rows == [("Ford", "Highway 42"), ("Me", "Myway 88"), ("Unknown",)]


def test_async_methods_have_the_known_names(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        import asyncio
        from prefect import flow
        from prefect_snowflake import SnowflakeConnector, SnowflakeCredentials

        @flow
        async def work() -> list:
            found = []
            with SnowflakeConnector(
                credentials=SnowflakeCredentials(**login),
                database=place, warehouse="COMPUTE_WH", schema="PUBLIC",
            ) as connector:
                await connector.execute_async("CREATE TABLE numbers (n integer)")
                await connector.execute_many_async(
                    "INSERT INTO numbers VALUES (?)", seq_of_parameters=[(1,), (2,), (3,)]
                )
                found.append(await connector.fetch_one_async("SELECT max(n) FROM numbers"))
                found += await connector.fetch_many_async(
                    "SELECT n FROM numbers ORDER BY n", size=2
                )
                found += await connector.fetch_all_async("SELECT n FROM numbers WHERE n > ?", [2])
            return found

        found = asyncio.run(work())
        """,
        **names,
    )
    assert made.found == [(3,), (1,), (2,), (3,)]


def test_queries_are_tasks(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        import asyncio
        from prefect import flow
        from prefect_snowflake import SnowflakeConnector, SnowflakeCredentials
        from prefect_snowflake import (
            snowflake_multiquery, snowflake_multiquery_async, snowflake_query,
            snowflake_query_async, snowflake_query_sync,
        )
        from snowflake.connector import DictCursor

        connector = SnowflakeConnector(
            credentials=SnowflakeCredentials(**login),
            database=place, warehouse="COMPUTE_WH", schema="PUBLIC",
        )

        @flow
        def sync_flow():
            made = snowflake_multiquery(
                [
                    "CREATE TABLE numbers (n integer)",
                    "INSERT INTO numbers VALUES (1), (2)",
                    "SELECT count(*) FROM numbers",
                ],
                connector,
                as_transaction=True,
                return_transaction_control_results=True,
            )
            return [
                len(made),
                made[3],
                snowflake_query("SELECT n FROM numbers WHERE n > ?", connector, params=[1]),
                snowflake_query_sync("SELECT 1 AS one", connector, cursor_type=DictCursor),
            ]

        @flow
        async def async_flow():
            one = await snowflake_query_async(
                "SELECT max(n) FROM numbers", connector, poll_frequency_seconds=1
            )
            two = await snowflake_multiquery_async(["SELECT 1", "SELECT 2"], connector)
            return [one, two]

        found = [*sync_flow(), *asyncio.run(async_flow())]
        """,
        **names,
    )
    assert made.found == [5, [(2,)], [(2,)], [{"ONE": 1}], [(2,)], [[(1,)], [(2,)]]]


def test_clients_are_the_connector_s_own(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        from prefect import flow
        from prefect_snowflake import SnowflakeConnector, SnowflakeCredentials

        credentials = SnowflakeCredentials(**login)

        @flow
        def work():
            with credentials.get_client(database=place, schema="PUBLIC") as connection:
                one = connection.cursor().execute("SELECT 1").fetchone()
            connector = SnowflakeConnector(
                credentials=credentials, database=place, warehouse="WH", schema="PUBLIC"
            )
            with connector.get_connection() as connection:
                with connection.cursor() as cursor:
                    two = cursor.execute("SELECT %s", (2,)).fetchone()
            connector.close()
            return one, two, credentials.resolve_private_key()

        found = work()
        """,
        **names,
    )
    assert made.found == ((1,), (2,), None)
