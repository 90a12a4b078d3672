"""Translation of the service's errors to errors of Flowstone; only this module does it."""

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

#: The service's code → the error and its remedy.
TABLE: dict[str, tuple[type[StorageError], str]] = {
    # % if interface == "store"
    "no-such-object": (ObjectMissing, "List the folder to see its objects."),
    "no-such-space": (BucketMissing, "Check the block's `space`, or create one with that name."),
    # % endif
    "forbidden": (AccessDenied, "Ask the owner of the account for access."),
    "busy": (Unreachable, "Try again in a while."),
}


@contextmanager
def translate_errors(where: str) -> Iterator[None]:
    """Raise Flowstone's errors instead of the service's.

    Args:
        where: the requested object, as the prefix of the message.
    """
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise _make_error(where, error.response) from error
    except httpx.TransportError as error:
        problem = f"the service did not answer ({type(error).__name__})"
        remedy = "Check the `url` of the credentials, and whether the service is up."
        raise Unreachable(where, problem, remedy) from error


# % if interface == "database"
#: The service's code for a statement → the error and its remedy.
STATEMENTS: dict[str, tuple[type[DatabaseError], str]] = {
    "busy": (DatabaseBusy, "Find the open transaction, and end it."),
    "constraint": (IntegrityViolated, "Fix the row, or the constraint."),
    "no-such-table": (TableMissing, "Create the table first, or use `insert(…, create=True)`."),
    "stopped": (QueryCancelled, "Run it again if you need it."),
    "unauthorized": (DatabaseDenied, "Set a valid token in the credentials."),
    "wrong-statement": (QueryInvalid, "Fix the statement or its parameters."),
}


def make_database_error(
    where: str, error: Exception, statement: str | None
) -> DatabaseError | None:
    """Return the error for an error of the service; None for any other.

    Args:
        where: the database, as the prefix of the message.
        error: the error of the client.
        statement: the statement.
    """
    if isinstance(error, httpx.HTTPStatusError):
        response = error.response
        code = response.headers.get("x-problem", "")
        kind, remedy = STATEMENTS.get(code, (DatabaseError, "See the service's own log."))
        words = response.text or f"the service returned {response.status_code} {code}"
        return kind(where, words, remedy, statement)
    if isinstance(error, TypeError):  # a parameter that JSON does not support
        return QueryInvalid(where, str(error), "Pass it as a string.", statement)
    if isinstance(error, httpx.TransportError):
        problem = f"the service did not answer ({type(error).__name__})"
        remedy = "Check the `url` of the credentials, and whether the service is up."
        return DatabaseUnreachable(where, problem, remedy, statement)
    return None


# % endif
# % if interface == "notifier"
@contextmanager
def raise_notifier_errors(where: str) -> Iterator[None]:
    """Raise Flowstone's errors of notifiers instead of the service's.

    Args:
        where: the channel, as the prefix of the message.
    """
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise _make_notifier_error(where, error.response) from error
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        problem = f"the service was not reached ({type(error).__name__})"
        remedy = "Check the `url` of the credentials, and whether the service is up."
        raise NotificationUnsent(where, problem, remedy) from error
    except httpx.TransportError as error:
        problem = f"the service did not answer ({type(error).__name__})"
        remedy = "Check there whether it has arrived before you send it again."
        raise NotificationFailed(where, problem, remedy) from error


def _make_notifier_error(where: str, response: httpx.Response) -> NotificationFailed:
    status, code = response.status_code, response.headers.get("x-problem", "")
    problem = f"the service returned {status} {code or response.reason_phrase}"
    if code == "busy":
        after = float(response.headers["retry-after"])
        return NotificationUnsent(where, problem, "Try again in a while.", status, after)
    if status == httpx.codes.UNAUTHORIZED:
        remedy = "Set a valid token in the credentials."
    else:
        remedy = "Check the block's `channel`, and what the service accepts."
    return NotificationFailed(where, problem, remedy, status)


# % endif
# % if interface == "job"
@contextmanager
def raise_job_errors(where: str, handle: str | None = None) -> Iterator[None]:
    """Raise Flowstone's errors of jobs instead of the service's.

    Args:
        where: the program, as the prefix of the message.
        handle: the handle of the requested run.
    """
    try:
        yield
    except httpx.HTTPStatusError as error:
        code = error.response.headers.get("x-problem", "")
        if error.response.status_code == httpx.codes.UNAUTHORIZED:
            raise _make_error(where, error.response) from error
        problem = f"the service returned {error.response.status_code} {code}"
        if code == "no-such-run":
            remedy = "See the service's own log: it forgets old runs."
            raise JobLost(where, problem, remedy, handle) from error
        remedy = "Check the block's `program`, and the programs of the service."
        raise JobError(where, problem, remedy, handle) from error
    except httpx.TransportError as error:
        problem = f"the service did not answer ({type(error).__name__})"
        remedy = "Check the `url` of the credentials, and whether the service is up."
        raise JobError(where, problem, remedy, handle) from error


# % endif
# % if interface == "secrets"
@contextmanager
def raise_secret_errors(where: str) -> Iterator[None]:
    """Raise Flowstone's errors of secrets instead of the service's.

    Args:
        where: the provider and the name, as the prefix of the message.
    """
    try:
        yield
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        problem = f"the service returned {status} {error.response.headers.get('x-problem', '')}"
        if status == httpx.codes.NOT_FOUND:
            raise SecretMissing(where, problem, "`ls()` lists the names.") from error
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise _make_error(where, error.response) from error
        raise SecretStoreError(where, problem, "See the service's own log.") from error
    except httpx.TransportError as error:
        problem = f"the service did not answer ({type(error).__name__})"
        remedy = "Check the `url` of the credentials, and whether the service is up."
        raise Unreachable(where, problem, remedy) from error


# % endif
def _make_error(where: str, response: httpx.Response) -> FlowstoneError:
    code = response.headers.get("x-problem", "")
    problem = f"the service returned {response.status_code} {code or response.reason_phrase}"
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return CredentialsError(where, problem, "Set a valid token in the credentials.")
    kind, remedy = TABLE.get(code, (StorageError, "See the service's own log."))
    return kind(where, problem, remedy)
