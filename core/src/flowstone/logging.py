"""Logs of runs: standard logging is the interface; what runs log is kept, and shown.

`get_run_logger()` gives the current run's logger. Its lines go to the run's log in the store and,
where the program has not set up logging itself, to standard error.
"""

from __future__ import annotations

import builtins
import logging
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flowstone import ambient
from flowstone.errors import FencedRun, MissingContextError, StoreError
from flowstone.events import Line, written
from flowstone.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from flowstone.runs import Run

__all__ = ["RunLogger", "get_run_logger"]

ROOT = logging.getLogger("flowstone")
RUNS = logging.getLogger("flowstone.runs")


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines belong to one run."""

    def __init__(self, run: Run, logger: logging.Logger = RUNS) -> None:
        facts = {"flowstone_run": run, "run_id": run.id, "run_name": run.name, "unit": run.unit}
        super().__init__(logger, facts)

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def get_run_logger() -> RunLogger:
    """Return the logger of the current run.

    Raises:
        MissingContextError: there is no current run.
    """
    scope = ambient.scope.get()
    if scope is None:
        raise MissingContextError("get_run_logger()")
    return RunLogger(scope.run)


class RunLogHandler(logging.Handler):
    """Adds each record to the log of the run that it belongs to."""

    def emit(self, record: logging.LogRecord) -> None:
        run: Run | None = getattr(record, "flowstone_run", None)
        if run is None:
            return
        text = _traced.format(record)
        try:
            services = ambient.services()
            line = Line(record.levelno, record.name, redact(text))
            services.journal.append(written(run, record.created, line))
        except FencedRun:
            raise
        except StoreError:
            self.handleError(record)


class ConsoleHandler(logging.Handler):
    """Shows records on standard error, unless the program has set up logging itself."""

    def emit(self, record: logging.LogRecord) -> None:
        if logging.getLogger().handlers:
            return
        try:
            sys.stderr.write(f"{redact(_shown.format(record))}\n")
        except Exception:  # noqa: BLE001 - logging must not break the program
            self.handleError(record)


class _Shown(logging.Formatter):
    """One line of the console: the time, the level, the run, the text."""

    def format(self, record: logging.LogRecord) -> str:
        when = self.formatTime(record, "%H:%M:%S")
        who = getattr(record, "run_name", record.name)
        text = record.getMessage()
        # The engine's own errors reach the caller with their traceback; once is enough.
        if record.exc_info and record.name != RUNS.name:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return f"{when}.{int(record.msecs):03d} | {record.levelname:<7} | {who} | {text}"


_shown = _Shown()
_traced = logging.Formatter("%(message)s")
_configured = False


def configure(level: str) -> None:
    """Attach the handlers, once for the process, and set the level."""
    global _configured
    ROOT.setLevel(level)
    if not _configured:
        _configured = True
        ROOT.addHandler(RunLogHandler())
        ROOT.addHandler(ConsoleHandler())


# ---------------------------------------------------------------- print

_prints: ContextVar[bool] = ContextVar("flowstone.prints", default=False)
_lock = threading.Lock()
_users = 0
_print = builtins.print


@contextmanager
def logged_prints(active: bool) -> Iterator[None]:
    """Turn `print` in this context into lines of the current run's log; False turns that off.

    The builtin is replaced while any run wants it, and looks at the context: other threads and
    runs print as ever. A print to another file than standard output is left alone.
    """
    global _users
    token = _prints.set(active)
    if active:
        with _lock:
            _users += 1
            builtins.print = _logging_print
    try:
        yield
    finally:
        _prints.reset(token)
        if active:
            with _lock:
                _users -= 1
                if not _users:
                    builtins.print = _print


def prints_are_logged() -> bool:
    """Tell whether the run around this code logs its prints."""
    return _prints.get()


def _logging_print(*values: object, sep: str | None = " ", **options: Any) -> None:
    scope = ambient.scope.get()
    if not _prints.get() or scope is None or options.get("file") not in {None, sys.stdout}:
        _print(*values, sep=sep, **options)
        return
    RunLogger(scope.run, _PRINTS).info((" " if sep is None else sep).join(map(str, values)))


_PRINTS = logging.getLogger("flowstone.prints")
