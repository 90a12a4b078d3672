"""The standard tests, on dbt's blocks and plugin."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING

import pytest

from flowstone.blocks import SqliteDatabase
from flowstone_dbt import (
    BigQueryTargetConfigs,
    DbtCliProfile,
    DuckDBTargetConfigs,
    GlobalConfigs,
    PostgresTargetConfigs,
    RedshiftTargetConfigs,
    SnowflakeTargetConfigs,
    TargetConfigs,
)
from flowstone_gcp import BigQueryWarehouse
from flowstone_testing import BlockSuite, PluginSuite

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Whatever the database is, the target configs keep its block.
DATABASE = SqliteDatabase(path="shop.db")


class TestPlugin(PluginSuite):
    plugin = "dbt"
    package = "flowstone_dbt"
    sdks = ("dbt", "dbt_common", "httpx", "jinja2", "duckdb", "psycopg2", "snowflake")


class TestTargetConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[TargetConfigs]:
        return [
            TargetConfigs(type="duckdb"),
            TargetConfigs(
                type="trino",
                schema_="shop",
                threads="{{ env_var('THREADS') | as_number }}",
                extras={
                    "host": "trino.example.org",
                    "password": token_hex(16),
                    "session_properties": {"api_key": token_hex(16), "a": [1, None, True]},
                    "user": "{{ env_var('TRINO_USER') }}",
                },
                allow_field_overrides=True,
            ),
        ]


class TestDuckDBTargetConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[DuckDBTargetConfigs]:
        secrets = [{"type": "s3", "key_id": "me", "secret": token_hex(16)}]
        return [
            DuckDBTargetConfigs(credentials=DATABASE),
            DuckDBTargetConfigs(credentials=DATABASE, extras={"secrets": secrets}, threads=1),
        ]


class TestPostgresTargetConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[PostgresTargetConfigs]:
        return [
            PostgresTargetConfigs(schema_="shop", credentials=DATABASE),
            PostgresTargetConfigs(
                schema_="shop", credentials=DATABASE, extras={"password": token_hex(16)}
            ),
        ]


class TestRedshiftTargetConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[RedshiftTargetConfigs]:
        return [
            RedshiftTargetConfigs(schema_="shop", credentials=DATABASE),
            RedshiftTargetConfigs(
                schema_="shop", credentials=DATABASE, extras={"password": token_hex(16)}
            ),
        ]


class TestSnowflakeTargetConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[SnowflakeTargetConfigs]:
        return [
            SnowflakeTargetConfigs(connector=DATABASE),
            SnowflakeTargetConfigs(
                schema_="PUBLIC", connector=DATABASE, extras={"token": token_hex(16)}
            ),
        ]


class TestBigQueryTargetConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[BigQueryTargetConfigs]:
        return [
            BigQueryTargetConfigs(schema_="shop"),
            BigQueryTargetConfigs(
                project="example-project",
                credentials=BigQueryWarehouse(dataset="shop"),
                extras={"keyfile_json": {"private_key": token_hex(16)}},
            ),
        ]


class TestGlobalConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[GlobalConfigs]:
        return [
            GlobalConfigs(),
            GlobalConfigs(use_colors=False, printer_width=60, extras={"quiet": True}),
        ]


class TestDbtCliProfile(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[DbtCliProfile]:
        return [
            DbtCliProfile(
                name="shop",
                target="dev",
                target_configs=TargetConfigs(type="trino", extras={"password": token_hex(16)}),
            ),
            DbtCliProfile(
                name="shop",
                target="prod",
                target_configs=PostgresTargetConfigs(schema_="shop", credentials=DATABASE),
                global_configs=GlobalConfigs(partial_parse=False),
            ),
        ]
