"""The standard tests of databases, on BigQuery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar

import pytest

from flowstone.blocks import Database
from flowstone.blocks.databases import AwareDatetime
from flowstone_gcp import BigQueryWarehouse, GcpCredentials
from flowstone_testing import BlockSuite, DatabaseSuite, EmulatorGap


class TestBigQueryWarehouseBlock(BlockSuite):
    @pytest.fixture
    def examples(self, key: dict[str, str]) -> Sequence[BigQueryWarehouse]:
        return [
            BigQueryWarehouse(),
            BigQueryWarehouse(
                gcp_credentials=GcpCredentials(service_account_info=key),
                project="other-project",
                dataset="shop",
                location="EU",
                maximum_bytes_billed=10**9,
                labels={"team": "data"},
                priority="BATCH",
                cancel_on_kill=False,
            ),
        ]


class TestBigQuery(DatabaseSuite):
    keeps: ClassVar[frozenset[type]] = frozenset(
        {bool, Decimal, date, datetime, AwareDatetime, list, dict}
    )
    constraints = transactions = savepoints = False
    series = "SELECT i FROM UNNEST(GENERATE_ARRAY(1, :count)) AS i"
    count = 200_000
    gaps: ClassVar[Mapping[str, EmulatorGap]] = {}

    @pytest.fixture
    def database(self, warehouse: BigQueryWarehouse) -> BigQueryWarehouse:
        return warehouse

    @pytest.fixture
    def items(self, database: Database) -> Database:
        database.execute("CREATE TABLE items (id INT64, name STRING)")
        return database
