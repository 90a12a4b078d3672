"""An infrastructure whose jobs are elsewhere: all that is known of them comes through a pipe."""

from __future__ import annotations

import json
import selectors
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstone.blocks.jobs import JobProvider, JobStatus, Report
from flowstone.context.current import services
from flowstone.errors import JobError, JobLost
from flowstone.infrastructure import Infrastructure, JobVariables, RunJob
from flowstone.settings import make_child_environ

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds without an answer until a request is sent again.
SILENCE = 0.1


class Pipe:
    """Asks the service, again and again until an answer comes."""

    def __init__(self, seed: int) -> None:
        program = Path(__file__).with_name("piped_service.py")
        self._service = subprocess.Popen(
            [sys.executable, program, str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._numbers = count()
        self._answers: dict[int, dict[str, Any]] = {}
        self.repeated = 0

    def ask(self, what: str, **asked: object) -> dict[str, Any]:
        assert self._service.stdin is not None
        number = next(self._numbers)
        request = json.dumps({"number": number, "what": what, **asked}) + "\n"
        self._service.stdin.write(request)
        while number not in self._answers:
            if not self._receive():
                self._service.stdin.write(request)
                self.repeated += 1
        return self._answers.pop(number)

    def _receive(self) -> bool:
        """Take the next answer, even a late one to another request; return whether one came."""
        pipe = self._service.stdout
        assert pipe is not None
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            if not selector.select(SILENCE):
                return False
        answer = json.loads(pipe.readline())
        self._answers[answer["number"]] = answer
        return True

    def close(self) -> None:
        self._service.communicate()


class PipedInfrastructure(Infrastructure):
    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def make_provider(self, job: RunJob) -> JobProvider:
        own = (sys.executable, "-m", "flowstone", "run", "execute", job.run_id)
        return PipedProvider(self._pipe, job.command or own, job.env)

    def attach(self, variables: JobVariables) -> JobProvider:
        return PipedProvider(self._pipe)


class PipedProvider(JobProvider):
    def __init__(
        self, pipe: Pipe, command: tuple[str, ...] = (), env: Mapping[str, str] | None = None
    ) -> None:
        self._pipe, self._command, self._env = pipe, command, env or {}

    @property
    def where(self) -> str:
        return "the service"

    def start(self) -> str:
        home = make_child_environ(services().settings)["FLOWSTONE_HOME"]
        env = {"FLOWSTONE_HOME": home, **self._env}
        answer = self._pipe.ask("start", command=list(self._command), env=env)
        if problem := answer.get("error"):
            raise JobError(self.where, problem, "Install it there.")
        return str(answer["handle"])

    def report(self, handle: str) -> Report:
        answer = self._pipe.ask("report", handle=handle)
        if answer["status"] == "lost":
            raise JobLost(self.where, f"it knows no job {handle!r}", "Start the run again.")
        return Report(JobStatus(answer["status"]), answer.get("problem", ""))

    def cancel(self, handle: str) -> None:
        self._pipe.ask("end", handle=handle, how=signal.SIGTERM)

    def kill(self, handle: str) -> None:
        self._pipe.ask("end", handle=handle, how=signal.SIGKILL)
