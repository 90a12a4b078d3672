"""Run loggers: standard library loggers whose records are stored with the run, and shown.

`get_run_logger()` returns the current run's logger. Its lines go to the run's log in the store and,
unless the program has set up logging itself, to standard error. The same applies to other
loggers that the settings name, if a run is current.
"""

from __future__ import annotations

import builtins
import logging
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flowstone.context import current
from flowstone.context.current import current_run
from flowstone.context.runtime import find_flow_around
from flowstone.errors import FencedRun, MissingContextError, StoreError
from flowstone.logging.faults import FaultFilter
from flowstone.logging.formatting import (
    ENGINE,
    OWN,
    JsonFormatter,
    LineFormatter,
    format_text,
    read_extra,
)
from flowstone.records import redaction
from flowstone.records.events import LogLine, make_log_event
from flowstone.records.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, MutableMapping
    from typing import Self

    from flowstone.records.runs import Run

ROOT = logging.getLogger("flowstone")
RUNS = logging.getLogger(ENGINE)


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines belong to one run; without a run it logs nothing."""

    def __init__(self, run: Run | None, logger: logging.Logger = RUNS) -> None:
        facts: dict[str, object] = {}
        if run is not None:
            facts = {"flowstone_run": run, **_name_run(run)}
        super().__init__(logger, facts)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the standard library's name
        return bool(self.extra) and not _silent.get() and super().isEnabledFor(level)

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def _name_run(run: Run) -> dict[str, object]:
    """Return the attributes of a record for its run, and for the flow run around a task run."""
    flow: Run | None = run if run.kind == "flow" else None
    if flow is None:
        around = find_flow_around(current.scope.get())
        found = None if around is None else getattr(around, "run", None)
        flow = found if found is not None and found.root_id == run.root_id else None
    task = run if run.kind == "task" else None
    return {
        "run_id": run.id,
        "run_name": run.name,
        "unit": run.unit,
        "flow_run_id": None if flow is None else flow.id,
        "flow_run_name": None if flow is None else flow.name,
        "flow_name": None if flow is None else flow.unit,
        "task_run_id": None if task is None else task.id,
        "task_run_name": None if task is None else task.name,
        "task_name": None if task is None else task.unit,
    }


def get_run_logger() -> RunLogger:
    """Return the logger of the current run; inside `disable_run_logger`, one that logs nothing.

    Raises:
        MissingContextError: there is no current run.
    """
    run = current_run()
    if run is None and not _silent.get():
        raise MissingContextError("get_run_logger()")
    return RunLogger(run)


def get_logger(name: str | None = None) -> logging.Logger:
    """Return a logger that does not belong to a run: its lines are shown, but not stored.

    Args:
        name: the part after ``flowstone.`` of the logger's name; None for ``flowstone`` itself.
    """
    return ROOT if name is None else ROOT.getChild(name.removeprefix("flowstone."))


def flow_run_logger(flow_run: Run, flow: object = None) -> RunLogger:  # noqa: ARG001 - as is known
    """Return the logger of a flow run, for code that gets the run, such as a hook."""
    return RunLogger(flow_run)


def task_run_logger(task_run: Run, task: object = None) -> RunLogger:  # noqa: ARG001 - as is known
    """Return the logger of a task run, for code that gets the run, such as a hook."""
    return RunLogger(task_run)


class LogEavesdropper(logging.Handler):
    """Collects the lines of a logger and its children inside a `with` block.

    Args:
        eavesdrop_on: the logger's name.
        level: the minimum level of collected lines; the logger's level is lowered to it if needed.
    """

    def __init__(self, eavesdrop_on: str, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._logger = logging.getLogger(eavesdrop_on)
        self._lines: list[str] = []
        self._before = logging.NOTSET

    def __enter__(self) -> Self:
        self._before = self._logger.level
        if self.level:
            self._logger.setLevel(self.level)
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._before)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(redact(format_text(record, self)))

    def text(self) -> str:
        """Return the lines, joined by newlines."""
        return "\n".join(self._lines)


@contextmanager
def disable_run_logger() -> Iterator[None]:
    """Turn off run loggers inside the block.

    `get_run_logger` then works outside of a run too, so that the bare function of a flow or task
    can be called: ``with disable_run_logger(): my_task.fn()``.
    """
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


_silent: ContextVar[bool] = ContextVar("flowstone.silent", default=False)


class Unlocked(logging.Handler):
    """A handler without a lock, which a thread that is stopped might leave locked.

    Its subclasses handle a record with a single write, which needs no lock.
    """

    def createLock(self) -> None:  # noqa: N802 - the standard library's name
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        found = self.filter(record)
        if found:
            self.emit(record)
        return bool(found)


class RunLogHandler(Unlocked):
    """Adds each record to the log of its run, or of the current one."""

    def emit(self, record: logging.LogRecord) -> None:
        _mask(record)
        # Loggers may be nested, with a handler at each: only the first one stores the line.
        if getattr(record, "flowstone_kept", False):
            return
        run: Run | None = getattr(record, "flowstone_run", None)
        if run is None and record.name.partition(".")[0] != ROOT.name:
            run = current_run()
            if run is not None:
                record.__dict__.update(_name_run(run))
        if run is None:
            return
        record.flowstone_kept = True
        text = format_text(record, _traced)
        try:
            services = current.services()
            line = LogLine(record.levelno, record.name, redact(text), read_extra(record))
            services.journal.append(make_log_event(run, record.created, line))
        except FencedRun:
            raise
        except StoreError:
            # The line stays in the journal. The flow raises the error; a log call should not.
            return


def _mask(record: logging.LogRecord) -> None:
    """Mask the secrets in a record for the program's own handlers, which come later."""
    if not redaction.size():
        return
    try:
        text = record.getMessage()
        shown = redact(text)
        is_hidden = shown != text
    except Exception:  # noqa: BLE001 - as in `format_text`; standard logging would print the parts
        shown = redact(format_text(record, _traced))
        is_hidden = redaction.MASK in shown
    if is_hidden:
        record.msg, record.args = shown, None
    if record.exc_info and not record.exc_text:
        text = _traced.formatException(record.exc_info)
        record.exc_text = redact(text)
        if record.exc_text != text:
            record.exc_info = None  # the error contains them itself; formatters show the text
    for name in record.__dict__.keys() - OWN:
        value = record.__dict__[name]
        if isinstance(value, (str, dict, list)):
            record.__dict__[name] = _mask_value(value)


def _mask_value(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {_mask_value(key): _mask_value(item) for key, item in value.items()}
    return [_mask_value(item) for item in value] if isinstance(value, list) else value


class ConsoleHandler(Unlocked):
    """Shows records on standard error, unless the program has set up logging itself.

    Attributes:
        as_json: whether to write JSON, one object per line.
        colors: whether to color lines on a terminal.
    """

    def __init__(self) -> None:
        super().__init__()
        self.as_json, self.colors = False, False

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "flowstone_shown", False):
            return
        if any(
            handler is not _console and handler is not _kept for handler in _list_root_handlers()
        ):
            return
        record.flowstone_shown = True
        if _faults.is_repeated(record):
            return
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 - logging must not break the program
            self.handleError(record)

    def format(self, record: logging.LogRecord) -> str:
        if self.as_json:
            return _as_json.format(record)
        is_colored = self.colors and sys.stderr.isatty()
        return redact((_colored if is_colored else _plain).format(record))


_faults = FaultFilter()
_plain, _colored, _as_json = LineFormatter(), LineFormatter(colors=True), JsonFormatter()
_traced = logging.Formatter("%(message)s")
_kept, _console = RunLogHandler(), ConsoleHandler()


def _list_root_handlers() -> list[logging.Handler]:
    return logging.getLogger().handlers


def configure(
    level: str,
    extra_loggers: Iterable[str] = (),
    *,
    as_json: bool = False,
    colors: bool = False,
) -> None:
    """Attach the handlers, once per process, and set the level.

    Args:
        level: the level of run loggers, and of extra loggers without their own.
        extra_loggers: names of other loggers whose lines are stored and shown.
        as_json: whether lines on standard error are JSON.
        colors: whether they are colored by level on a terminal.
    """
    _console.as_json, _console.colors = as_json, colors
    ROOT.setLevel(level)
    for logger in (ROOT, *map(logging.getLogger, extra_loggers)):
        if _kept not in logger.handlers:
            logger.addHandler(_kept)
            logger.addHandler(_console)
        if logger.level == logging.NOTSET:
            logger.setLevel(level)


# ---------------------------------------------------------------- print

_prints: ContextVar[bool | None] = ContextVar("flowstone.prints", default=None)
_lock = threading.Lock()
_users = 0
_print = builtins.print


@contextmanager
def redirect_prints(active: bool) -> Iterator[None]:
    """Turn `print` in this context into lines of the current run's log; False turns that off.

    The builtin is replaced while any run uses it, and checks the context: other threads and runs
    print as before. Printing to a file other than standard output is not affected.
    """
    global _users
    token = _prints.set(active)
    if active:
        with _lock:
            _users += 1
            builtins.print = _print_to_log
    try:
        yield
    finally:
        _prints.reset(token)
        if active:
            with _lock:
                _users -= 1
                if not _users:
                    builtins.print = _print


def is_logging_prints() -> bool | None:
    """Return whether the current run logs its prints; None if that was not set."""
    return _prints.get()


def _print_to_log(*values: object, sep: str | None = " ", **options: Any) -> None:
    run = current_run()
    if not _prints.get() or run is None or options.get("file") not in {None, sys.stdout}:
        _print(*values, sep=sep, **options)
        return
    RunLogger(run, _PRINTS).info((" " if sep is None else sep).join(map(str, values)))


_PRINTS = logging.getLogger("flowstone.prints")
