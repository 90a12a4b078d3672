"""DuckDB itself, in the process; `--live` changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone.testing import flowstone_test_harness
from flowstone_duckdb import DuckDBDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    with flowstone_test_harness():
        yield


@pytest.fixture
def database() -> Iterator[DuckDBDatabase]:
    with DuckDBDatabase() as database:
        yield database
