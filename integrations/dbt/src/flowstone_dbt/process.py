"""The processes that run dbt: in their own process groups, reused, and always ended."""

from __future__ import annotations

import atexit
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from flowstone.blocks.jobs.processes import describe_exit
from flowstone_dbt.errors import DbtError
from flowstone_dbt.settings import read_environment
from flowstone_dbt.stopping import SLICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: Seconds that dbt has after SIGINT, to cancel its queries, and after SIGTERM.
INTERRUPT_SECONDS, TERMINATE_SECONDS = 15.0, 5.0
#: The signals that end a command, each with its grace period; at the first, adapters cancel their
#: queries.
STEPS = (
    (signal.SIGINT, INTERRUPT_SECONDS),
    (signal.SIGTERM, TERMINATE_SECONDS),
    (signal.SIGKILL, TERMINATE_SECONDS),
)
#: Prefix of the last line of a command.
ENDED = '{"ended"'
#: Number of last lines of standard error for the error message of a process that died.
KEPT = 20
#: Maximum number of warm processes, and the seconds that they are kept.
MOST_IDLE, IDLE_SECONDS = 2, 120.0

_CHILD = str(Path(__file__).with_name("child.py"))
_lock = threading.Lock()
_idle: list[WarmDbt] = []


def is_noise(line: str) -> bool:
    """Return whether a line is a warning of Python about a stopped process."""
    return "resource_tracker" in line or line.startswith("  warnings.warn(")


class DbtProcess:
    """A process that writes events as lines of JSON.

    Args:
        command: the program and its arguments.
        env: its environment variables; None for those of this process.
        cwd: its working directory.

    Attributes:
        pid: the id of the process and of its group.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's settings name the program
                list(command),
                env=None if env is None else dict(env),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            problem = f"{command[0]!r} can't be started: {error.strerror}"
            raised = DbtError(problem, "Check that it is installed and executable.")
        else:
            self.pid = self._process.pid
            self.last_lines: deque[str] = deque(maxlen=KEPT)
            self._selector = selectors.DefaultSelector()
            for stream in (self._process.stdout, self._process.stderr):
                assert stream is not None
                os.set_blocking(stream.fileno(), False)
                self._selector.register(stream, selectors.EVENT_READ, bytearray())
            return
        raise raised

    def send(self, request: Mapping[str, object]) -> None:
        """Write a request as a line of JSON.

        Raises:
            BrokenPipeError: the process has ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(request)}\n".encode())
        self._process.stdin.flush()

    def read_lines(self) -> Iterator[tuple[bool, str] | None]:
        """Yield lines, each with whether it is from standard output; None between polls.

        The iterator ends when both pipes are closed.
        """
        while self._selector.get_map():
            ready = self._selector.select(SLICE)
            for key, _ in ready:
                stream, rest = key.fileobj, key.data
                piece = os.read(key.fd, 65536)
                rest += piece
                *lines, left = rest.split(b"\n")
                if not piece:
                    self._selector.unregister(stream)
                    lines, left = ([*lines, left] if left else lines), bytearray()
                rest[:] = left
                for line in lines:
                    text = line.decode("utf-8", "replace").rstrip("\r")
                    if stream is self._process.stderr and not is_noise(text):
                        self.last_lines.append(text)
                    yield stream is self._process.stdout, text
            if not ready:
                yield None

    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait(self) -> int:
        """Wait until it has ended; return its exit code."""
        while (code := self._process.poll()) is None:
            sleep(0.01)
        return code

    def judge_end(self) -> dict[str, Any]:
        """Return the last event of a process that has closed its pipes without one.

        Raises:
            DbtError: the process died.
        """
        code = self.wait()
        how = f"{'was' if code < 0 else 'ended with'} {describe_exit(code)}"
        words = "; its last output: " + " ".join(self.last_lines) if self.last_lines else ""
        raise DbtError(
            f"the process of dbt {how}{words}",
            "Retry the run: nodes that succeeded are not run again.",
        )

    def stop(self, handle: Callable[[tuple[bool, str]], object] | None = None) -> None:
        """Stop it and its child processes, and return when they have ended.

        It is interrupted first, so that dbt's adapters cancel their queries.

        Args:
            handle: called with the lines that it still writes.
        """
        for number, seconds in STEPS:
            if not self._signal(number):
                break
            if self._drain(seconds, handle):
                break
        self.close()

    def close(self) -> None:
        """Close the pipes and wait until the process has ended."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            with suppress(OSError):
                stream.close()
        self._selector.close()
        end = monotonic() + TERMINATE_SECONDS
        while self._process.poll() is None:
            if monotonic() > end:
                self._signal(signal.SIGKILL)
            sleep(0.01)

    def _drain(self, seconds: float, handle: Callable[[tuple[bool, str]], object] | None) -> bool:
        """Read until the process has ended; return whether it did in time."""
        end = monotonic() + seconds
        for line in self.read_lines():
            if line is not None and handle is not None:
                handle(line)
            if line is not None and line[0] and line[1].startswith(ENDED):
                return True  # it waits for another command
            if line is None and self._process.poll() is not None:
                return True
            if monotonic() > end:
                return False
        while self._process.poll() is None and monotonic() < end:
            sleep(0.01)
        return self._process.poll() is not None

    def _signal(self, number: int) -> bool:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


class WarmDbt(DbtProcess):
    """A process that has imported dbt and runs one command after another.

    Args:
        python: the interpreter of an environment with dbt.
    """

    def __init__(self, python: str) -> None:
        super().__init__([python, "-u", _CHILD], env=read_environment())
        self.python, self.since = python, monotonic()


class ExecutableDbt(DbtProcess):
    """A dbt program that runs one command and writes its log as JSON.

    Args:
        executable: the program.
        args: the command and its options.
        env: its environment variables.
        cwd: its working directory.
    """

    def __init__(
        self, executable: str, args: Sequence[str], *, env: Mapping[str, str], cwd: str
    ) -> None:
        level = {"DBT_LOG_FORMAT": "json", "DBT_LOG_LEVEL": "debug"}
        super().__init__([executable, *args], env={**env, **level}, cwd=cwd)
        assert self._process.stdin is not None
        self._process.stdin.close()  # prompts get no answer

    def judge_end(self) -> dict[str, Any]:
        """Return the outcome by its exit code: 0, 1 if nodes failed, or 2.

        Raises:
            DbtError: the process died.
        """
        code = self.wait()
        if code in {0, 1}:
            return {"success": code == 0}
        if code == 2:
            words = " ".join(self.last_lines)
            return {"success": False, "message": words}
        return super().judge_end()


def borrow_dbt(python: str = sys.executable) -> WarmDbt:
    """Return an idle process, warm if there is one."""
    with _lock:
        _end_old()
        for warm in _idle:
            if warm.python == python and warm.exit_code() is None:
                _idle.remove(warm)
                return warm
    return WarmDbt(python)


def give_back_dbt(warm: WarmDbt) -> None:
    """Keep a process for the next command."""
    warm.since = monotonic()
    warm.last_lines.clear()
    with _lock:
        _end_old()
        if len(_idle) < MOST_IDLE and warm.exit_code() is None:
            _idle.append(warm)
            return
    warm.close()


def end_idle() -> None:
    """Stop the warm processes."""
    with _lock:
        while _idle:
            _idle.pop().close()


def _end_old() -> None:
    for warm in list(_idle):
        if warm.exit_code() is not None or monotonic() - warm.since > IDLE_SECONDS:
            _idle.remove(warm)
            warm.close()


atexit.register(end_idle)
