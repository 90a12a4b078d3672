"""The standard tests of databases, on BigQuery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar

import pytest

from flowstone.blocks import Database
from flowstone.blocks.databases import AwareDatetime
from flowstone.errors import RowsInvalid
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


#: It runs for hours; the tests' endpoint holds it.
ENDLESS = (
    "SELECT COUNT(*) FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a, "
    "UNNEST(GENERATE_ARRAY(1, 1000000)) AS b WHERE MOD(a * b, 7) = 3"
)
DROPPED = EmulatorGap(
    "bqemulator", "1.3.0", "a table dropped by a statement stays in its catalog", RowsInvalid
)


class TestBigQuery(DatabaseSuite):
    keeps: ClassVar[frozenset[type]] = frozenset(
        {bool, Decimal, date, datetime, AwareDatetime, list, dict}
    )
    constraints = transactions = savepoints = odd_names = standard_quotes = False
    series = "SELECT i FROM UNNEST(GENERATE_ARRAY(1, :count)) AS i"
    endless = ENDLESS
    count = 60_000
    gaps: ClassVar[Mapping[str, EmulatorGap]] = {
        "test_common_types_come_back_as_they_went": DROPPED,
        "test_declared_types_come_back_as_they_went": DROPPED,
        "test_other_columns_stay": EmulatorGap(
            "bqemulator", "1.3.0", "it loads Parquet by the columns' places", RowsInvalid
        ),
    }

    @pytest.fixture
    def database(self, warehouse: BigQueryWarehouse) -> BigQueryWarehouse:
        return warehouse

    @pytest.fixture
    def items(self, database: Database) -> Database:
        database.execute("CREATE TABLE items (id INT64, name STRING)")
        return database
