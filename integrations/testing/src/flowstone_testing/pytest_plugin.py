"""The pytest plugin of the kit: its options, and a hint for each standard test that failed.

Every pytest run loads it if the kit is installed, so it imports next to nothing.
"""

from __future__ import annotations

import sys
from inspect import getdoc
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-golden",
        action="store_true",
        help="write the golden documents that are missing for block types and their versions",
    )
    parser.addoption(
        "--live",
        action="store_true",
        help="also run tests that need real accounts, and those in `gaps`; the READMEs of packages "
        "describe what they need",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Add the hint, a standard test's docstring, to the report if the test failed."""
    report = yield
    # Already loaded if a standard test ran; a run without one must not pay for the import.
    suites = sys.modules.get("flowstone_testing.conformance.suite")
    cls = getattr(item, "cls", None)
    suite = suites and suites.find_suite(cls)
    name = getattr(item, "originalname", None) or item.name
    if str(report.longrepr).startswith("[XPASS(strict)]") and name in getattr(cls, "gaps", ()):
        report.longrepr = suites.describe_stale_gap(cls, name) if suites else None
    elif suite and report.failed:
        hint = getdoc(getattr(suite, name, None)) if hasattr(suite, name) else suite.__doc__
        report.sections.append((f"{suite.__name__}: what to look at", f"{hint}\n"))
    return report
