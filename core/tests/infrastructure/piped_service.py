"""A service behind a pipe that starts processes. It loses answers, and others come late.

Requests and answers are lines of JSON. A request has a number: one that is repeated is carried out
once, and answered as it was.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from random import Random
from typing import Any

from flowstone.blocks.jobs.processes import describe_exit, name_process, signal_group

LOST, LATE = 0.3, 0.6


class Service:
    """The processes that were started, by their handles."""

    def __init__(self) -> None:
        self._jobs: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, command: list[str], env: dict[str, str]) -> dict[str, str]:
        try:
            job = subprocess.Popen(
                command,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            return {"error": f"{command[0]} can't be started: {error.strerror}"}
        handle = name_process(job.pid)
        self._jobs[handle] = job
        return {"handle": handle}

    def report(self, handle: str) -> dict[str, str]:
        job = self._jobs.get(handle)
        if job is None:
            return {"status": "lost"}
        code = job.poll()
        if code is None:
            return {"status": "running"}
        if code == 0:
            return {"status": "completed"}
        return {"status": "failed", "problem": f"it ended with {describe_exit(code)}"}

    def end(self, handle: str, how: int) -> dict[str, str]:
        job = self._jobs.get(handle)
        if job is not None and job.poll() is None:
            signal_group(job.pid, how)
        return {}


def main() -> None:
    chance, service = Random(int(sys.argv[1])), Service()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C does not reach another machine
    answers: dict[int, dict[str, Any]] = {}
    late: list[dict[str, Any]] = []
    for line in sys.stdin:
        asked = json.loads(line)
        number, what = asked.pop("number"), asked.pop("what")
        if number not in answers:
            answers[number] = {"number": number, **getattr(service, what)(**asked)}
        fate = chance.random()
        if fate < LOST:
            continue
        late.append(answers[number])
        if fate >= LATE:
            for answer in reversed(late):
                print(json.dumps(answer), flush=True)
            late.clear()


if __name__ == "__main__":
    main()
