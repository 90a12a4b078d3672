"""DuckDB passes the suites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from flowstone.blocks import Block, Database
from flowstone_duckdb import DuckDBDatabase
from flowstone_testing import BlockSuite, DatabaseSuite, PluginSuite


class TestDuckDBDatabase(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [
            DuckDBDatabase(),
            DuckDBDatabase(path="ä.db", read_only=True, config={"threads": 1}),
        ]


class DuckDB(DatabaseSuite):
    savepoints = False
    series = "SELECT i FROM range(1, :count + 1) AS t(i)"


class TestDuckDBFile(DuckDB):
    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        with DuckDBDatabase(path=str(tmp_path / "odd ?#%20name.db")) as database:
            yield database


class TestDuckDBMemory(DuckDB):
    persists = False

    @pytest.fixture
    def database(self) -> Iterator[Database]:
        with DuckDBDatabase() as database:
            yield database


class TestPlugin(PluginSuite):
    plugin = "duckdb"
    package = "flowstone_duckdb"
    sdks = ("duckdb", "_duckdb", "pyarrow", "pandas", "polars")
