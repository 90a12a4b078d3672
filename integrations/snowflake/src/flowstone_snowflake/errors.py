"""Snowflake's errors as Flowstone's: by code, by SQL state and by message."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstone.errors import (
    CredentialsError,
    DatabaseBusy,
    DatabaseDenied,
    DatabaseError,
    DatabaseUnreachable,
    IntegrityViolated,
    QueryCancelled,
    QueryInvalid,
    TableMissing,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Longer messages are truncated.
LONGEST = 400
SDKS = ("snowflake", "requests", "urllib3")


class SessionEnded(Exception):
    """The service no longer knows the session, for which the connector has no error."""


@dataclass(frozen=True)
class Rule:
    """The error class, and what to do next."""

    kind: type[DatabaseError]
    remedy: str


FIX = Rule(QueryInvalid, "Fix the statement or its parameters.")
LOGIN = Rule(DatabaseDenied, "Check the user and its password, key or token.")
KEY = Rule(
    DatabaseDenied,
    "Check that the user has this key (DESC USER), and that this machine's clock is right.",
)
TOKEN = Rule(DatabaseDenied, "The token has expired or was revoked: get a new one.")
NETWORK_POLICY = Rule(
    DatabaseDenied, "A network policy refuses this address: ask the account's administrator."
)
ROLE = Rule(DatabaseDenied, "Check `role`, and that the user was granted it.")
DENIED = Rule(DatabaseDenied, "Check the role's privileges: SHOW GRANTS TO ROLE.")
DOWN = Rule(DatabaseUnreachable, "Check `account`, the network and status.snowflake.com.")
ENDED = Rule(DatabaseUnreachable, "The session has ended; the next call opens another.")
WAREHOUSE = Rule(
    DatabaseError, "Set `warehouse` to one that the role may use, and check that it can resume."
)
QUOTA = Rule(DatabaseError, "A resource monitor has suspended the warehouse: raise its quota.")
CONTEXT = Rule(QueryInvalid, "Set `database` and `schema`, or qualify the name.")
MISSING = Rule(
    TableMissing,
    "Create it, for example with `insert(…, create=True)`, or check the role's privileges.",
)
OBJECT = Rule(QueryInvalid, "Check the name, and that the role may use it.")
EXISTS = Rule(QueryInvalid, "Drop it first, or use IF NOT EXISTS or OR REPLACE.")
VALUES = Rule(QueryInvalid, "Check that the values fit the columns' types.")
BROKEN = Rule(IntegrityViolated, "Fix the row, or the constraint.")
DUPLICATES = Rule(IntegrityViolated, "Several source rows match one target row: make them unique.")
LOCKED = Rule(DatabaseBusy, "Another transaction holds the table: try again when it has ended.")
STOPPED = Rule(QueryCancelled, "Run it again if you still need it.")
TOO_LONG = Rule(
    QueryCancelled, "It hit STATEMENT_TIMEOUT_IN_SECONDS: give the task or the warehouse more time."
)
CONFIGURATION = Rule(DatabaseError, "Check the fields of the credentials and the connector.")
ONE = Rule(QueryInvalid, "Pass one statement, or use `execute_script`.")
STAGED = Rule(QueryInvalid, "Check the stage, the files in it and the file format.")


def _make_table(*groups: tuple[Rule, str]) -> dict[int, Rule]:
    return {int(code): rule for rule, codes in groups for code in codes.split()}


#: By the code, which Snowflake writes in six digits.
BY_CODE = _make_table(
    (LOGIN, "390100 390101 390102 390127 390144 390191 390197"),
    (KEY, "394300 394301 394302 394303 394304 394305 394306"),
    (TOKEN, "390302 390303 390318 390195 390110 394400 394401 394402"),
    (NETWORK_POLICY, "390420 390422 390432"),
    (ROLE, "390186 390189 390190"),
    (DENIED, "3001 3041"),
    (DOWN, "250001 250002 250003 250005 250007 252005 290403 290404 290502 290503 290504"),
    (ENDED, "390103 390104 390111 390112 390113 390114 390115"),
    (WAREHOUSE, "606 607 608 609 390201"),
    (QUOTA, "90073 90058"),
    (CONTEXT, "90105 90106"),
    (OBJECT, "2043 2140 2141 390201"),
    (EXISTS, "2002 2041"),
    (VALUES, "100035 100038 100039 100040 100046 100051 100069 100071 100078 100080 100132"),
    (BROKEN, "100072 200001"),
    (DUPLICATES, "100090"),
    (LOCKED, "625 604001 90084"),
    (STOPPED, "604"),
    (TOO_LONG, "630"),
    (ONE, "8"),
    (STAGED, "100016 100096 100152 90124 253003 253006"),
    (CONFIGURATION, "251001 251005 251006 251008 251017 252004"),
)
#: By the SQL state, if the code is not in the table above.
BY_STATE = {
    "08001": DOWN,
    "28000": LOGIN,
    "42501": DENIED,
    "42710": EXISTS,
    "42S02": MISSING,
    "57014": STOPPED,
    "57P03": WAREHOUSE,
}
#: By message, for errors that have no code in some versions of the connector.
BY_WORDS = {
    "Incorrect username or password": LOGIN,
    "JWT token": KEY,
    "OAuth access token": TOKEN,
    "is not allowed to access Snowflake": NETWORK_POLICY,
    "specified in the connect string": ROLE,
}
#: Codes and classes of SQL states whose messages quote values.
QUOTING = {100016, 100096, 100152, 90124}
_SESSION_ENDED = frozenset({390103, 390104, 390111, 390112, 390113, 390114, 390115, 250002})
_PLACE = re.compile(r"line (\d+) at position (\d+)")
_OBJECT = re.compile(r"(?:Object|Table|View) '?(.+?)'? (?:does not exist|not found)")
_PREFIX = re.compile(r"^\d{6}(?: \(\w{5}\))?: (?:[\w-]{36}: )?(?:\d+: )?")


def translate(where: str, error: Exception, statement: str | None) -> DatabaseError | None:
    """Return Flowstone's error for one of the connector's; None for other errors.

    Args:
        where: the account and database, for the message.
        error: the connector's exception.
        statement: the statement; None if the error is about the connection.
    """
    if isinstance(error, SessionEnded):
        return ENDED.kind(where, "the session has ended", ENDED.remedy, statement)
    if type(error).__module__.partition(".")[0] not in SDKS:
        return None
    code = find_code(error)
    state = str(getattr(error, "sqlstate", None) or "")
    words = _PREFIX.sub("", str(getattr(error, "raw_msg", None) or error)).strip()
    rule = _find_rule(code, state, words, is_login=statement is None)
    if code in QUOTING or state.startswith("22") or rule in {VALUES, BROKEN}:
        words = _leave_values_out(words)
    words = " ".join(words.split()).rstrip(".")
    words = words if len(words) <= LONGEST else f"{words[:LONGEST]}…"
    told = f"{words} (Snowflake's code {code:06d})" if code > 0 else words
    position = find_position(str(error), statement)
    return rule.kind(where, told or type(error).__name__, rule.remedy, statement, position)


def find_code(error: Exception) -> int:
    """Return the code of an error of the connector; -1 if it has none."""
    found = getattr(error, "errno", None)
    return found if isinstance(found, int) else -1


def has_session_ended(error: Exception) -> bool:
    """Return whether the service no longer knows the session, so the statement was not run."""
    return isinstance(error, SessionEnded) or find_code(error) in _SESSION_ENDED


def has_query_ended(error: Exception) -> bool:
    """Return whether the service has reported that a query failed, so it no longer runs."""
    return 0 < find_code(error) < 250000 and not has_session_ended(error)


def is_unknown_query(error: Exception) -> bool:
    """Return whether a query is unknown to the service, or has ended."""
    words = str(error).lower()
    return find_code(error) == 709 or "not currently executing" in words or "not found" in words


def is_of_configuration(error: Exception) -> bool:
    """Return whether the connection that the connector should use is missing."""
    words = str(error)
    is_lacking = "Invalid connection_name" in words or "not found in config files" in words
    return is_lacking or type(error).__name__ == "ConfigSourceError"


def _find_rule(code: int, state: str, words: str, *, is_login: bool) -> Rule:
    if code in {2003, 2043} and (found := _OBJECT.search(words)):
        return OBJECT if found[0].startswith(("Database", "Schema")) else MISSING
    if code == 2003:
        return OBJECT
    if code == 604 and "timeout" in words.lower():
        return TOO_LONG
    if code in {-1, 250001} and is_login:
        return next((rule for part, rule in BY_WORDS.items() if part in words), DOWN)
    if code in BY_CODE:
        return BY_CODE[code]
    if state in BY_STATE:
        return BY_STATE[state]
    if "warehouse" in words.lower() and "suspend" in words.lower():
        return WAREHOUSE
    if is_login:
        return LOGIN if 390000 <= code < 395000 else DOWN
    return VALUES if state.startswith("22") else FIX


def _leave_values_out(words: str) -> str:
    """Return a message without the values in it, which are in quotes.

    The file, row and column of a load, which are on separate lines, remain.
    """
    lines = words.split("\n")
    if any(line.count("'") % 2 for line in lines):  # a value that has a line break
        return re.sub(r"'.*'", "'…'", words, flags=re.DOTALL)
    return "\n".join(
        line
        if line.strip().startswith(("File ", "Row "))
        else re.sub(r"(['\"]).*\1", r"\1…\1", line)
        for line in lines
        if "If you would like to continue loading" not in line
    )


def find_position(words: str, statement: str | None) -> int | None:
    """Return the position in a statement for Snowflake's "line 1 at position 7"."""
    found = _PLACE.search(words)
    lines = statement.splitlines(keepends=True) if statement else []
    if found is None or not 1 <= int(found[1]) <= len(lines):
        return None
    place = sum(map(len, lines[: int(found[1]) - 1])) + int(found[2])
    return place if statement is not None and place < len(statement) else None


@contextmanager
def translate_errors(where: str) -> Iterator[None]:
    """Raise errors of the connector as Flowstone's."""
    try:
        yield
    except Exception as error:
        translated = translate(where, error, None)
        if translated is None:
            raise
    else:
        return
    # Outside of the `except`, so that the connector's error does not become the context.
    raise translated from None


def refuse_login(problem: str, remedy: str) -> CredentialsError:
    """Return the error for fields that are not valid credentials."""
    return CredentialsError("Snowflake", problem, remedy)
