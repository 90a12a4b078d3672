"""The service's errors become Flowstone's here, and nowhere else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from flowstone.errors import (
    AccessDenied,
    # % if interface == "store"
    BucketMissing,
    # % endif
    CredentialsError,
    # % if interface == "database"
    DatabaseBusy,
    DatabaseDenied,
    DatabaseError,
    DatabaseUnreachable,
    # % endif
    FlowstoneError,
    # % if interface == "database"
    IntegrityViolated,
    # % endif
    # % if interface == "job"
    JobError,
    JobLost,
    # % endif
    # % if interface == "notifier"
    NotificationFailed,
    NotificationUnsent,
    # % endif
    # % if interface == "store"
    ObjectMissing,
    # % endif
    # % if interface == "database"
    QueryCancelled,
    QueryInvalid,
    # % endif
    # % if interface == "secrets"
    SecretMissing,
    SecretStoreError,
    # % endif
    StorageError,
    # % if interface == "database"
    TableMissing,
    # % endif
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The service's code → our error, and what to do about it.
TABLE: dict[str, tuple[type[StorageError], str]] = {
    # % if interface == "store"
    "no-such-object": (ObjectMissing, "List the folder to see what is there."),
    "no-such-space": (BucketMissing, "Look at the block's `space`, or make one of that name."),
    # % endif
    "forbidden": (AccessDenied, "Ask the owner of the account to let this login in."),
    "busy": (Unreachable, "Try again in a while."),
}


@contextmanager
def translate_errors(where: str) -> Iterator[None]:
    """Raise Flowstone's errors instead of the service's.

    Args:
        where: what was asked for; it begins the message.
    """
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise _make_error(where, error.response) from error
    except httpx.TransportError as error:
        problem = f"the service did not answer ({type(error).__name__})"
        remedy = "Look at the `url` of the credentials, and whether the service is up."
        raise Unreachable(where, problem, remedy) from error


# % if interface == "database"
#: The service's code of a statement → our error, and what to do about it.
STATEMENTS: dict[str, tuple[type[DatabaseError], str]] = {
    "busy": (DatabaseBusy, "Look for who keeps a transaction open, and end it."),
    "constraint": (IntegrityViolated, "Fix the row, or the constraint."),
    "no-such-table": (TableMissing, "Make the table first, or `insert(…, create=True)`."),
    "stopped": (QueryCancelled, "Run it again if it is wanted."),
    "unauthorized": (DatabaseDenied, "Give the credentials a token that is valid."),
    "wrong-statement": (QueryInvalid, "Fix the statement or its parameters."),
}


def make_database_error(
    where: str, error: Exception, statement: str | None
) -> DatabaseError | None:
    """Return Flowstone's error for one of the service's; None for what is none of its.

    Args:
        where: which database; it begins the message.
        error: what the client has raised.
        statement: what was to be run.
    """
    if isinstance(error, httpx.HTTPStatusError):
        response = error.response
        code = response.headers.get("x-problem", "")
        kind, remedy = STATEMENTS.get(code, (DatabaseError, "Look into the service's own log."))
        words = response.text or f"the service said {response.status_code} {code}"
        return kind(where, words, remedy, statement)
    if isinstance(error, TypeError):  # of a parameter that JSON does not have
        return QueryInvalid(where, str(error), "Give it as a text.", statement)
    if isinstance(error, httpx.TransportError):
        problem = f"the service did not answer ({type(error).__name__})"
        remedy = "Look at the `url` of the credentials, and whether the service is up."
        return DatabaseUnreachable(where, problem, remedy, statement)
    return None


# % endif
# % if interface == "notifier"
@contextmanager
def raise_notifier_errors(where: str) -> Iterator[None]:
    """Raise Flowstone's errors of notifiers instead of the service's.

    Args:
        where: the channel; it begins the message.
    """
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise _make_notifier_error(where, error.response) from error
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        problem = f"the service was not reached ({type(error).__name__})"
        remedy = "Look at the `url` of the credentials, and whether the service is up."
        raise NotificationUnsent(where, problem, remedy) from error
    except httpx.TransportError as error:
        problem = f"the service did not answer ({type(error).__name__})"
        remedy = "Look there whether it has arrived before you send it again."
        raise NotificationFailed(where, problem, remedy) from error


def _make_notifier_error(where: str, response: httpx.Response) -> NotificationFailed:
    status, code = response.status_code, response.headers.get("x-problem", "")
    problem = f"the service said {status} {code or response.reason_phrase}"
    if code == "busy":
        after = float(response.headers["retry-after"])
        return NotificationUnsent(where, problem, "Try again in a while.", status, after)
    if status == httpx.codes.UNAUTHORIZED:
        remedy = "Give the credentials a token that is valid."
    else:
        remedy = "Look at the block's `channel`, and at what the service takes."
    return NotificationFailed(where, problem, remedy, status)


# % endif
# % if interface == "job"
@contextmanager
def raise_job_errors(where: str, handle: str | None = None) -> Iterator[None]:
    """Raise Flowstone's errors of jobs instead of the service's.

    Args:
        where: the program; it begins the message.
        handle: which run of it was asked for.
    """
    try:
        yield
    except httpx.HTTPStatusError as error:
        code = error.response.headers.get("x-problem", "")
        if error.response.status_code == httpx.codes.UNAUTHORIZED:
            raise _make_error(where, error.response) from error
        problem = f"the service said {error.response.status_code} {code}"
        if code == "no-such-run":
            remedy = "Look into the service's own log: it forgets what is long over."
            raise JobLost(where, problem, remedy, handle) from error
        remedy = "Look at the block's `program`, and at what the service runs."
        raise JobError(where, problem, remedy, handle) from error
    except httpx.TransportError as error:
        problem = f"the service did not answer ({type(error).__name__})"
        remedy = "Look at the `url` of the credentials, and whether the service is up."
        raise JobError(where, problem, remedy, handle) from error


# % endif
# % if interface == "secrets"
@contextmanager
def raise_secret_errors(where: str) -> Iterator[None]:
    """Raise Flowstone's errors of secrets instead of the service's.

    Args:
        where: the place and the name; it begins the message.
    """
    try:
        yield
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        problem = f"the service said {status} {error.response.headers.get('x-problem', '')}"
        if status == httpx.codes.NOT_FOUND:
            raise SecretMissing(where, problem, "`ls()` tells what is there.") from error
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise _make_error(where, error.response) from error
        raise SecretStoreError(where, problem, "Look into the service's own log.") from error
    except httpx.TransportError as error:
        problem = f"the service did not answer ({type(error).__name__})"
        remedy = "Look at the `url` of the credentials, and whether the service is up."
        raise Unreachable(where, problem, remedy) from error


# % endif
def _make_error(where: str, response: httpx.Response) -> FlowstoneError:
    code = response.headers.get("x-problem", "")
    problem = f"the service said {response.status_code} {code or response.reason_phrase}"
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return CredentialsError(where, problem, "Give the credentials a token that is valid.")
    kind, remedy = TABLE.get(code, (StorageError, "Look into the service's own log."))
    return kind(where, problem, remedy)
