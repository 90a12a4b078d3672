"""The pytest plugin: flows in a test run in memory.

It is loaded in every pytest run where Flowstone is installed, so it imports next to nothing
until a test runs a flow.
"""

from __future__ import annotations

import sys
from inspect import getdoc
from typing import TYPE_CHECKING, Any

import pytest

from flowstone.context import current

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from flowstone.context.current import Services


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "flowstone_store",
        "where flows run in tests: 'memory' (nothing is kept), or 'settings' (as FLOWSTONE_… say)",
        default="memory",
    )
    parser.addoption(
        "--write-golden",
        action="store_true",
        help="write the golden documents of block types whose version has none yet",
    )


def pytest_configure(config: pytest.Config) -> None:
    store = config.getini("flowstone_store")
    if store not in {"memory", "settings"}:
        message = f"flowstone_store = {store!r}: use 'memory' or 'settings'"
        raise pytest.UsageError(message)
    if store == "memory":
        current.default_from("flowstone.testing.memory:memory_services")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Say in the report of a standard test that failed what to look at: its docstring."""
    report = yield
    # Where a standard test ran, this is loaded; a run without one must not pay for it.
    suites = sys.modules.get("flowstone.testing.conformance.suite")
    suite = suites and suites.suite_of(getattr(item, "cls", None))
    if suite and report.failed:
        name = getattr(item, "originalname", None) or item.name
        hint = getdoc(getattr(suite, name, None)) if hasattr(suite, name) else suite.__doc__
        report.sections.append((f"{suite.__name__}: what to look at", f"{hint}\n"))
    return report


@pytest.fixture
def flowstone_services() -> Iterator[Services]:
    """Services in memory for one test alone: an empty store, with nothing of other tests in it."""
    from flowstone.testing.memory import flowstone_test_harness  # noqa: PLC0415 - see above

    with flowstone_test_harness() as services:
        yield services
