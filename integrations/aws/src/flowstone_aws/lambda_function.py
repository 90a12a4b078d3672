"""LambdaFunction: a function of AWS Lambda, invoked with a payload."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from flowstone import record_measures
from flowstone.blocks import Block
from flowstone.blocks.jobs import get_job_logger
from flowstone.errors import JobError, JobFailed
from flowstone.records.redaction import redact
from flowstone_aws.credentials import AwsCredentials
from flowstone_aws.job_errors import translate_job_errors

if TYPE_CHECKING:
    from flowstone_aws.records import JsonValue, Record

InvocationType = Literal["RequestResponse", "Event", "DryRun"]
#: The longest time limit of a function, in seconds:
#: https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
LONGEST_SECONDS = 900.0
#: Seconds to wait for the response after the time limit of the function.
MARGIN_SECONDS = 10
#: The longest client context, in bytes, before it is encoded.
LONGEST_CONTEXT = 3583
#: The last line that Lambda writes for an invocation:
#: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-view.html
_REPORT = re.compile(
    r"^REPORT RequestId: \S+\s+Duration: (?P<duration>[\d.]+) ms\s+"
    r"Billed Duration: (?P<billed>[\d.]+) ms\s+Memory Size: (?P<memory>\d+) MB\s+"
    r"Max Memory Used: (?P<used>\d+) MB(\s+Init Duration: (?P<init>[\d.]+) ms)?",
    re.MULTILINE,
)


class LambdaFailed(JobFailed):
    """A Lambda function raised an error, timed out or exited.

    Attributes:
        error_type: the type of its error, such as ``ValueError`` or ``Sandbox.Timedout``.
        message: the message of its error.
        trace: the stack trace, as the function's runtime formats it.
        log_tail: its last log lines, up to 4 KB.
    """

    def __init__(
        self, where: str, error_type: str, message: str, trace: list[str], log_tail: list[str]
    ) -> None:
        self.error_type, self.message = error_type, message
        self.trace, self.log_tail = trace, log_tail
        told = f"{error_type}: {message}" if error_type else message
        words = "\n".join(log_tail)
        problem = f"{told}; its log ends with:\n{words}\n" if words else told
        super().__init__(where, problem, "Check the function's code and its log.")

    def __reduce__(self) -> tuple[type[LambdaFailed], tuple[object, ...]]:
        """Return how to recreate it in another process."""
        made = (self.where, self.error_type, self.message, self.trace, self.log_tail)
        return type(self), made


@dataclass(frozen=True, slots=True)
class LambdaResponse:
    """Lambda's response to an invocation; AWS's own names work, too, such as ``["Payload"]``.

    Attributes:
        status_code: 200; 202 for an asynchronous invocation, 204 for a dry run.
        content: the function's return value, as bytes.
        executed_version: the version that ran.
        log_tail: its last log lines, up to 4 KB, if they were requested.
        measures: seconds, billed seconds and memory, as reported by Lambda.
    """

    status_code: int
    content: bytes
    executed_version: str | None = None
    log_tail: list[str] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)

    @property
    def payload(self) -> JsonValue:
        """The function's return value, parsed from JSON; None if it returned nothing."""
        return json.loads(self.content) if self.content.strip() else None

    def __getitem__(self, name: str) -> JsonValue:
        """Return an entry of the response of boto3's ``invoke``."""
        entries = {
            "StatusCode": self.status_code,
            "Payload": BytesIO(self.content),
            "ExecutedVersion": self.executed_version,
            "LogResult": base64.b64encode("\n".join(self.log_tail).encode()).decode(),
        }
        return entries[name]


class LambdaFunction(Block):
    """An AWS Lambda function.

    It is not a `Job`: Lambda can't cancel an asynchronous invocation, and has no call that says how
    it ended.
    """

    _block_type_name: ClassVar[str | None] = "Lambda Function"
    _description: ClassVar[str | None] = "An AWS Lambda function, invoked with a payload."
    _documentation_url: ClassVar[str | None] = "https://docs.aws.amazon.com/lambda/"
    _code_example: ClassVar[str | None] = (
        'LambdaFunction(function_name="resize").save("resize")\n'
        'LambdaFunction.load("resize").invoke({"width": 200}).payload'
    )

    function_name: str = Field(min_length=1, description="The function's name or ARN.")
    qualifier: str | None = Field(default=None, description="A version or an alias.")
    aws_credentials: AwsCredentials = Field(
        default_factory=AwsCredentials,
        description="The credentials; by default, boto3 finds them.",
    )
    timeout_seconds: float = Field(
        default=LONGEST_SECONDS,
        gt=0,
        le=LONGEST_SECONDS,
        description="Seconds to wait for the response; Lambda ends a function after 900 s.",
    )

    def invoke(
        self,
        payload: JsonValue = None,
        invocation_type: InvocationType = "RequestResponse",
        tail: bool = False,
        client_context: Record | None = None,
    ) -> LambdaResponse:
        """Invoke the function, and return Lambda's response.

        An invocation whose response is lost is not retried: the function may have run.

        Args:
            payload: the function's input, a JSON value.
            invocation_type: ``RequestResponse`` waits for the result, ``Event`` only sends the
                payload, ``DryRun`` checks that it could be invoked.
            tail: whether its last log lines go to the run's log and into the response.
            client_context: data for the function's context object.

        Raises:
            LambdaFailed: the function failed; contains its message and its last log lines.
            JobError: Lambda refused the invocation; `JobLost` if there is no such function.
            AccessDenied: the credentials have no permission to invoke it.
            CredentialsError: no credentials were found, or they were refused.
            Unreachable: Lambda can't be reached, or did not respond in time.
        """
        request: Record = {
            "FunctionName": self.function_name,
            "InvocationType": invocation_type,
        }
        if payload is not None:
            request["Payload"] = self._encode("payload", payload)
        if self.qualifier is not None:
            request["Qualifier"] = self.qualifier
        if client_context is not None:
            request["ClientContext"] = self._encode_context(client_context)
        if invocation_type == "RequestResponse":
            request["LogType"] = "Tail"  # always: it contains the billed duration
        return self._read(*self._ask(request), tail=tail)

    async def ainvoke(
        self,
        payload: JsonValue = None,
        invocation_type: InvocationType = "RequestResponse",
        tail: bool = False,
        client_context: Record | None = None,
    ) -> LambdaResponse:
        """Async version of `invoke`."""
        return await asyncio.to_thread(self.invoke, payload, invocation_type, tail, client_context)

    @property
    def _where(self) -> str:
        name = f"{self.function_name}:{self.qualifier}" if self.qualifier else self.function_name
        return f"Lambda function {name!r}"

    def _ask(self, request: Record) -> tuple[Record, bytes]:
        login = self.aws_credentials
        config = dict(login.aws_client_parameters.config or {})
        config.setdefault("read_timeout", self.timeout_seconds + MARGIN_SECONDS)
        with translate_job_errors(self._where, login.describe_login):
            answer: Record = login.client("lambda", config=config).invoke(**request)
            return answer, answer["Payload"].read()

    def _read(self, answer: Record, content: bytes, *, tail: bool) -> LambdaResponse:
        log = base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace")
        measures = measure_invocation(log)
        # Maximum memory can't be summed over invocations.
        record_measures({name: at for name, at in measures.items() if name != "max_memory_bytes"})
        lines = redact(log).splitlines()
        if tail:
            logger = get_job_logger()
            for line in lines:
                logger.info("%s", line)
        if answer.get("FunctionError"):
            raise make_failure(self._where, content, lines)
        version = answer.get("ExecutedVersion")
        shown = lines if tail else []
        return LambdaResponse(int(answer["StatusCode"]), content, version, shown, measures)

    def _encode(self, what: str, value: object) -> bytes:
        try:
            return json.dumps(value).encode()
        except (TypeError, ValueError) as error:
            problem = f"{what} is not JSON: {error}"
            remedy = "Pass dicts, lists, strings, numbers, booleans and None."
            raise JobError(self._where, problem, remedy) from None

    def _encode_context(self, context: Record) -> str:
        content = self._encode("client_context", context)
        if len(content) > LONGEST_CONTEXT:
            problem = f"client_context has {len(content)} bytes; Lambda takes {LONGEST_CONTEXT}"
            raise JobError(self._where, problem, "Put it into the payload.")
        return base64.b64encode(content).decode()


def make_failure(where: str, content: bytes, log_tail: list[str]) -> LambdaFailed:
    """Return the error for the response of a function that failed.

    https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
    """
    text = redact(content.decode("utf-8", "replace"))
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return LambdaFailed(where, "", text, [], log_tail)
    trace = [str(line) for line in told.get("stackTrace") or told.get("trace") or []]
    message = str(told.get("errorMessage", text))
    return LambdaFailed(where, str(told.get("errorType", "")), message, trace, log_tail)


def measure_invocation(log: str) -> dict[str, float]:
    """Return the measures in the last log lines of an invocation; none if they are missing."""
    reports = [*_REPORT.finditer(log)]
    if not reports:
        return {}
    report = reports[-1]
    billed = float(report["billed"]) / 1000
    return {
        "run_seconds": float(report["duration"]) / 1000,
        "billed_seconds": billed,
        "billed_gb_seconds": billed * int(report["memory"]) / 1024,
        "max_memory_bytes": float(int(report["used"]) * 1024 * 1024),
    }
