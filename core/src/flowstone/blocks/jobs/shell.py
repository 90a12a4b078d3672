"""ShellOperation: commands in a shell of this machine, as a job."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from socket import gethostname
from tempfile import mkstemp
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self
from weakref import WeakValueDictionary

from pydantic import Field, PrivateAttr, SecretStr

from flowstone.blocks.jobs.job import Job, JobRun, JobStatus, Report
from flowstone.blocks.jobs.processes import Process, born, end_group
from flowstone.errors import JobError, JobLost, SecretError
from flowstone.settings import read_environment

if TYPE_CHECKING:
    from collections.abc import Callable

#: These stop at the first command that fails, when they are told so.
STOPPING = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash"})
SUFFIXES = {"powershell": ".ps1", "pwsh": ".ps1"}
#: So many of the last lines are told of a command that failed.
LAST_WORDS = 10

#: What this process has started, by handle, while it runs or somebody may ask for it.
_processes: WeakValueDictionary[str, Process] = WeakValueDictionary()


class Handle(str):
    """A handle that keeps its process in sight: ``host/pid/start``."""

    __slots__ = ("process",)
    process: Process


class ShellOperation(Job):
    """Runs commands one after the other, and stops at the first that fails.

    Its result is what they wrote to standard output.
    """

    _description: ClassVar[str | None] = "Commands in a shell of this machine."
    _code_example: ClassVar[str | None] = (
        'ShellOperation(commands=["mkdir -p out", "ls"]).save("list")\n'
        'lines = ShellOperation.load("list").run()'
    )
    _poll_seconds: ClassVar[float] = 0.1
    _grace_seconds: ClassVar[float] = 15.0

    commands: list[str] = Field(
        description="The lines of a script; with `direct`, one program and its arguments."
    )
    direct: bool = Field(
        default=False,
        description="Whether no shell is used: then nothing in the commands means anything to one.",
    )
    stream_output: bool = Field(
        default=True, description="Whether each line goes to the run's log as it is written."
    )
    stream_level: int = Field(default=logging.INFO, description="The level of those lines.")
    env: dict[str, str] = Field(
        default_factory=dict, description="Variables, beside those of this process."
    )
    secret_env: dict[str, SecretStr] = Field(
        default_factory=dict, description="Variables whose values are secret, and masked in output."
    )
    working_dir: Path | None = Field(
        default=None, description="Where the commands run; by default, where you are."
    )
    shell: str | None = Field(default=None, description="The shell; by default bash, or else sh.")
    extension: str | None = Field(
        default=None, description="What the script's file ends in, as .sh or .ps1."
    )
    output: Literal["lines", "text"] = Field(
        default="lines", description="Whether the result is a list of lines, or one text."
    )
    term_seconds: float = Field(
        default=5.0, ge=0, le=10, description="How long cancelled commands may take to end."
    )
    _started: list[str] = PrivateAttr(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what this block has started and what has not ended yet."""
        while self._started:
            with suppress(JobLost):
                JobRun(self, self._started.pop()).cancel()

    def _where(self) -> str:
        return f"shell commands {self.name!r}" if self.name else "shell commands"

    def _trigger(self) -> str:
        cwd = self.working_dir and self.working_dir.expanduser()
        args, script = self._args()
        try:
            process = Process(args, self._environment(), cwd, self._teller(), script)
        except (OSError, ValueError) as error:
            problem = f"{args[0]!r} can't be started: {getattr(error, 'strerror', None) or error}"
            remedy = f"Is it installed, and is {str(cwd or '.')!r} a directory? Look at the block."
            failed = JobError(self._where(), self._hide(problem), remedy)
        except SecretError:
            _remove(script)
            raise
        else:
            handle = Handle(f"{gethostname()}/{process.pid}/{born(process.pid)}")
            handle.process = _processes[handle] = process
            # Those that have ended are forgotten, or a block in a loop would remember them all.
            self._started = [old for old in self._started if self._is_running(old)] + [handle]
            return handle
        _remove(script)
        raise failed

    def _environment(self) -> dict[str, str] | None:
        secret = {name: value.get_secret_value() for name, value in self.secret_env.items()}
        return {**read_environment(), **self.env, **secret} if self.env or secret else None

    def _args(self) -> tuple[list[str], Path | None]:
        """Return what is run, and the file that the script is in."""
        if not self.commands:
            raise JobError(self._where(), "there are no commands", "Give it some in `commands`.")
        if self.direct:
            return self.commands, None
        shell = self.shell or shutil.which("bash") or "sh"
        name = Path(shell.split()[0]).stem
        # As the names of files are written, whatever bytes these are of.
        content = "".join(f"{line}\n" for line in self.commands).encode("utf-8", "surrogateescape")
        number, path = mkstemp(self.extension or SUFFIXES.get(name, ".sh"), "flowstone-")
        with os.fdopen(number, "wb") as file:
            file.write(content)
        stop = ["-e"] if name in STOPPING else []
        return [*shell.split(), *stop, path], Path(path)

    def _teller(self) -> Callable[[str], None] | None:
        # Made here, as the threads that read know of no run.
        return partial(self._logger().log, self.stream_level, "%s") if self.stream_output else None

    def _say(self, lines: list[str]) -> None:
        """Say nothing: the threads that read have said it."""

    def _look(self, handle: str) -> Report:
        process = _process(handle)
        if process is None:
            if self._is_running(handle):
                return Report(JobStatus.RUNNING)
            problem = f"{handle!r} is not running, and how it ended is lost"
            remedy = "Look at what it was to do; the process that started it is gone, too."
            raise JobLost(self._where(), problem, remedy, handle)
        code = process.exit_code()
        if code is None:
            return Report(JobStatus.RUNNING)
        if process.cancelled:
            return Report(JobStatus.CANCELLED)
        return Report(JobStatus.FAILED, _problem(code, process)) if code else _DONE

    def _is_running(self, handle: str) -> bool:
        host, pid, start = _read(handle)
        if host == gethostname():
            return bool(start) and born(pid) == start
        raise JobLost(
            self._where(), f"{handle!r} runs on {host}", "Attach to it on that machine.", handle
        )

    def _cancel(self, handle: str) -> None:
        process = _process(handle)
        if process is not None:
            process.end(self.term_seconds)
        elif self._is_running(handle):
            end_group(_read(handle)[1], self.term_seconds, lambda: None)

    def _lines(self, handle: str, seen: int) -> list[str]:
        process = _process(handle)
        return [] if process is None else process.lines(seen)

    def _result(self, handle: str) -> Any:
        process = _process(handle)
        text = "" if process is None else process.output()
        if self.output == "text":
            return text
        # Not by `splitlines`: that ends a line at a form feed, too, and at what JSON has in texts.
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        return lines if lines[-1] else lines[:-1]


_DONE = Report(JobStatus.COMPLETED)


def _remove(script: Path | None) -> None:
    if script is not None:
        script.unlink()


def _process(handle: str) -> Process | None:
    return handle.process if isinstance(handle, Handle) else _processes.get(handle)


def _read(handle: str) -> tuple[str, int, str]:
    host, _, rest = handle.partition("/")
    pid, _, start = rest.partition("/")
    return host, int(pid) if pid.isdigit() else 0, start


def _problem(code: int, process: Process) -> str:
    how = f"exit code {code}"
    if code < 0:
        known = {each.value: each.name for each in signal.Signals}  # not all that there are
        how = f"killed by {known.get(-code, f'signal {-code}')}"
    words = process.last_words(LAST_WORDS)
    return f"{how}; its last words: {chr(10).join(words)}" if words else how
