"""Of an error of the machine that many runs report, one report is shown."""

from __future__ import annotations

import errno
import logging
from types import SimpleNamespace

import pytest

from flowstone.errors import StoreUnusable
from flowstone.logging.faults import FaultFilter
from flowstone.logging.formatting import ENGINE


def report(
    error: BaseException | None, root_id: str = "a", name: str = ENGINE
) -> logging.LogRecord:
    info = None if error is None else (type(error), error, None)
    record = logging.LogRecord(name, logging.ERROR, "x.py", 1, "ended Failed", (), info)
    record.flowstone_run = SimpleNamespace(root_id=root_id)
    return record


def fail(cause: BaseException) -> RuntimeError:
    error = RuntimeError("the task failed")
    error.__cause__ = cause
    return error


def test_errors_that_alternate_are_shown_once_each() -> None:
    faults = FaultFilter()
    full, unusable = (
        OSError(errno.ENOSPC, "full"),
        StoreUnusable("x.db", "disk I/O error", "Look at it."),
    )
    shown = [
        not faults.is_repeated(report(error))
        for error in (full, unusable, full, unusable, fail(full), fail(unusable))
    ]
    assert shown == [True, True, False, False, False, False]


def test_another_tree_shows_it_again() -> None:
    faults = FaultFilter()
    full = OSError(errno.ENOSPC, "full")
    assert [faults.is_repeated(report(full, root)) for root in "aabb"] == [False, True] * 2


@pytest.mark.parametrize(
    "record",
    [
        report(ValueError("no")),
        report(OSError(errno.ENOENT, "absent")),
        report(OSError(errno.ENOSPC, "full"), name="mine"),
        report(None),
    ],
    ids=["of the run", "of a file", "of other code", "none"],
)
def test_what_else_is_reported_is_always_shown(record: logging.LogRecord) -> None:
    faults = FaultFilter()
    assert [faults.is_repeated(record) for _ in range(2)] == [False, False]
