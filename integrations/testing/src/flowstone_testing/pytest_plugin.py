"""The pytest plugin of the kit: its options, and what to look at where a standard test failed.

It is loaded in every pytest run where the kit is installed, so it imports next to nothing.
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
        help="write the golden documents of block types whose version has none yet",
    )
    parser.addoption(
        "--live",
        action="store_true",
        help="run the tests of packages on real accounts, and what stands in `gaps`, too; their "
        "READMEs say what they need",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Say in the report of a standard test that failed what to look at: its docstring."""
    report = yield
    # Where a standard test ran, this is loaded; a run without one must not pay for it.
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
