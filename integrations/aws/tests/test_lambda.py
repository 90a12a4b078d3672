"""Lambda functions: results, errors with their messages, log tails, and costs."""

from __future__ import annotations

import asyncio
import json
import pickle
from typing import TYPE_CHECKING

import pytest

from flowstone import flow, runtime
from flowstone.context import current
from flowstone.context.external_work import sum_measures
from flowstone.errors import BlockInvalid, JobError, JobFailed, JobLost, Unreachable
from flowstone_aws import AwsCredentials, LambdaFailed, LambdaFunction
from flowstone_aws.lambda_function import make_failure, measure_invocation

if TYPE_CHECKING:
    from tests.services.aws_jobs import AwsJobs

pytestmark = pytest.mark.usefixtures("home")

ECHO = """
def handler(event, context):
    print("got", event)
    return {"event": event, "context": context}
"""
RAISES = """
def handler(event, context):
    print("before it goes wrong")
    raise KeyError("no such order")
"""


@pytest.fixture
def echo(jobs: AwsJobs, jobs_login: AwsCredentials) -> LambdaFunction:
    jobs.functions.programs["echo"] = ECHO
    return LambdaFunction(function_name="echo", aws_credentials=jobs_login)


@pytest.mark.parametrize("payload", [None, {"a": [1, None]}, [1, 2], "text", 1.5])
def test_a_function_gives_its_result(echo: LambdaFunction, payload: object) -> None:
    answer = echo.invoke(payload)
    assert answer.payload == {"event": payload, "context": None}
    assert (answer.status_code, answer.executed_version) == (200, "$LATEST")
    assert answer.log_tail == []
    # As code that was written for boto3's answer reads it.
    assert json.loads(answer["Payload"].read()) == json.loads(answer["Payload"].read())
    assert answer["StatusCode"] == 200


def test_context_and_qualifier_are_sent(jobs: AwsJobs, echo: LambdaFunction) -> None:
    live = echo.model_copy(update={"qualifier": "live"})
    answer = live.invoke(client_context={"custom": {"ü": 1}})
    assert answer.payload["context"] == {"custom": {"ü": 1}}
    assert answer.executed_version == "live"
    assert jobs.functions.invoked[-1].qualifier == "live"


def test_its_last_lines_are_those_of_the_run(
    echo: LambdaFunction, caplog: pytest.LogCaptureFixture
) -> None:
    @flow
    def nightly() -> list[str]:
        return echo.invoke({"a": 1}, tail=True).log_tail

    lines = nightly()
    assert lines[0].startswith("START RequestId: ")
    assert lines[1] == "got {'a': 1}"
    assert "got {'a': 1}" in [record.getMessage() for record in caplog.records]


def test_what_it_cost_is_a_measure_of_the_run(echo: LambdaFunction) -> None:
    @flow
    def nightly() -> str:
        for _ in range(2):
            echo.invoke()
        return str(runtime.flow_run.id)

    run_id = nightly()
    current.services().journal.flush()
    sums = sum_measures(run_id)
    assert {name: unit for name, (_, unit) in sums.items()} == dict.fromkeys(
        ("run_seconds", "billed_seconds", "billed_gb_seconds"), "seconds"
    )
    assert sums["billed_seconds"][0] >= sums["run_seconds"][0] > 0


def test_a_report_is_read_as_lambda_writes_it() -> None:
    report = (
        "START RequestId: 8f507cfc Version: $LATEST\nEND RequestId: 8f507cfc\n"
        "REPORT RequestId: 8f507cfc-xmpl-4697-b07a-ac58fc914c95\tDuration: 2.34 ms\t"
        "Billed Duration: 1003 ms\tMemory Size: 512 MB\tMax Memory Used: 94 MB\t"
        "Init Duration: 271.87 ms\t\nXRAY TraceId: 1-5e34a614\tSampled: true\n"
    )
    assert measure_invocation(report) == {
        "run_seconds": 0.00234,
        "billed_seconds": 1.003,
        "billed_gb_seconds": 1.003 / 2,
        "max_memory_bytes": 94 * 1024 * 1024,
    }
    assert measure_invocation("no report") == {}


def test_events_are_only_sent(jobs: AwsJobs, echo: LambdaFunction) -> None:
    answer = echo.invoke({"a": 1}, "Event")
    assert (answer.status_code, answer.payload) == (202, None)
    assert echo.invoke(invocation_type="DryRun").status_code == 204
    sent, tried = jobs.functions.invoked
    assert sent.container is not None
    assert sent.container.wait(60)
    assert "got {'a': 1}" in sent.container.text
    assert (tried.kind, tried.container) == ("DryRun", None)


def test_a_coroutine_may_invoke(echo: LambdaFunction) -> None:
    assert asyncio.run(echo.ainvoke([1])).payload["event"] == [1]


def test_a_failure_is_in_the_function_s_own_words(
    jobs: AwsJobs, jobs_login: AwsCredentials
) -> None:
    jobs.functions.programs["raises"] = RAISES
    function = LambdaFunction(function_name="raises", aws_credentials=jobs_login)
    with pytest.raises(LambdaFailed) as caught:
        function.invoke()
    error = caught.value
    assert isinstance(error, JobFailed)
    assert (error.error_type, error.message) == ("KeyError", "'no such order'")
    assert "before it goes wrong" in error.log_tail
    assert any("in handler" in line for line in error.trace)
    assert "Lambda function 'raises': KeyError: 'no such order'" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.log_tail) == (str(error), error.log_tail)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("import time\ndef handler(e, c): time.sleep(60)", "Task timed out after 1.00 seconds"),
        ("import os\ndef handler(e, c): os._exit(7)", "exit status 7"),
    ],
)
def test_a_function_that_is_ended_has_failed(
    jobs: AwsJobs, jobs_login: AwsCredentials, program: str, told: str
) -> None:
    jobs.functions.programs["ends"], jobs.functions.timeouts["ends"] = program, 1
    with pytest.raises(LambdaFailed, match=told):
        LambdaFunction(function_name="ends", aws_credentials=jobs_login).invoke()


def test_words_that_are_no_json_are_told() -> None:
    assert make_failure("f", b"out of memory", []).message == "out of memory"
    assert make_failure("f", b'{"other": 1}', ["a"]).message == '{"other": 1}'


def test_a_lost_answer_invokes_nothing_twice(jobs: AwsJobs, echo: LambdaFunction) -> None:
    jobs.lose_next_answer("Invoke")
    with pytest.raises(Unreachable, match="a job that was being started may be running"):
        echo.invoke()
    assert len(jobs.functions.invoked) == 1
    jobs.fail_next("Invoke", "ServiceException", status=500)
    with pytest.raises(Unreachable):
        echo.invoke()
    assert len(jobs.functions.invoked) == 1


def test_an_answer_that_does_not_come_in_time_is_not_asked_for_again(
    jobs: AwsJobs, echo: LambdaFunction
) -> None:
    jobs.functions.programs["slow"] = "import time\ndef handler(e, c): time.sleep(2)"
    parameters = echo.aws_credentials.aws_client_parameters
    impatient = parameters.model_copy(update={"config": {"read_timeout": 0.2}})
    login = echo.aws_credentials.model_copy(update={"aws_client_parameters": impatient})
    with pytest.raises(Unreachable, match="may be running"):
        LambdaFunction(function_name="slow", aws_credentials=login).invoke()
    assert len(jobs.functions.invoked) == 1


def test_a_throttled_invocation_is_sent_again(jobs: AwsJobs, echo: LambdaFunction) -> None:
    jobs.fail_next("Invoke", "TooManyRequestsException", status=429, times=2)
    assert echo.invoke(1).payload["event"] == 1
    assert len(jobs.functions.invoked) == 1


def test_the_client_waits_as_long_as_the_function_may_take(echo: LambdaFunction) -> None:
    with pytest.raises(BlockInvalid, match="900"):
        LambdaFunction(function_name="a", timeout_seconds=901)
    echo.invoke()
    config = {"read_timeout": echo.timeout_seconds + 10}
    client = echo.aws_credentials.client("lambda", config=config)
    assert client.meta.config.read_timeout == 910


def test_what_lambda_refuses_is_an_error(
    jobs: AwsJobs, jobs_login: AwsCredentials, echo: LambdaFunction
) -> None:
    with pytest.raises(JobLost, match="Function not found"):
        LambdaFunction(function_name="nothing", aws_credentials=jobs_login).invoke()
    jobs.fail_next("Invoke", "RequestTooLargeException", status=413)
    with pytest.raises(JobError, match="the payload is too large"):
        echo.invoke()
    with pytest.raises(JobError, match="payload is not JSON"):
        echo.invoke({"a": {1, 2}})
    with pytest.raises(JobError, match="client_context has"):
        echo.invoke(client_context={"a": "x" * 4000})
