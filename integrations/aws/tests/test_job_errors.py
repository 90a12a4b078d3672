"""The table of errors of ECS, Batch, Lambda and CloudWatch Logs is complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from flowstone.errors import (
    AccessDenied,
    CredentialsError,
    FlowstoneError,
    JobError,
    JobLost,
    StorageError,
    Unreachable,
)
from flowstone_aws import (
    AwsClientParameters,
    AwsCredentials,
    LambdaFunction,
    batch_submit,
    client_waiter,
)
from flowstone_aws.job_errors import BY_CODE_OF_JOBS, translate_job_error
from flowstone_testing import reserve_closed_port

from .conftest import login_at
from .job_examples import GOOD, make_job, make_task
from .test_errors import answer

if TYPE_CHECKING:
    from tests.services.aws_jobs import AwsJobs

#: What is called of each service.
OPERATIONS = {
    "ecs": (
        "RegisterTaskDefinition", "DescribeTaskDefinition", "ListTaskDefinitions", "RunTask",
        "DescribeTasks", "ListTasks", "StopTask",
    ),
    "batch": ("SubmitJob", "DescribeJobs", "ListJobs", "TerminateJob", "DescribeJobDefinitions"),
    "logs": ("GetLogEvents",),
    "lambda": ("Invoke",),
}  # fmt: skip


def list_codes() -> list[str]:
    """Return the codes that AWS's own models have for these operations."""
    session = botocore.session.Session()
    return sorted(
        {
            shape.metadata.get("error", {}).get("code", shape.name)
            for service, operations in OPERATIONS.items()
            for name in operations
            for shape in session.get_service_model(service).operation_model(name).error_shapes
        }
    )


def told(error: Exception) -> FlowstoneError:
    found = translate_job_error(error, "a job", lambda: "access key …WXYZ")
    assert found is not None
    return found


@pytest.mark.parametrize("code", list_codes())
def test_every_error_of_the_services_is_in_the_table(code: str) -> None:
    """A new code needs a rule: it never gets a guessed one."""
    assert code in BY_CODE_OF_JOBS
    text = str(told(answer(code)))
    assert "a job" in text
    assert "access key …WXYZ" in text
    assert "the service's words" in text
    assert text.endswith(".")
    assert "S3 " not in text
    assert "bucket" not in text or "payload" in text


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AccessDeniedException", 403, AccessDenied),
        ("AuthFailure", 401, CredentialsError),
        ("ClientException", 400, JobError),
        ("ClusterNotFoundException", 400, JobLost),
        ("ExpiredTokenException", 400, CredentialsError),
        ("InternalFailure", 500, Unreachable),
        ("OptInRequired", 403, CredentialsError),
        ("RequestExpired", 400, CredentialsError),
        ("ResourceNotFoundException", 404, JobLost),
        ("ServerException", 500, Unreachable),
        ("ThrottlingException", 400, Unreachable),
        ("TooManyRequestsException", 429, Unreachable),
        ("UnrecognizedClientException", 400, CredentialsError),
        ("Whatever", 400, JobError),
        ("Whatever", 403, AccessDenied),
        ("Whatever", 502, Unreachable),
    ],
)
def test_an_answer_is_told_as_ours(code: str, status: int, kind: type[Exception]) -> None:
    error = told(answer(code, status))
    assert type(error) is kind
    assert "S3" not in str(error)


def test_the_table_is_sound() -> None:
    for rule in BY_CODE_OF_JOBS.values():
        assert issubclass(rule.kind, (StorageError, CredentialsError, JobError))
        assert rule.remedy.endswith(".")
    assert translate_job_error(ZeroDivisionError(), "a job", lambda: "nobody") is None


CALLS: dict[str, Callable[[AwsCredentials], object]] = {
    "EcsTask": lambda login: make_task(login, GOOD).trigger(),
    "BatchJob": lambda login: make_job(login, "any", GOOD).trigger(),
    "LambdaFunction": lambda login: LambdaFunction(
        function_name="echo", aws_credentials=login
    ).invoke(),
    "batch_submit": lambda login: batch_submit.fn("a", "spot", "any", login),
    "client_waiter": lambda login: client_waiter.fn(
        "ecs", "tasks_stopped", login, cluster="default", tasks=["a"]
    ),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("AKIAWRONG", CredentialsError),
        ("AKIAEXPIRED", CredentialsError),
        ("AKIADENIED", AccessDenied),
    ],
)
def test_a_login_that_is_refused_is_told(
    jobs: AwsJobs, call: str, key: str, kind: type[Exception]
) -> None:
    login = login_at(jobs.url, aws_access_key_id=key, aws_secret_access_key="a-refused-secret")
    with pytest.raises(kind, match=f"…{key[-4:]}") as caught:
        CALLS[call](login)
    assert "a-refused-secret" not in str(caught.value)


@pytest.mark.parametrize("call", CALLS)
def test_a_service_that_is_not_there_is_unreachable(call: str) -> None:
    config: dict[str, Any] = {"retries": {"total_max_attempts": 1}, "connect_timeout": 2}
    url = f"http://127.0.0.1:{reserve_closed_port()}"
    parameters = AwsClientParameters(endpoint_url=url, config=config)
    with pytest.raises(Unreachable, match="can't be reached"):
        CALLS[call](login_at(url, aws_client_parameters=parameters))


@pytest.mark.parametrize("call", CALLS)
def test_without_any_login_it_says_so(call: str) -> None:
    login = AwsCredentials(region_name="us-east-1")
    with pytest.raises(CredentialsError, match="no credentials were found"):
        CALLS[call](login)


@pytest.mark.parametrize("call", CALLS)
def test_without_a_region_it_says_so(call: str) -> None:
    login = AwsCredentials(aws_access_key_id="AKIAX", aws_secret_access_key="a-secret-key")
    with pytest.raises((CredentialsError, JobError), match="region"):
        CALLS[call](login)


def test_the_cause_is_kept() -> None:
    cause = answer("ClientException")
    assert isinstance(cause, ClientError)
    assert "ClientException: the service's words" in str(told(cause))
