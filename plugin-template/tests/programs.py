"""The service's programs: `count` writes two lines, `fail` fails, `wait` runs until cancelled."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

#: The state of each program after its start, its output, and its error.
PROGRAMS = {
    "count": ("completed", ["one", "two"], ""),
    "fail": ("failed", [], "exit code 3"),
    "wait": ("running", [], ""),
}


class Programs:
    """The runs of programs, by their handles."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}

    def is_running(self, handle: str) -> bool:
        """Return whether a run is active, without HTTP."""
        return bool(self.runs[handle]["status"] == "running")

    def take(self, handler: Any, handle: str) -> None:
        if handler.command == "POST":
            self._start(handler)
        elif handle not in self.runs:
            handler.refuse(404, "no-such-run")
        else:
            run = self.runs[handle]
            if handler.command == "DELETE" and run["status"] == "running":
                run["status"] = "cancelled"
            handler.send(json.dumps(run).encode())

    def _start(self, handler: Any) -> None:
        asked = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        if asked["program"] not in PROGRAMS:
            handler.refuse(400, "no-such-program")
            return
        status, lines, problem = PROGRAMS[asked["program"]]
        handle = uuid4().hex
        self.runs[handle] = {"status": status, "lines": lines, "problem": problem}
        handler.send(json.dumps(handle).encode())
