"""Errors of psycopg and ADBC as Flowstone's, with PostgreSQL's code."""

from __future__ import annotations

import re

import psycopg

from flowstone.errors import (
    DatabaseDenied,
    DatabaseError,
    DatabaseUnreachable,
    QueryInvalid,
)
from flowstone_sqlalchemy.errors import (
    ADDRESS,
    FIX,
    GRANT,
    LOGIN,
    LOST,
    ConnectionLost,
    Kind,
    NoDecimal,
    OurError,
    ReadFailed,
    find_by_exception,
    find_by_sqlstate,
    leave_values_out,
)

#: The server's messages for refused connections, which have no SQLSTATE.
_REFUSALS: tuple[tuple[str, Kind], ...] = (
    ("authentication failed", (DatabaseDenied, LOGIN)),
    ("no password supplied", (DatabaseDenied, LOGIN)),
    ("pg_hba.conf", (DatabaseDenied, LOGIN)),
    ("role ", (DatabaseDenied, LOGIN)),
    ("permission denied", (DatabaseDenied, GRANT)),
    ("database ", find_by_sqlstate("3D000")),
    ("too many", find_by_sqlstate("53300")),
    ("connection slots", find_by_sqlstate("53300")),
    ("certificate", (DatabaseUnreachable, "Check the certificates of both sides.")),
)
#: Messages that come without their SQLSTATE.
_STATES = (
    ("canceling statement", "57014"),
    ("terminating connection", "57P01"),
    ("server closed the connection", "57P02"),
    ("no connection to the server", "57P02"),
    ("deadlock detected", "40P01"),
    ("could not serialize", "40001"),
    ("permission denied", "42501"),
)
_NAMED = re.compile(r'"([^"]+)"')


def translate(where: str, error: Exception, statement: str | None) -> DatabaseError | None:
    """Return Flowstone's error for one of psycopg's or ADBC's; None for other errors.

    Args:
        where: the database, for the message.
        error: the exception of a method of the driver.
        statement: the statement; None if the error is about the connection.
    """
    if isinstance(error, OurError):
        return error.found
    if isinstance(error, ReadFailed):
        return _translate_words(where, str(error), statement)
    if isinstance(error, NoDecimal):
        remedy = "Cast it in the query: CAST(x AS numeric(20, 4)), or to text."
        return QueryInvalid(where, str(error), remedy, statement)
    if isinstance(error, ConnectionLost):
        return error.translate(where, statement)
    if isinstance(error, psycopg.Error):
        return _translate_psycopg(where, error, statement)
    if type(error).__module__.startswith("adbc_driver_manager"):
        return _translate_adbc(where, error, statement)
    if isinstance(error, (OverflowError, UnicodeError)) or type(error).__name__ == "ArrowInvalid":
        return QueryInvalid(where, "a value doesn't fit its column", FIX, statement)
    return None


def _translate_psycopg(
    where: str, error: psycopg.Error, statement: str | None
) -> DatabaseError | None:
    state, words = error.sqlstate, error.diag.message_primary or str(error)
    if state is not None:
        return _translate_state(where, state, words, error.diag.statement_position, statement)
    if isinstance(error, psycopg.OperationalError):
        if statement is None:
            return _translate_refusal(where, words)
        return DatabaseUnreachable(
            where, f"the connection was lost: {_join(words)}", LOST, statement
        )
    kind, remedy = find_by_exception(error) or (DatabaseError, FIX)
    return kind(where, leave_values_out(_join(words)), remedy, statement)


def _translate_adbc(where: str, error: Exception, statement: str | None) -> DatabaseError | None:
    details = dict(getattr(error, "details", None) or [])
    primary = details.get(b"PG_DIAG_MESSAGE_PRIMARY") or details.get("PG_DIAG_MESSAGE_PRIMARY")
    state = getattr(error, "sqlstate", None)
    if primary is not None and state:
        words = primary.decode() if isinstance(primary, bytes) else str(primary)
        return _translate_state(where, state, words, None, statement)
    found = find_by_exception(error)
    if found is None:
        return None
    words = str(error).partition("\n\nQuery was:")[0]
    if "server closed" in words or "no connection to the server" in words:
        return DatabaseUnreachable(where, "the connection was lost", LOST, statement)
    return found[0](where, leave_values_out(_join(words)), found[1], statement)


def _translate_words(where: str, words: str, statement: str | None) -> DatabaseError:
    said = words.rpartition("ERROR:")[2].strip().splitlines() or [""]
    for part, state in _STATES:
        if part in words:
            return _translate_state(where, state, said[0], None, statement)
    return QueryInvalid(where, leave_values_out(_join(said[0])), FIX, statement)


def _translate_state(
    where: str, state: str, words: str, position: str | None, statement: str | None
) -> DatabaseError:
    kind, remedy = find_by_sqlstate(state)
    if state == "57014" and "statement timeout" in words:
        remedy = (
            "It took longer than the task's timeout, or the server's statement_timeout: raise it."
        )
    place = _find_position(words, position, statement)
    said = f"{leave_values_out(_join(words))} (SQLSTATE {state})"
    return kind(where, said, remedy, statement, place)


def _translate_refusal(where: str, words: str) -> DatabaseError:
    # The last attempt, of several addresses of a host; the text after "FATAL:" is the server's.
    said = _join(words.strip().splitlines()[0]).rpartition("FATAL: ")[2].strip()
    for part, (kind, remedy) in _REFUSALS:
        if part in said:
            return kind(where, said, remedy)
    return DatabaseUnreachable(where, said, ADDRESS)


def _join(words: str) -> str:
    return " ".join(words.split()).rstrip(".!")


def _find_position(words: str, position: str | None, statement: str | None) -> int | None:
    """Return the position of a problem in the statement; the server's has other placeholders."""
    if statement is None:
        return None
    place = int(position) - 1 if position else 0
    named = _NAMED.search(words)
    if named is None or not statement.count(named[1]):
        return place if position and place <= len(statement) and "$" not in statement else None
    starts = [each.start() for each in re.finditer(re.escape(named[1]), statement)]
    if position is None and len(starts) > 1:
        return None
    return min(starts, key=lambda start: abs(start - place))
