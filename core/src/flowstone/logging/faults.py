"""Errors of the machine, such as a full disk, that many runs report."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from flowstone.errors import StoreError
from flowstone.logging.formatting import ENGINE

if TYPE_CHECKING:
    import logging

    from flowstone.records.runs import Run

_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


class FaultFilter:
    """Drops repeated errors of the machine, such as a full disk, within a tree of runs.

    Such an error fails each of the runs, with the same message.
    """

    def __init__(self) -> None:
        self._root_id = ""
        self._shown: set[object] = set()  # by root; a full disk causes several different messages

    def is_repeated(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        run: Run | None = getattr(record, "flowstone_run", None)
        if error is None or run is None or record.name != ENGINE:
            return False
        fault = _find_fault(error)
        if fault is None:
            return False
        if run.root_id != self._root_id:
            self._root_id, self._shown = run.root_id, set()
        is_known = fault in self._shown
        self._shown.add(fault)
        return is_known


def _find_fault(error: BaseException | None) -> object:
    """Return what identifies an error of the machine; None for an error of the run."""
    while error is not None:
        if isinstance(error, StoreError):
            return str(error)
        if isinstance(error, OSError) and error.errno in _FAULTS:
            return error.errno
        error = error.__cause__
    return None
