"""Write the standard output of code in a run to the run's log."""

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

#: Maximum number of characters of a line; longer ones are split.
LONGEST = 1 << 16

STDOUT = logging.getLogger("flowstone.stdout")


class _Lines:
    """The incomplete line of a run's output; several of its threads may write."""

    def __init__(self) -> None:
        self._rest = ""
        self._lock = threading.Lock()

    def take(self, text: str) -> list[str]:
        """Add a text, and return the lines that are complete now."""
        with self._lock:
            # A secret may have several lines, none of which would be recognized alone.
            *whole, self._rest = redact(self._rest + text).split("\n")
            if len(self._rest) > LONGEST:
                whole.append(self._rest)
                self._rest = ""
        # A terminal would not show what a carriage return overwrites, either.
        return [line.rstrip("\r").rpartition("\r")[2] for line in whole]

    def rest(self) -> list[str]:
        """Return the incomplete line, if there is one."""
        return self.take("\n") if self._rest else []


#: Where the output of this context goes; None for the original stream.
_lines: ContextVar[_Lines | None] = ContextVar("flowstone.stdout", default=None)


class _Output:
    """Replaces `sys.stdout`: captures the lines of some contexts, and passes on those of others."""

    def __init__(self, passed: Any) -> None:
        self.passed = passed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.passed, name)

    def write(self, text: str) -> int:
        lines = _lines.get()
        # Logging that shows on standard output is logged already.
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
    # A handler that prints must not be captured, which would recurse forever.
    token = _lines.set(None)
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

    The stream is replaced while any run uses it, and checks the context: other threads and runs
    write as before. With False, output is passed on, even if an outer run is captured.
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
    """Restore the original stream, unless other code has replaced ours."""
    global _users
    with _lock:
        _users -= 1
        if not _users:
            if _outputs and sys.stdout is _outputs[-1]:
                sys.stdout = _outputs[-1].passed
            _outputs.clear()
