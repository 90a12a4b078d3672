"""Containers for fakes of services that run them: real processes, with no image.

A container is a command of this machine, in a process group of its own: with real output, real
time, a real exit code and a real end. As in any container, what its first process has started
ends with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Condition, Thread, Timer
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: What is in the environment of each container, as in most images.
BASE = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Line:
    """What a container wrote, without the end of the line.

    Attributes:
        at: when it came.
        stream: ``stdout`` or ``stderr``.
        text: what it says.
    """

    at: datetime
    stream: str
    text: str


class Container:
    """A command that runs, or has run.

    Args:
        command: the program and its arguments.
        environment: its variables; those of the tests are not among them, but for the path.
        timeout_seconds: after so long it is killed; None for never.

    Attributes:
        command: as given.
        environment: as given.
        started_at: when it began.
        was_stopped: whether somebody asked it to end, or killed it.
        timed_out: whether it was killed since its time was over.

    Raises:
        OSError: there is no such program.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        timeout_seconds: float | None = None,
    ) -> None:
        self.command, self.environment = [*command], dict(environment or {})
        self.was_stopped = self.timed_out = False
        self._lines: list[Line] = []
        self._ended_at: datetime | None = None
        self._changed = Condition()
        self._process = subprocess.Popen(
            self.command,
            env={**BASE, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.started_at = datetime.now(UTC)
        self._limit = None if timeout_seconds is None else Timer(timeout_seconds, self._time_out)
        self._readers = [*map(self._start_reader, ("stdout", "stderr"))]
        self._end = Thread(target=self._wait_for_end, daemon=True)
        if self._limit is not None:
            self._limit.daemon = True
            self._limit.start()
        self._end.start()

    @property
    def pid(self) -> int:
        """The id of its first process, and of its process group."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended; when it has, all its lines are there."""
        return self._ended_at is None

    @property
    def ended_at(self) -> datetime | None:
        """When it ended; None while it runs."""
        return self._ended_at

    @property
    def exit_code(self) -> int | None:
        """Its exit code; of one that a signal ended, 128 and the signal's number; None before."""
        code = None if self.is_running else self._process.returncode
        return 128 - code if code is not None and code < 0 else code

    @property
    def seconds(self) -> float:
        """How long it has run, up to now or up to its end."""
        return ((self._ended_at or datetime.now(UTC)) - self.started_at).total_seconds()

    @property
    def lines(self) -> list[Line]:
        """What it has written so far, in the order in which it came."""
        with self._changed:
            return [*self._lines]

    @property
    def text(self) -> str:
        """What it has written so far, as one text."""
        return "".join(f"{line.text}\n" for line in self.lines)

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait for its end, and return whether it has ended."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended_at is not None, timeout_seconds)

    def stop(self, grace_seconds: float = 10.0) -> None:
        """Ask it to end, and kill it if it has not done so in time; return at once."""
        self.was_stopped = True
        self._signal(signal.SIGTERM)
        killing = Timer(grace_seconds, self._signal, (signal.SIGKILL,))
        killing.daemon = True
        killing.start()
        Thread(target=self._call_off, args=(killing,), daemon=True).start()

    def kill(self) -> None:
        """Kill it, and return when it has ended."""
        self.was_stopped = True
        self._signal(signal.SIGKILL)
        self.wait()

    def _call_off(self, killing: Timer) -> None:
        self.wait()
        killing.cancel()

    def _time_out(self) -> None:
        self.timed_out = self.is_running
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        # Once it has ended, its number may be somebody else's.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _start_reader(self, stream: str) -> Thread:
        pipe: IO[bytes] = getattr(self._process, stream)
        reader = Thread(target=self._read, args=(stream, pipe), daemon=True)
        reader.start()
        return reader

    def _read(self, stream: str, pipe: IO[bytes]) -> None:
        with pipe:
            for raw in pipe:
                text = raw.decode("utf-8", "replace").rstrip("\r\n")
                with self._changed:
                    self._lines.append(Line(datetime.now(UTC), stream, text))
                    self._changed.notify_all()

    def _wait_for_end(self) -> None:
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # it is not reaped: the group is still its own
        self._process.wait()
        ended_at = datetime.now(UTC)
        if self._limit is not None:
            self._limit.cancel()
        for reader in self._readers:
            reader.join()
        with self._changed:
            self._ended_at = ended_at
            self._changed.notify_all()


class Containers:
    """The containers of a fake: all of them end with it."""

    def __init__(self) -> None:
        self.all: list[Container] = []

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        timeout_seconds: float | None = None,
    ) -> Container:
        """Start one, as `Container` does."""
        container = Container(command, environment, timeout_seconds=timeout_seconds)
        self.all.append(container)
        return container

    def wait_for_running(self, timeout_seconds: float = 30.0) -> Container:
        """Return the newest that runs, as soon as there is one.

        Raises:
            TimeoutError: there is none in that time.
        """
        end = time.monotonic() + timeout_seconds
        while time.monotonic() < end:
            for container in reversed(self.all):
                if container.is_running:
                    return container
            time.sleep(0.01)
        raise TimeoutError("no container runs")


@contextmanager
def keep_containers() -> Iterator[Containers]:
    """Yield a place for containers, and kill in the end those that still run."""
    containers = Containers()
    try:
        yield containers
    finally:
        for container in containers.all:
            container.kill()
