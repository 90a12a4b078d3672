"""boto3's waiters as a task: wait until a resource has reached a state."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

from flowstone import make_async_twin, task
from flowstone.errors import JobError, JobFailed, JobTimeout, suggest_names
from flowstone_aws.credentials import AwsCredentials
from flowstone_aws.errors import format_details
from flowstone_aws.job_errors import translate_job_errors
from flowstone_aws.records import Client, JsonValue, Record

if TYPE_CHECKING:
    from botocore.exceptions import WaiterError
    from botocore.waiter import Waiter

#: The longest sleep, in seconds: a cancelled thread notices it when its code runs next.
SLICE = 0.2
_NOT_YET = "Max attempts exceeded"


@task
def client_waiter(
    client: str,
    waiter_name: str,
    aws_credentials: AwsCredentials | None = None,
    waiter_definition: Record | None = None,
    **waiter_kwargs: JsonValue,
) -> None:
    """Wait with a boto3 waiter, or with one of your own.

    Args:
        client: the service, as boto3 names it: ``batch``, ``ecs``, ``s3``.
        waiter_name: the waiter's name, such as ``tasks_stopped``.
        aws_credentials: the credentials; by default those that boto3 finds.
        waiter_definition: your own waiters, in the format of botocore's ``waiters-2.json``; one of
            them must have that name.
        **waiter_kwargs: arguments of the waiter, such as ``cluster`` and ``tasks``;
            ``WaiterConfig={"Delay": 5, "MaxAttempts": 60}`` sets seconds and number of polls.

    Raises:
        JobTimeout: the state was not reached by the last attempt.
        JobFailed: the state can no longer be reached.
        JobError: there is no such waiter, or AWS refused the request.
        AccessDenied: the credentials have no permission to make the request.
        CredentialsError: no credentials were found, or they were refused.
        Unreachable: AWS can't be reached.

    Example:
        client_waiter("s3", "bucket_exists", aws_credentials, Bucket=Bucket)
    """
    login = aws_credentials or AwsCredentials()
    where = f"waiter {waiter_name!r} of AWS's {client}"
    waiter = _find_waiter(where, login.client(client), waiter_name, waiter_definition)
    own: Client = waiter.config
    given = {"Delay": own.delay, "MaxAttempts": own.max_attempts}
    given |= waiter_kwargs.pop("WaiterConfig", {})
    delay, attempts = float(given["Delay"]), int(given["MaxAttempts"])
    for attempt in range(1, attempts + 1):
        with translate_job_errors(where, login.describe_login):
            problem = _look(where, waiter, waiter_kwargs)
        if problem is None:
            return
        if attempt < attempts:
            _pause(delay)
    problem = f"the state was not reached after {attempts} attempts, {delay:g} s apart"
    raise JobTimeout(
        where,
        problem,
        "Allow more attempts in WaiterConfig, or check the resource that it waits for.",
    )


def _find_waiter(where: str, client: Client, name: str, definition: Record | None) -> Waiter:
    # The SDK is loaded by the first client, not with the package.
    from botocore.waiter import WaiterModel, create_waiter_with_client

    if definition is None:
        known = list(client.waiter_names)
        if name in known:
            found: Waiter = client.get_waiter(name)
            return found
        near = suggest_names(name, known)
        told = ", ".join(known) or "none"
        raise JobError(where, f"there is no such waiter.{near}", f"boto3 has {told}.")
    if name not in definition.get("waiters", {}):
        problem = "waiter_definition has no waiter of that name"
        raise JobError(where, problem, "Pass the name of one of its `waiters`.")
    with translate_job_errors(where, lambda: "waiter_definition"):
        return create_waiter_with_client(name, WaiterModel({**definition}), client)


def _look(where: str, waiter: Waiter, wanted: Mapping[str, object]) -> str | None:
    """Poll once; return None if the state is reached, or else the current state.

    Raises:
        JobFailed: the state can no longer be reached.
        ClientError: AWS refused the request.
    """
    from botocore.exceptions import ClientError, WaiterError  # see above

    try:
        waiter.wait(**wanted, WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    except WaiterError as error:
        if _is_waiting(error):
            return str(error)
        answer: JsonValue = error.last_response
        if "terminal failure state" not in str(error) and "Error" in answer:
            raise ClientError(answer, waiter.name) from error
        problem = f"the state can no longer be reached: {format_details(error)}"
        raise JobFailed(where, problem, "Check the resource that it waits for.") from error
    return None


def _is_waiting(error: WaiterError) -> bool:
    return str(error.kwargs.get("reason", "")).startswith(_NOT_YET)


def _pause(seconds: float) -> None:
    """Sleep in short slices, so that a cancellation is noticed."""
    end, never = monotonic() + seconds, Event()
    while (left := end - monotonic()) > 0:
        never.wait(min(left, SLICE))


aclient_waiter = make_async_twin(client_waiter)
