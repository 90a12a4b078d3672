"""The infrastructure `process`: each run in a process on the worker's machine."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from flowstone.blocks.jobs import JobProvider, JobStatus, Report
from flowstone.blocks.jobs.processes import (
    describe_exit,
    name_process,
    read_process_name,
    read_start_time,
    signal_group,
)
from flowstone.context.current import services
from flowstone.errors import JobError
from flowstone.infrastructure.base import Infrastructure, JobVariables, RunJob
from flowstone.settings import make_child_environ

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.infrastructure.process_templates import ProcessTemplate


#: The command `flowstone` of this Python.
_FLOWSTONE = (sys.executable, "-m", "flowstone")


class ProcessVariables(JobVariables):
    """The job variables of a process."""

    stream_output: bool = Field(
        default=True, description="Whether to show the process's output on the worker's terminal."
    )
    working_dir: Path | None = Field(
        default=None,
        description="The working directory; by default the run's copy of the code if that came "
        "from a source, and otherwise the worker's directory.",
    )


class ProcessInfrastructure(Infrastructure):
    """Executes each run in its own process and session, on the worker's machine."""

    variables: ClassVar[type[JobVariables]] = ProcessVariables

    def __init__(self) -> None:
        self._template: ProcessTemplate | None = None

    def prepare(self) -> bool:
        """Start a template process that is forked for runs, if the system supports that."""
        # Only workers that run on need it.
        from flowstone.infrastructure.process_templates import CAN_COPY, ProcessTemplate

        if CAN_COPY:
            self._template = ProcessTemplate(make_child_environ(services().settings))
        return CAN_COPY

    @property
    def is_prepared(self) -> bool:
        """Whether the next process can already be forked."""
        return self._template is not None and self._template.is_ready

    def find_problem(self, variables: JobVariables) -> str | None:
        """Return what is missing on this machine: the directory, or the program of the command."""
        assert isinstance(variables, ProcessVariables)
        folder, host = variables.working_dir, gethostname()
        if folder is not None and not folder.is_dir():
            problem = "is not a directory" if folder.exists() else "does not exist"
            told = f"its working_dir {str(folder)!r} {problem} on {host}"
            return f"{told}. Change the job variable working_dir."
        if variables.command is None:
            return None
        program = shlex.split(variables.command)[0]
        # A program given by its path is relative to the working directory.
        place = str(Path(folder or "", program)) if os.sep in program else program
        if shutil.which(place, path=variables.env.get("PATH")) is None:
            return f"there is no program {program!r} on {host}. Change the job variable command."
        return None

    def make_provider(self, job: RunJob) -> ProcessProvider:
        """Return the provider that starts the process of a run."""
        assert isinstance(job.variables, ProcessVariables)
        folder = job.variables.working_dir
        stay = () if folder is None else ("--stay",)
        return ProcessProvider(
            job.command or (*_FLOWSTONE, "run", "execute", *stay, job.run_id),
            job.env,
            folder,
            job.variables.stream_output,
            self._find_template(),
        )

    def _find_template(self) -> ProcessTemplate | None:
        if self._template is not None and self._template.has_ended:
            self.prepare()  # it was killed
        return self._template

    def attach(self, variables: JobVariables) -> ProcessProvider:
        """Return the provider for processes by their handles."""
        assert isinstance(variables, ProcessVariables)
        return ProcessProvider()


class ProcessProvider(JobProvider):
    """A process; its handle is ``host/pid/start``.

    Args:
        command: the program and its arguments.
        env: environment variables, in addition to those of this process.
        working_dir: its working directory; None for that of this process.
        shows_output: whether it writes to the terminal of this process.
        template: the template process that may be forked for the command `flowstone`.
    """

    def __init__(
        self,
        command: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
        working_dir: Path | None = None,
        shows_output: bool = True,
        template: ProcessTemplate | None = None,
    ) -> None:
        self._command, self._env, self._dir = command, env or {}, working_dir
        self._shows_output = shows_output
        self._process: subprocess.Popen[bytes] | None = None
        self._template = template
        self._is_copy = False

    @property
    def where(self) -> str:
        """Its machine."""
        return gethostname()

    def start(self) -> str:
        """Start the process in its own session, so that Ctrl-C only reaches the worker."""
        env = {**make_child_environ(services().settings), **self._env}
        if (pid := self._copy(env)) is not None:
            return name_process(pid)
        output = None if self._shows_output else subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours, or the operator's
                self._command,
                cwd=self._dir,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # a NUL byte is a ValueError
            told = getattr(error, "strerror", None) or error
            problem = f"{self._command[0]!r} can't be started: {told}"
            remedy = f"Is it installed, and is {str(self._dir or '.')!r} a directory?"
            raise JobError(self.where, problem, remedy) from error
        return name_process(self._process.pid)

    def _copy(self, env: Mapping[str, str]) -> int | None:
        """Fork the template process, and return the new id; None if that is not possible.

        If it is not, `subprocess` is used, which raises a descriptive error.
        """
        template, folder = self._template, self._dir or Path()
        if template is None or self._command[:3] != _FLOWSTONE or not folder.is_dir():
            return None
        if not template.can_copy(env) or "\0" in "".join((*env, *env.values())):
            return None
        shows = self._shows_output
        pid = template.start(self._command[3:], env, folder, shows_output=shows)
        self._is_copy = pid is not None
        return pid

    def report(self, handle: str) -> Report:
        """Return the state of a process. An exit code is only known for this worker's processes."""
        if self._process is not None:
            code = self._process.poll()
        elif self._is_copy and self._template is not None and not self._template.has_ended:
            code = self._template.read_code(read_process_name(handle)[1])
        else:
            code = None if self._is_here(handle) else 0
        if code is None:
            return Report(JobStatus.RUNNING)
        if code == 0:
            return Report(JobStatus.COMPLETED)
        return Report(JobStatus.FAILED, f"its process ended with {describe_exit(code)}")

    def cancel(self, handle: str) -> None:
        """Send SIGTERM to the process and its children."""
        self._signal(handle, signal.SIGTERM)

    def kill(self, handle: str) -> None:
        """Send SIGKILL to the process and its children."""
        self._signal(handle, signal.SIGKILL)

    def _signal(self, handle: str, number: int) -> None:
        own = self._process
        if self._is_here(handle) if own is None else own.poll() is None:
            signal_group(read_process_name(handle)[1], number)

    @staticmethod
    def _is_here(handle: str) -> bool:
        host, pid, start = read_process_name(handle)
        return host == gethostname() and pid > 0 and read_start_time(pid) == start
