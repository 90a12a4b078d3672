"""The pytest plugin: flows in a test run use memory.

It is loaded in every pytest run in an environment with Flowstone, so it imports almost nothing
until a test runs a flow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone.context import current

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.context.current import Services


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "flowstone_store",
        "where flows run in tests: 'memory' (nothing is kept), or 'settings' (as FLOWSTONE_… say)",
        default="memory",
    )


def pytest_configure(config: pytest.Config) -> None:
    store = config.getini("flowstone_store")
    if store not in {"memory", "settings"}:
        message = f"flowstone_store = {store!r}: use 'memory' or 'settings'"
        raise pytest.UsageError(message)
    if store == "memory":
        current.set_default_origin("flowstone.testing.memory:memory_services")


@pytest.fixture
def flowstone_services() -> Iterator[Services]:
    """Services in memory for a single test, with an empty store."""
    from flowstone.testing.memory import flowstone_test_harness  # see above

    with flowstone_test_harness() as services:
        yield services
