"""dbt and its adapters in processes of their own; PostgreSQL is of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone.testing import flowstone_test_harness

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    with flowstone_test_harness():
        yield
