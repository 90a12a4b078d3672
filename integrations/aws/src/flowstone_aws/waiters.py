"""Waiters of boto3 as a task: wait until something of AWS's is as it should be."""

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

#: No pause is longer, in seconds: a run in a thread is cancelled when its code next runs.
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
    """Wait by a waiter of boto3, or by one of your own.

    Args:
        client: the service, as boto3 calls it: ``batch``, ``ecs``, ``s3``.
        waiter_name: the waiter's name, as ``tasks_stopped``.
        aws_credentials: the login; by default the SDK's own chain.
        waiter_definition: waiters of your own, in the form of botocore's ``waiters-2.json``, of
            which one has that name.
        **waiter_kwargs: arguments of the waiter, as ``cluster`` and ``tasks``;
            ``WaiterConfig={"Delay": 5, "MaxAttempts": 60}`` says how often and how long.

    Raises:
        JobTimeout: it is not so after the last attempt.
        JobFailed: it can't become so any more.
        JobError: there is no such waiter, or AWS refused the request.
        AccessDenied: this login may not look.
        CredentialsError: there is no login, or it was refused.
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
    problem = f"it is not so after {attempts} attempts, {delay:g} s apart"
    raise JobTimeout(where, problem, "Allow more in WaiterConfig, or look at what it waits for.")


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
        raise JobError(where, problem, "Name one of its `waiters`.")
    with translate_job_errors(where, lambda: "waiter_definition"):
        return create_waiter_with_client(name, WaiterModel({**definition}), client)


def _look(where: str, waiter: Waiter, wanted: Mapping[str, object]) -> str | None:
    """Look once; return None where it is so, and else what is not.

    Raises:
        JobFailed: it can't become so any more.
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
        problem = f"it can't become so any more: {format_details(error)}"
        raise JobFailed(where, problem, "Look at what it waits for.") from error
    return None


def _is_waiting(error: WaiterError) -> bool:
    return str(error.kwargs.get("reason", "")).startswith(_NOT_YET)


def _pause(seconds: float) -> None:
    """Sleep, and let a run that is cancelled notice it."""
    end, never = monotonic() + seconds, Event()
    while (left := end - monotonic()) > 0:
        never.wait(min(left, SLICE))


aclient_waiter = make_async_twin(client_waiter)
