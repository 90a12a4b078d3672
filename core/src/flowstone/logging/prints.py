"""What code in a run writes to standard output, as lines of the run's log."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flowstone.context.current import current_run
from flowstone.logging.run_logger import RunLogger
from flowstone.records.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: So many characters without an end of line are a line.
LONGEST = 1 << 16

STDOUT = logging.getLogger("flowstone.stdout")


class _Lines:
    """What one run has written, until a line is whole; its threads may write at once."""

    def __init__(self) -> None:
        self._rest = ""
        self._lock = threading.Lock()

    def take(self, text: str) -> list[str]:
        """Add a text, and return the lines that are whole now."""
        with self._lock:
            # A secret may have several lines, none of which would be known for it.
            *whole, self._rest = redact(self._rest + text).split("\n")
            if len(self._rest) > LONGEST:
                whole.append(self._rest)
                self._rest = ""
        # What a carriage return was to overwrite would not be seen on a terminal either.
        return [line.rstrip("\r").rpartition("\r")[2] for line in whole]

    def rest(self) -> list[str]:
        """Return what has no end of line, where there is something."""
        return self.take("\n") if self._rest else []


#: Where the output of this context goes; None lets it pass.
_lines: ContextVar[_Lines | None] = ContextVar("flowstone.stdout", default=None)


class _Output:
    """Stands for `sys.stdout`: takes the lines of a context that is captured, and passes others."""

    def __init__(self, passed: Any) -> None:
        self.passed = passed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.passed, name)

    def write(self, text: str) -> int:
        lines = _lines.get()
        # What logging shows on standard output is logged already.
        if lines is None or sys._getframe(1).f_globals.get("__name__") == "logging":  # noqa: SLF001
            written: int = self.passed.write(text)
            return written
        _log(lines.take(text))
        return len(text)

    def writelines(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.write(text)


def _log(lines: list[str]) -> None:
    run = current_run()
    if not lines or run is None:
        return
    token = _lines.set(None)  # a handler that prints must not be captured: it would never end
    try:
        for line in lines:
            RunLogger(run, STDOUT).info(line)
    finally:
        _lines.reset(token)


_lock = threading.Lock()
_outputs: list[_Output] = []
_users = 0


@contextmanager
def capture_stdout(active: bool) -> Iterator[None]:
    """Turn what this context writes to `sys.stdout` into lines of the current run's log.

    The stream is replaced while any run wants it, and looks at the context: other threads and
    runs write as ever. With False, what is written passes, also where a run around is captured.
    """
    lines = _Lines() if active else None
    if active:
        _replace()
    token = _lines.set(lines)
    try:
        yield
    finally:
        try:
            if lines is not None:
                _log(lines.rest())
        finally:
            _lines.reset(token)
            if active:
                _restore()


def _replace() -> None:
    global _users
    with _lock:
        _users += 1
        if not isinstance(sys.stdout, _Output):
            output = _Output(sys.stdout)
            _outputs.append(output)
            sys.stdout = output


def _restore() -> None:
    """Put back what was there, unless somebody else has put something in its place."""
    global _users
    with _lock:
        _users -= 1
        if not _users:
            if _outputs and sys.stdout is _outputs[-1]:
                sys.stdout = _outputs[-1].passed
            _outputs.clear()
