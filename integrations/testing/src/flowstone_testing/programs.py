"""The command line under test: in a separate process, and on a terminal."""

# ruff: noqa: S603 - the programs are those of the tests

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The installed command.
COMMAND = str(Path(sys.executable).with_name("flowstone"))


@dataclass
class ProgramResult:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str = ""

    @property
    def json(self) -> Any:
        """Return the output, parsed as one JSON document."""
        return json.loads(self.out)


class Home:
    """The real command and real programs, each in a separate process, in a fresh home."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self.path = directory / "home"
        self.directory = directory
        kept = {key: value for key, value in environ.items() if not _is_ours(key)}
        self.environ = {
            **kept,
            "HOME": str(directory),
            "FLOWSTONE_HOME": str(self.path),
            "PYTHONWARNINGS": "error",
        }

    def run(self, *args: str, stdin: str | None = None, **environ: str) -> ProgramResult:
        return self.execute([COMMAND, *args], stdin=stdin, **environ)

    def python(self, code: str, *args: str, **environ: str) -> ProgramResult:
        """Run a program until it ends; it must succeed."""
        done = self.execute([sys.executable, str(self.write(code)), *args], **environ)
        assert done.code == 0, done.err
        return done

    def write(self, code: str) -> Path:
        path = self.directory / "program.py"
        path.write_text(code)
        return path

    def execute(self, argv: list[str], stdin: str | None = None, **environ: str) -> ProgramResult:
        done = subprocess.run(
            argv,
            input=stdin or "",
            capture_output=True,
            encoding=environ.get("PYTHONIOENCODING", "utf-8"),
            env={**self.environ, **environ},
            cwd=self.directory,
            timeout=300,
            check=False,
        )
        return ProgramResult(done.returncode, done.stdout, done.stderr)

    def terminal(
        self, *argv: str, columns: int = 80, rows: int = 24, echo: bool = True, **environ: str
    ) -> Terminal:
        """Start a program on a terminal.

        Args:
            *argv: the program and its arguments.
            columns: the width of the terminal.
            rows: the height of the terminal.
            echo: whether typed text is shown.
            **environ: environment variables to add.
        """
        env = {"TERM": "xterm-256color", **self.environ, **environ}
        for name in ("COLUMNS", "LINES"):  # readline sets them for processes that pytest starts
            env.pop(name, None)
        return Terminal(list(argv), env, (rows, columns), echo)


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(
        self, argv: list[str], environ: dict[str, str], size: tuple[int, int], echo: bool
    ) -> None:
        self.raw = ""
        ours, theirs = pty.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        if not echo:
            modes = termios.tcgetattr(theirs)
            modes[3] &= ~termios.ECHO
            termios.tcsetattr(theirs, termios.TCSANOW, modes)
        self._fd = ours
        self._process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
        )
        os.close(theirs)

    @property
    def text(self) -> str:
        """The output without escape sequences."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.raw).replace("\r", "")

    @property
    def screen(self) -> list[str]:
        """The lines on the final screen, including those that have scrolled away."""
        lines, row, column = [""], 0, 0
        for control, text in re.findall(
            r"(\x1b\[[0-9;?]*[a-zA-Z]|[\r\n])|([^\x1b\r\n]+)", self.raw
        ):
            if control == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif control == "\r":
                column = 0
            elif control.endswith("A"):
                row -= int(control[2:-1] or 1)
            elif control == "\x1b[2K":
                lines[row] = ""
            elif text:
                lines[row] = lines[row][:column].ljust(column) + text
                column += len(text)
        return lines

    def read_until(self, wanted: Callable[[str], object]) -> None:
        """Read until `wanted` accepts the text; fail if the program ends first."""
        while not wanted(self.text):
            assert self._read(), f"it ended with: {self.text!r}"

    def type(self, line: str) -> None:
        os.write(self._fd, f"{line}\n".encode())

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send a signal, by default the one of Ctrl-C."""
        self._process.send_signal(number)

    def finish(self) -> ProgramResult:
        """Read to the end."""
        while self._read():
            pass
        os.close(self._fd)
        return ProgramResult(self._process.wait(timeout=300), self.text)

    def _read(self) -> bool:
        try:
            found = os.read(self._fd, 65536)
        except OSError:  # on Linux, the other end is closed
            return False
        self.raw += found.decode()
        return bool(found)


def _is_ours(variable: str) -> bool:
    return variable.startswith("FLOWSTONE_") or variable in {"NO_COLOR", "COLUMNS", "FORCE_COLOR"}
