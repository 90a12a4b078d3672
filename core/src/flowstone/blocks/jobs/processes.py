"""Local processes: both pipes are read continuously, and all child processes are terminated."""

from __future__ import annotations

import codecs
import os
import signal
import subprocess
from collections import deque
from contextlib import suppress
from pathlib import Path
from socket import gethostname
from tempfile import SpooledTemporaryFile
from threading import Lock, Thread
from time import monotonic, sleep
from typing import IO, TYPE_CHECKING
from weakref import finalize

from flowstone.records.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: Lines longer than this many bytes are split into pieces.
LONGEST_LINE = 16 * 1024
#: Number of characters at the end of a piece that are held back for the next: a secret may be
#: split.
LONGEST_SECRET = 4 * 1024
#: Number of last lines that are kept in memory.
KEPT = 200
#: Maximum size of the output in memory; the rest is written to a file.
IN_MEMORY = 1024 * 1024
#: Seconds for which the pipes of an exited process are still read: a background child may hold them
#: open forever.
DRAIN = 2.0
#: Seconds between two checks whether a process has exited.
TICK = 0.02

_PROC = Path("/proc/self")
_ENDED = frozenset("ZX")


class Process:
    """A process in its own process group; two threads read its pipes, line by line.

    Args:
        say: called with each line from those threads; None for no output.
        script: a file that is deleted when the process has exited.
    """

    def __init__(
        self,
        args: Sequence[str],
        env: Mapping[str, str] | None,
        cwd: Path | None,
        say: Callable[[str], None] | None,
        script: Path | None = None,
    ) -> None:
        self._say, self._script = say, script
        self._lock = Lock()
        self._written = 0
        self._tail: deque[str] = deque(maxlen=KEPT)
        self._errors: deque[str] = deque(maxlen=KEPT)
        self._output = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - see below
        finalize(self, self._output.close)
        self.cancelled = False
        self._drained_until: float | None = None
        self._popen = subprocess.Popen(  # noqa: S603 - its purpose is to run a command
            args,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        assert self._popen.stdout is not None
        assert self._popen.stderr is not None
        self._readers = [
            Thread(target=self._read, args=args, name="flowstone-job", daemon=True)
            for args in ((self._popen.stdout, True), (self._popen.stderr, False))
        ]
        for reader in self._readers:
            reader.start()

    def exit_code(self) -> int | None:
        """Return the exit code once all output is read; None until then."""
        code = self._popen.poll()
        if code is None:
            return None
        if self._drained_until is None:
            self._drained_until = monotonic() + DRAIN
        if any(reader.is_alive() for reader in self._readers):
            if monotonic() < self._drained_until:
                return None
            self._tell("A background process keeps the output open; the rest of it is not read.")
            self._readers = []
        self._clean_up()
        return code

    def end(self, grace_seconds: float) -> None:
        """Terminate the whole process group, and kill the rest of it after a while."""
        self.cancelled = self._popen.poll() is None
        end_group(self.pid, grace_seconds, self._popen.poll)

    def lines(self, seen: int) -> list[str]:
        """Return the lines after the first `seen`, if they are still kept."""
        with self._lock:
            missing = self._written - len(self._tail)
            return list(self._tail)[max(0, seen - missing) :]

    def last_words(self, count: int) -> list[str]:
        """Return the last lines of the errors, or of all output if there are no errors."""
        with self._lock:
            return list(self._errors or self._tail)[-count:]

    def output(self) -> str:
        """Return the complete standard output, with secrets masked."""
        with self._lock:
            self._output.seek(0)
            return self._output.read().decode()

    def _read(self, pipe: IO[bytes], is_output: bool) -> None:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        with pipe:
            rest = ""
            while chunk := pipe.readline(LONGEST_LINE):
                text = redact(rest + decode(chunk))
                # Half of a secret would not be recognized, so it waits for the other half.
                is_whole = chunk.endswith(b"\n") or len(chunk) < LONGEST_LINE
                rest = "" if is_whole else text[-LONGEST_SECRET:]
                self._take(text[: len(text) - len(rest)], is_output)
            if rest:
                self._take(rest, is_output)
        if not is_output:
            self._popen.wait()
            self._clean_up()

    def _clean_up(self) -> None:
        if self._script is not None:
            self._script.unlink(missing_ok=True)

    def _take(self, text: str, is_output: bool) -> None:
        line = text.rstrip("\r\n")
        with self._lock:
            if is_output:
                self._output.write(text.encode())
            else:
                self._errors.append(line)
            self._tail.append(line)
            self._written += 1
        self._tell(line)

    def _tell(self, line: str) -> None:
        if self._say is not None:
            # The log may be closed, or the run lost: the pipes must still be read.
            with suppress(Exception):
                self._say(line)


def read_start_time(pid: int) -> str:
    """Return the system's start time of a process; "" if it has exited.

    Together with the id, it identifies a process for good: ids are reused.
    """
    if _PROC.exists():
        facts = _facts(_PROC.parent / str(pid))
        return facts[19] if facts and facts[0] not in _ENDED else ""
    found = run_command(["ps", "-o", "lstart=", "-p", str(pid)])
    return "-".join(found.stdout.split())


def run_command(
    args: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end without input, and return its output.

    Args:
        args: the program and its arguments.
        env: its environment; None for that of this process.
        cwd: its working directory; None for that of this process.
    """
    return subprocess.run(  # noqa: S603 - each caller has written the command
        args,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _facts(folder: Path) -> list[str]:
    """Return what Linux knows of a process, after its name; nothing if it has exited."""
    try:
        return (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def name_process(pid: int) -> str:
    """Return a name of a process that stays unique after its id is reused: ``host/pid/start``."""
    return f"{gethostname()}/{pid}/{read_start_time(pid)}"


def read_process_name(name: str) -> tuple[str, int, str]:
    """Return the host, the id and the start time from the result of `name_process`.

    The id is 0 if there is none.
    """
    host, _, rest = name.partition("/")
    pid, _, start = rest.partition("/")
    return host, int(pid) if pid.isdigit() else 0, start


def describe_exit(code: int) -> str:
    """Return how a process exited, as ``exit code 3`` or ``killed by SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    known = {each.value: each.name for each in signal.Signals}  # without real-time signals
    return f"killed by {known.get(-code, f'signal {-code}')}"


def end_group(pid: int, grace_seconds: float, reap: Callable[[], object]) -> None:
    """Send SIGTERM to a process group, and after a while SIGKILL to what is left of it."""
    end = monotonic() + grace_seconds
    signal_group(pid, signal.SIGTERM)
    while _is_alive(pid, reap):
        if monotonic() >= end:
            signal_group(pid, signal.SIGKILL)
            return
        sleep(TICK)


def _is_alive(group: int, reap: Callable[[], object]) -> bool:
    """Return whether any process of a group is running; zombies don't count."""
    reap()
    if _PROC.exists():
        found = (_facts(folder) for folder in _PROC.parent.iterdir() if folder.name.isdigit())
        return any(f[2] == str(group) and f[0] not in _ENDED for f in found if f)
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def signal_group(group: int, number: int) -> None:
    """Send a signal to all processes of a group; ignore a group that has exited."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
