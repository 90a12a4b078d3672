"""What a loopback server answers in the place of ECS, Batch, Lambda and CloudWatch Logs.

Each task, job and function is a real process of this machine: the command of a container is what
runs, whatever its image. Exit codes, output, time and what a stop does are real; the wire is that
of AWS's own pages, which each route names.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any

from tests.services.aws_batch import Batch
from tests.services.aws_ecs import Ecs
from tests.services.aws_lambda import Lambda
from tests.services.aws_wire import Refusal
from tests.services.containers import Containers, keep_containers
from tests.services.web import Handler, serve_web

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Access keys that are not let in, and what AWS says to each:
#: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html
REFUSED_KEYS = {
    "AKIAWRONG": Refusal(
        "UnrecognizedClientException", "The security token included in the request is invalid."
    ),
    "AKIAEXPIRED": Refusal(
        "ExpiredTokenException", "The security token included in the request is expired"
    ),
    "AKIADENIED": Refusal(
        "AccessDeniedException", "User: arn:aws:iam::123456789012:user/me is not authorized", 403
    ),
}
_KEY = re.compile(r"Credential=(\w+)/")
_FUNCTION = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")


@dataclass
class Hiccup:
    """How the next calls of an operation are answered, instead of being served.

    Attributes:
        operation: as AWS names it.
        refusal: what is answered; None to close the connection.
        after: whether it is served first, and only the answer is lost.
        left: how many of them.
    """

    operation: str
    refusal: Refusal | None
    after: bool = False
    left: int = 1


@dataclass
class Rate:
    """How many calls of an operation are served in a second, as a bucket of tokens."""

    per_second: float
    most: float
    left: float = 0.0
    at: float = field(default_factory=time.monotonic)

    def take(self) -> bool:
        now = time.monotonic()
        self.left = min(self.most, self.left + (now - self.at) * self.per_second)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class AwsJobs:
    """The services, and what was asked of them.

    Attributes:
        asked: the calls so far: the operation and its parameters; those that were refused, too.
        counts: how often each operation was served.
        secrets: what a container gets where its definition refers to a secret, by ARN.
    """

    def __init__(self, containers: Containers) -> None:
        self.url = ""
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.counts: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self.secrets: dict[str, str] = {}
        self.containers = containers
        self.ecs = Ecs(containers, self.secrets)
        self.batch = Batch(containers)
        self.functions = Lambda(containers)
        self._hiccups: list[Hiccup] = []
        self._rates: dict[str, Rate] = {}
        self.lock = RLock()

    def fail_next(
        self, operation: str, code: str = "", *, status: int = 400, times: int = 1
    ) -> None:
        """Answer the next calls of an operation by an error; without a code, close them."""
        refusal = Refusal(code, "Rate exceeded", status) if code else None
        self._hiccups.append(Hiccup(operation, refusal, left=times))

    def lose_next_answer(self, operation: str) -> None:
        """Serve the next call of an operation, and close the connection without an answer."""
        self._hiccups.append(Hiccup(operation, None, after=True))

    def limit(self, operation: str, per_second: float, most: float) -> None:
        """Serve so many calls of an operation in a second, and throttle the others."""
        self._rates[operation] = Rate(per_second, most, most)

    def find_asked(self, operation: str) -> list[dict[str, Any]]:
        """Return the parameters of the calls of an operation, oldest first."""
        with self.lock:
            return [parameters for name, parameters in self.asked if name == operation]

    def is_alive(self, handle: str) -> bool:
        """Return whether the process of a task or job runs."""
        with self.lock:
            found = self.ecs.tasks.get(handle) or self.batch.jobs.get(handle)
        return found is not None and found.container is not None and found.container.is_running

    def dump(self) -> str:
        """Return all that the services can be asked for, and all that they were asked."""
        with self.lock:
            found = [self.ecs.dump(), self.batch.dump(), self.asked]
            return json.dumps(found, default=str)

    def take_hiccup(self, operation: str) -> Hiccup | None:
        with self.lock:
            for hiccup in self._hiccups:
                if hiccup.left and hiccup.operation == operation:
                    hiccup.left -= 1
                    return hiccup
            rate = self._rates.get(operation)
            if rate is not None and not rate.take():
                self.throttled[operation] += 1
                return Hiccup(operation, Refusal("ThrottlingException", "Rate exceeded"))
        return None

    def note(self, operation: str, parameters: dict[str, Any]) -> None:
        with self.lock:
            self.asked.append((operation, parameters))

    def serve(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked, and return the answer.

        Raises:
            Refusal: it is refused.
        """
        with self.lock:
            self.counts[operation] += 1
            for service in (self.ecs, self.batch):
                found = service.routes.get(operation)
                if found is not None:
                    return found(parameters)
            if operation == "GetLogEvents":
                return self._get_log_events(parameters)
        raise Refusal("UnknownOperationException", operation, 404)

    def _get_log_events(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html"""
        streams = {**self.ecs.list_streams(), **self.batch.list_streams()}
        container = streams.get((asked["logGroupName"], asked["logStreamName"]))
        if container is None:
            raise Refusal("ResourceNotFoundException", "The specified log stream does not exist.")
        lines, most = container.lines, asked.get("limit", 10_000)
        if not asked.get("startFromHead", False) and "nextToken" not in asked:
            begin = max(0, len(lines) - most)
        else:
            begin = int(asked.get("nextToken", "f/0").rpartition("/")[2])
        found = lines[begin : begin + most]
        return {
            "events": [
                {
                    "timestamp": int(line.at.timestamp() * 1000),
                    "message": line.text,
                    "ingestionTime": int(line.at.timestamp() * 1000),
                }
                for line in found
            ],
            "nextForwardToken": f"f/{begin + len(found)}",
            "nextBackwardToken": f"b/{begin}",
        }


@contextmanager
def serve_aws_jobs() -> Iterator[AwsJobs]:
    """Answer in the place of the services on a free port; in the end, all processes are killed."""
    with keep_containers() as containers:
        services = AwsJobs(containers)

        class Aws(Handler):
            protocol_version = "HTTP/1.1"

            def serve(self) -> None:
                content = self.read_body()
                function = _FUNCTION.fullmatch(self.path.partition("?")[0])
                target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                operation = "Invoke" if function else target or _name_operation(self.path)
                try:
                    parameters = {} if function else json.loads(content or b"{}")
                    services.note(operation, parameters)
                    self._check_login()
                    hiccup = services.take_hiccup(operation)
                    if hiccup is not None and not hiccup.after:
                        return self._refuse(hiccup.refusal)
                    if function:
                        found = services.functions.invoke(self.path, content, {**self.headers})
                        return self.respond(*found) if hiccup is None else self._refuse(None)
                    answer = services.serve(operation, parameters)
                except Refusal as refusal:
                    return self._refuse(refusal)
                return self._refuse(None) if hiccup else self._answer(200, answer)

            def _check_login(self) -> None:
                key = _KEY.search(self.headers.get("Authorization", ""))
                if key and key[1] in REFUSED_KEYS:
                    raise REFUSED_KEYS[key[1]]

            def _refuse(self, refusal: Refusal | None) -> None:
                if refusal is None:
                    self.close_connection = True
                    return
                words = {"__type": refusal.code, "message": refusal.text}
                self._answer(refusal.status, words, {"x-amzn-ErrorType": refusal.code})

            def _answer(
                self, status: int, value: object, headers: dict[str, str] | None = None
            ) -> None:
                # https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
                kind = {"Content-Type": "application/x-amz-json-1.1", **(headers or {})}
                self.respond(status, json.dumps(value).encode(), kind)

            do_POST = serve

        with serve_web(Aws) as server:
            services.url = server.url
            yield services


def _name_operation(path: str) -> str:
    """Return which operation of Batch a path is, as ``/v1/submitjob`` is SubmitJob."""
    name = path.rpartition("/")[2]
    return next((each for each in Batch.OPERATIONS if each.lower() == name), name)
