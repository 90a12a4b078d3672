"""Translate the errors of BigQuery, by the reasons and exception classes of Google's SDK."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flowstone.errors import (
    CredentialsError,
    DatabaseBusy,
    DatabaseDenied,
    DatabaseError,
    DatabaseUnreachable,
    QueryCancelled,
    QueryInvalid,
    RowsInvalid,
    TableMissing,
    Unreachable,
)
from flowstone.records.redaction import redact
from flowstone_gcp.errors import find_rule, read_reasons
from flowstone_gcp.rules import BUSY, DOWN

#: Longer messages are truncated.
LONGEST = 400


@dataclass(frozen=True, slots=True)
class BigQueryErrorRule:
    """The Flowstone error to raise, and what to do next."""

    kind: type[DatabaseError]
    remedy: str


FIX = BigQueryErrorRule(QueryInvalid, "Fix the statement or its parameters.")
MISSING = BigQueryErrorRule(
    TableMissing,
    "Check project, dataset and location; create the dataset first, then the table, "
    "or use `insert(…, create=True)`.",
)
EXISTS = BigQueryErrorRule(
    QueryInvalid, "Drop it first, write IF NOT EXISTS, or choose another write disposition."
)
DENIED = BigQueryErrorRule(
    DatabaseDenied,
    "Give this identity roles/bigquery.jobUser on the project, and on the dataset "
    "roles/bigquery.dataViewer to read or roles/bigquery.dataEditor to write.",
)
REFUSED = BigQueryErrorRule(
    DatabaseDenied,
    "Check that the key still exists and its account is enabled, or log in again: "
    "`gcloud auth application-default login`.",
)
BILLING = BigQueryErrorRule(
    DatabaseDenied, "Enable billing and the BigQuery API in the project, or set another project."
)
QUOTA = BigQueryErrorRule(
    DatabaseBusy, "Try again later, run fewer jobs at a time, or raise the project's quota."
)
LIMIT = BigQueryErrorRule(
    DatabaseError,
    "Read less: select columns and filter by partition; `dry_run` returns the bytes. "
    "Or raise maximum_bytes_billed.",
)
TOO_LARGE = BigQueryErrorRule(
    DatabaseError, "Write the result to a table, split the query, or ask for less at a time."
)
STOPPED = BigQueryErrorRule(QueryCancelled, "Run it again if you still need it.")
SERVICE = BigQueryErrorRule(DatabaseUnreachable, "Check endpoint and network, and try again.")
USED = BigQueryErrorRule(DatabaseBusy, "Try again when the other job has ended.")
ROWS = BigQueryErrorRule(RowsInvalid, "Fix the rows or the schema; nothing was added.")
FILES = BigQueryErrorRule(
    RowsInvalid,
    "Check the address, and that this identity may read the bucket; nothing was added.",
)
OTHER = BigQueryErrorRule(DatabaseError, "Look the job up in the console, and try again.")


def _make_table(*groups: tuple[BigQueryErrorRule, str]) -> dict[str, BigQueryErrorRule]:
    return {name: rule for rule, names in groups for name in names.split()}


#: By reason: https://cloud.google.com/bigquery/docs/error-messages
BY_REASON = _make_table(
    (FIX, "invalidQuery invalid badRequest notImplemented invalidArgument parseError required"),
    (MISSING, "notFound"),
    (EXISTS, "duplicate alreadyExists"),
    (DENIED, "accessDenied forbidden blocked rowAccessDenied"),
    (REFUSED, "authError expired required_login invalid_grant invalidUser"),
    (BILLING, "billingNotEnabled accessNotConfigured SERVICE_DISABLED billingTierLimitExceeded"),
    (QUOTA, "quotaExceeded rateLimitExceeded jobRateLimitExceeded userRateLimitExceeded"),
    (LIMIT, "bytesBilledLimitExceeded"),
    (TOO_LARGE, "responseTooLarge resourcesExceeded"),
    (STOPPED, "stopped timeout cancelled"),
    (SERVICE, "backendError internalError jobBackendError jobInternalError"),
    (USED, "resourceInUse tableUnavailable"),
)
#: By the name of the exception's class; the nearest ancestor in the table applies.
BY_EXCEPTION = _make_table(
    (FIX, "BadRequest InvalidArgument FailedPrecondition OutOfRange MethodNotImplemented"),
    (MISSING, "NotFound"),
    (EXISTS, "Conflict AlreadyExists"),
    (DENIED, "Forbidden PermissionDenied"),
    (REFUSED, "Unauthorized Unauthenticated RefreshError GoogleAuthError DefaultCredentialsError"),
    (QUOTA, "TooManyRequests ResourceExhausted"),
    (STOPPED, "Cancelled"),
    (
        SERVICE,
        """
        ServerError ServiceUnavailable Unknown RetryError DeadlineExceeded TransportError
        RequestException HTTPError ConnectionError RpcError
        """,
    ),
    (OTHER, "GoogleAPIError"),
)
#: By messages that are more specific than the reason.
BY_WORDS = (
    (re.compile("Not found: (URI|Uris|Files) "), FILES),
    (re.compile("Not found: Job "), OTHER),
    (re.compile("Error while reading data|JSON parsing error|Required field|Schema update"), ROWS),
    (re.compile("Provided Schema does not match|No such field|Cannot add fields"), ROWS),
    (re.compile("exceeded limit for bytes billed"), LIMIT),
    (re.compile("User requested cancellation|Job execution was cancelled|Job timed out"), STOPPED),
)
_PLACE = re.compile(r"\s*at \[(\d+):(\d+)\]")
#: What an emulator, and BigQuery itself, append to the message: a quoted line, the job.
_REST = re.compile(r"\s*(\(DuckDB:.*|; reason: .*|LINE \d+:.*|Location: .*)", re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
#: Unquoted values, such as in "Bad int64 value: abc".
_VALUE = re.compile(
    r"((?:value|key|string|literal|date|timestamp):?) (?!of\b|is\b|for\b)(\S.*)$", re.IGNORECASE
)


def translate(where: str, error: Exception, statement: str | None) -> DatabaseError | None:
    """Return Flowstone's error for one of BigQuery's client; None for other errors.

    Args:
        where: the warehouse, for the message.
        error: the client's exception.
        statement: the statement, if any.
    """
    if isinstance(error, Unreachable):
        return DatabaseUnreachable(where, error.problem, error.remedy)
    if isinstance(error, CredentialsError):
        return DatabaseDenied(where, error.problem, error.remedy)
    rule = find_bigquery_rule(error)
    if rule is None:
        return None
    words = _read_message(error)
    position = _find_position(words, statement)
    reason = next(iter(read_reasons(error)), "") or type(error).__name__
    problem = f"{_leave_values_out(words, statement)} ({reason})"
    return rule.kind(where, problem, rule.remedy, statement, position)


def find_bigquery_rule(error: BaseException) -> BigQueryErrorRule | None:
    """Return the rule for an error of the client; None for other errors."""
    cause = getattr(error, "cause", None)
    if type(error).__name__ == "RetryError" and isinstance(cause, BaseException):
        return find_bigquery_rule(cause) or SERVICE
    if find_rule(error) is None and type(error).__name__ not in BY_EXCEPTION:
        return None
    text = _read_message(error)
    for words, rule in BY_WORDS:
        if words.search(text):
            return rule
    for reason in read_reasons(error):
        if reason in BY_REASON:
            return BY_REASON[reason]
    names = [kind.__name__ for kind in type(error).__mro__]
    found = next((BY_EXCEPTION[name] for name in names if name in BY_EXCEPTION), None)
    return found or (SERVICE if find_rule(error) in {BUSY, DOWN} else OTHER)


def _read_message(error: BaseException) -> str:
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return _read_message(cause)
    entries = getattr(error, "errors", None)
    first = entries[0] if isinstance(entries, (list, tuple)) and entries else None
    if isinstance(first, dict) and first.get("message"):
        return str(first["message"])
    return str(getattr(error, "message", None) or error)


def _leave_values_out(words: str, statement: str | None) -> str:
    """Mask the parts of a message that are not in the statement: they may be values of a row."""
    text = _REST.sub("", _PLACE.sub("", words))
    text = text.strip().partition("\n")[0]
    known = statement or ""

    def mask(found: re.Match[str]) -> str:
        inner = found[0][1:-1]
        is_name = re.fullmatch(r"[\w.`:-]*", inner) and (inner in known or not known)
        return found[0] if is_name else f"{found[0][0]}…{found[0][0]}"

    text = _QUOTED.sub(mask, text)
    text = _VALUE.sub(lambda found: f"{found[1]} …" if found[2] not in known else found[0], text)
    text = redact(text).strip(" .:;")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _find_position(words: str, statement: str | None) -> int | None:
    found = _PLACE.search(words)
    lines = (statement or "").splitlines(keepends=True)
    if found is None or not lines:
        return None
    line, column = int(found[1]) - 1, int(found[2]) - 1
    if line >= len(lines) or column > len(lines[line]):
        return None
    return sum(map(len, lines[:line])) + column
