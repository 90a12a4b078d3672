"""ShellOperation: local shell commands, as a job."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path
from socket import gethostname
from tempfile import mkstemp
from typing import TYPE_CHECKING, ClassVar, Literal, Self
from weakref import WeakValueDictionary

from pydantic import Field, PrivateAttr, SecretStr

from flowstone.blocks.jobs.job import Job
from flowstone.blocks.jobs.job_run import get_job_logger
from flowstone.blocks.jobs.processes import (
    Process,
    describe_exit,
    end_group,
    name_process,
    read_process_name,
    read_start_time,
)
from flowstone.blocks.jobs.provider import JobProvider, JobStatus, Report
from flowstone.errors import JobError, JobLost, SecretError
from flowstone.settings import read_environment

if TYPE_CHECKING:
    from collections.abc import Callable

#: Shells that can be told to stop at the first command that fails.
STOPPING = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash"})
SUFFIXES = {"powershell": ".ps1", "pwsh": ".ps1"}
#: Number of last lines in the error of a failed command.
LAST_WORDS = 10

#: Processes that this one has started, by handle, while they run or their status may be read.
_processes: WeakValueDictionary[str, Process] = WeakValueDictionary()


class Handle(str):
    """A handle that keeps a reference to its process: ``host/pid/start``."""

    __slots__ = ("process",)
    process: Process


class ShellOperation(Job):
    """Runs commands one after the other, and stops at the first that fails.

    Its result is their standard output.
    """

    _description: ClassVar[str | None] = "Shell commands on this machine."
    _code_example: ClassVar[str | None] = (
        'ShellOperation(commands=["mkdir -p out", "ls"]).save("list")\n'
        'lines = ShellOperation.load("list").run()'
    )

    commands: list[str] = Field(
        description="The lines of a script; with `direct`, one program and its arguments."
    )
    direct: bool = Field(
        default=False,
        description="Whether to use no shell, so that no character has a special meaning.",
    )
    stream_output: bool = Field(
        default=True, description="Whether to log each line of output as it comes."
    )
    stream_level: int = Field(default=logging.INFO, description="The log level of those lines.")
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Environment variables, in addition to those of this process.",
    )
    secret_env: dict[str, SecretStr] = Field(
        default_factory=dict, description="Secret environment variables, masked in output."
    )
    working_dir: Path | None = Field(
        default=None, description="The working directory; by default the current one."
    )
    shell: str | None = Field(default=None, description="The shell; by default bash, or else sh.")
    extension: str | None = Field(
        default=None, description="The suffix of the script's file, such as .sh or .ps1."
    )
    output: Literal["lines", "text"] = Field(
        default="lines", description="Whether the result is a list of lines or a single string."
    )
    term_seconds: float = Field(
        default=5.0, ge=0, le=10, description="Seconds until cancelled commands are killed."
    )
    _started: list[str] = PrivateAttr(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Terminate the processes that this block has started and that are still running."""
        while self._started:
            with suppress(JobLost):
                self.attach(self._started.pop()).cancel()

    def make_provider(self) -> ShellProvider:
        """Return the provider for this machine."""
        return ShellProvider(self, self._started)


class ShellProvider(JobProvider):
    """Runs a `ShellOperation` on this machine; a handle is ``host/pid/start``.

    Args:
        job: the commands.
        started: the handles of what the block has started; those that have ended are removed.
    """

    poll_seconds = 0.1
    grace_seconds = 15.0
    streams = True

    def __init__(self, job: ShellOperation, started: list[str]) -> None:
        self._job, self._started = job, started

    @property
    def where(self) -> str:
        return f"shell commands {self._job.name!r}" if self._job.name else "shell commands"

    def start(self) -> str:
        directory = self._job.working_dir and self._job.working_dir.expanduser()
        args, script = self._write_script()
        try:
            process = Process(args, self._environment(), directory, self._logger(), script)
        except (OSError, ValueError) as error:
            problem = f"{args[0]!r} can't be started: {getattr(error, 'strerror', None) or error}"
            place = str(directory or ".")
            remedy = f"Is it installed, and is {place!r} a directory? Check the block."
            failed = JobError(self.where, problem, remedy)
        except SecretError:
            _remove(script)
            raise
        else:
            handle = Handle(name_process(process.pid))
            handle.process = _processes[handle] = process
            # Forget those that have ended: a block in a loop would accumulate them.
            self._started[:] = [old for old in self._started if self._is_running(old)]
            self._started.append(handle)
            return handle
        _remove(script)
        raise failed

    def report(self, handle: str) -> Report:
        process = _process(handle)
        if process is None:
            if self._is_running(handle):
                return Report(JobStatus.RUNNING)
            problem = f"{handle!r} is not running, and its exit code is not known"
            remedy = "Check what it has done; the process that started it has exited too."
            raise JobLost(self.where, problem, remedy, handle)
        code = process.exit_code()
        if code is None:
            return Report(JobStatus.RUNNING)
        if process.cancelled:
            return Report(JobStatus.CANCELLED)
        return Report(JobStatus.FAILED, _problem(code, process)) if code else _DONE

    def cancel(self, handle: str) -> None:
        process = _process(handle)
        if process is not None:
            process.end(self._job.term_seconds)
        elif self._is_running(handle):
            end_group(read_process_name(handle)[1], self._job.term_seconds, lambda: None)

    def read_logs(self, handle: str, seen: int) -> list[str]:
        process = _process(handle)
        return [] if process is None else process.lines(seen)

    def read_result(self, handle: str) -> str | list[str]:
        process = _process(handle)
        text = "" if process is None else process.output()
        if self._job.output == "text":
            return text
        # Not with `splitlines`, which also splits at form feeds and at characters that JSON allows
        # in strings.
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        return lines if lines[-1] else lines[:-1]

    def _environment(self) -> dict[str, str] | None:
        job = self._job
        secret = {name: value.get_secret_value() for name, value in job.secret_env.items()}
        return {**read_environment(), **job.env, **secret} if job.env or secret else None

    def _write_script(self) -> tuple[list[str], Path | None]:
        """Return the command to run, and the file of the script."""
        job = self._job
        if not job.commands:
            raise JobError(self.where, "there are no commands", "Set `commands`.")
        if job.direct:
            return job.commands, None
        shell = job.shell or shutil.which("bash") or "sh"
        name = Path(shell.split()[0]).stem
        # With the encoding of file names, which preserves any bytes.
        content = "".join(f"{line}\n" for line in job.commands).encode("utf-8", "surrogateescape")
        number, path = mkstemp(job.extension or SUFFIXES.get(name, ".sh"), "flowstone-")
        with os.fdopen(number, "wb") as file:
            file.write(content)
        stop = ["-e"] if name in STOPPING else []
        return [*shell.split(), *stop, path], Path(path)

    def _logger(self) -> Callable[[str], None] | None:
        # Created here, as the reader threads have no current run.
        if not self._job.stream_output:
            return None
        return partial(get_job_logger().log, self._job.stream_level, "%s")

    def _is_running(self, handle: str) -> bool:
        host, pid, start = read_process_name(handle)
        if host == gethostname():
            return bool(start) and read_start_time(pid) == start
        raise JobLost(
            self.where, f"{handle!r} runs on {host}", "Attach to it on that machine.", handle
        )


_DONE = Report(JobStatus.COMPLETED)


def _remove(script: Path | None) -> None:
    if script is not None:
        script.unlink()


def _process(handle: str) -> Process | None:
    return handle.process if isinstance(handle, Handle) else _processes.get(handle)


def _problem(code: int, process: Process) -> str:
    how = describe_exit(code)
    words = process.last_words(LAST_WORDS)
    return f"{how}; its last lines: {chr(10).join(words)}" if words else how
