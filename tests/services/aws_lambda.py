"""Lambda on this machine: a function is a Python program, which each invocation runs anew.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from __future__ import annotations

import base64
import json
import math
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

from tests.services.aws_wire import Refusal, make_arn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.services.containers import Container, Containers

#: Calls `handler(event, context)` of a program, as Lambda's runtime for Python does.
#: https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
RUNTIME = """
import base64, json, os, sys, traceback
space = {}
try:
    exec(os.environ["CODE"], space)
    context = json.loads(base64.b64decode(os.environ["CONTEXT"]) or b"null")
    found = space["handler"](json.loads(os.environ["EVENT"] or "null"), context)
    print("\\x00" + json.dumps(found))
except SystemExit:
    raise
except BaseException as error:
    trace = traceback.format_tb(error.__traceback__)
    told = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": trace}
    print("[ERROR]", type(error).__name__ + ":", error)
    print("\\x00" + json.dumps(told))
    print("\\x01")
"""
#: So much of a log is in an answer.
TAIL = 4096


@dataclass
class Invoked:
    """An invocation."""

    function: str
    qualifier: str
    kind: str
    container: Container | None


class Lambda:
    """Functions, as programs that define ``handler(event, context)``.

    Attributes:
        programs: by the name of the function.
        timeouts: the seconds that each may take; 3 by default.
        invoked: the invocations so far.
    """

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self.programs: dict[str, str] = {}
        self.timeouts: dict[str, float] = {}
        self.invoked: list[Invoked] = []

    def invoke(
        self, path: str, event: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return the status, the content and the headers of the answer.

        Raises:
            Refusal: there is no such function.
        """
        parts = urlsplit(path)
        name = unquote(parts.path.split("/")[3]).rpartition(":")[2]
        qualifier = parse_qs(parts.query).get("Qualifier", ["$LATEST"])[0]
        kind = headers.get("X-Amz-Invocation-Type", "RequestResponse")
        if name not in self.programs:
            arn = make_arn("lambda", f"function:{name}")
            raise Refusal("ResourceNotFoundException", f"Function not found: {arn}", 404)
        if kind == "DryRun":
            self.invoked.append(Invoked(name, qualifier, kind, None))
            return 204, b"", {}
        variables = {
            "CODE": self.programs[name],
            "EVENT": event.decode(),
            "CONTEXT": headers.get("X-Amz-Client-Context", ""),
        }
        container = self._containers.start(
            [sys.executable, "-I", "-c", RUNTIME],
            variables,
            timeout_seconds=self.timeouts.get(name, 3),
        )
        self.invoked.append(Invoked(name, qualifier, kind, container))
        if kind == "Event":
            return 202, b"", {"x-amzn-RequestId": str(uuid4())}
        container.wait()
        return self._answer(name, qualifier, container, headers)

    def _answer(
        self, name: str, qualifier: str, container: Container, headers: Mapping[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        request = str(uuid4())
        texts = [line.text for line in container.lines]
        result = next((text[1:] for text in texts if text.startswith("\x00")), "null")
        lines = [text for text in texts if not re.match("[\x00\x01]", text)]
        error = "Unhandled" if "\x01" in texts else ""
        if container.timed_out:
            error, seconds = "Unhandled", self.timeouts.get(name, 3)
            told = f"RequestId: {request} Error: Task timed out after {seconds:.2f} seconds"
            result = json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": told})
        elif container.exit_code:
            error = "Unhandled"
            told = f"Runtime exited with error: exit status {container.exit_code}"
            told = f"RequestId: {request} Error: {told}"
            result = json.dumps({"errorType": "Runtime.ExitError", "errorMessage": told})
        answer = {"x-amzn-RequestId": request, "X-Amz-Executed-Version": qualifier}
        if error:
            answer["X-Amz-Function-Error"] = error
        if headers.get("X-Amz-Log-Type") == "Tail":
            text = "\n".join([
                f"START RequestId: {request} Version: {qualifier}",
                *lines,
                f"END RequestId: {request}",
                _write_report(request, container.seconds * 1000),
            ])  # fmt: skip
            tail = f"{text}\n".encode()[-TAIL:]
            answer["X-Amz-Log-Result"] = base64.b64encode(tail).decode()
        return 200, result.encode(), answer


def _write_report(request: str, milliseconds: float) -> str:
    """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-view.html"""
    return (
        f"REPORT RequestId: {request}\tDuration: {milliseconds:.2f} ms\t"
        f"Billed Duration: {math.ceil(milliseconds)} ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 35 MB\tInit Duration: 101.50 ms\t"
    )
