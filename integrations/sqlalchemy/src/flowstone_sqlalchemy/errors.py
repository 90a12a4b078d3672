"""Errors of databases as Flowstone's: by SQLSTATE, by MySQL's numbers, and by exception."""

from __future__ import annotations

import re

from flowstone.errors import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseError,
    DatabaseUnreachable,
    IntegrityViolated,
    QueryCancelled,
    QueryInvalid,
    TableMissing,
)

Kind = tuple[type[DatabaseError], str]

FIX = "Fix the statement or its parameters."
ROW = "Fix the row, or the constraint."
AGAIN = "Run it again if you still need it."
ADDRESS = "Check the host and the port, and that the server runs and can be reached from here."
LOGIN = "Check the username, the password, and the server's rules for logins."
GRANT = "Ask the owner to grant the missing privilege."
RETRY = "Another transaction changed or locked the same rows: run the whole transaction again."
CREATE = "Create the table first, check its schema, or use `insert(…, create=True)`."
LOST = "Check the server's log and the network, and run it again."

#: By SQLSTATE, or by its class: the first two characters.
BY_SQLSTATE: dict[str, Kind] = {
    "08": (DatabaseUnreachable, ADDRESS),
    "22": (QueryInvalid, FIX),
    "23": (IntegrityViolated, ROW),
    "25P03": (
        DatabaseUnreachable,
        "A transaction was idle for too long: run it again, with shorter pauses.",
    ),
    "25006": (DatabaseDenied, "The server or transaction is read-only: write to the primary."),
    "28": (DatabaseDenied, LOGIN),
    "3D000": (DatabaseUnreachable, "Check the name of the database, or create it."),
    "40": (DatabaseBusy, RETRY),
    "42501": (DatabaseDenied, GRANT),
    "42P01": (TableMissing, CREATE),
    "53": (DatabaseBusy, "The server has run out of connections, memory or disk; free some."),
    "53300": (DatabaseBusy, "Close connections, or allow more on the server (max_connections)."),
    "55P03": (DatabaseBusy, RETRY),
    "55006": (DatabaseBusy, "Another session uses it: try again when that has finished."),
    "57014": (QueryCancelled, AGAIN),
    "57P": (DatabaseUnreachable, LOST),
    "58": (DatabaseUnreachable, LOST),
    "XX": (DatabaseError, "This is an internal error of the server: look in its log."),
}
#: By the error number of MySQL or MariaDB.
BY_NUMBER: dict[int, Kind] = {
    1022: (IntegrityViolated, ROW),
    1040: (DatabaseBusy, "Close connections, or allow more on the server (max_connections)."),
    1044: (DatabaseDenied, GRANT),
    1045: (DatabaseDenied, LOGIN),
    1046: (QueryInvalid, "Name the database in the URL, or with the table."),
    1048: (IntegrityViolated, ROW),
    1049: (DatabaseUnreachable, "Check the name of the database, or create it."),
    1051: (TableMissing, CREATE),
    1053: (DatabaseUnreachable, LOST),
    1062: (IntegrityViolated, ROW),
    1114: (DatabaseBusy, "The server's disk or memory is full; free some."),
    1142: (DatabaseDenied, GRANT),
    1143: (DatabaseDenied, GRANT),
    1146: (TableMissing, CREATE),
    1152: (DatabaseUnreachable, LOST),
    1205: (DatabaseBusy, RETRY),
    1213: (DatabaseBusy, RETRY),
    1216: (IntegrityViolated, ROW),
    1217: (IntegrityViolated, ROW),
    1227: (DatabaseDenied, GRANT),
    1290: (DatabaseDenied, "The server is read-only: write to the primary."),
    1317: (QueryCancelled, AGAIN),
    1364: (IntegrityViolated, ROW),
    1451: (IntegrityViolated, ROW),
    1452: (IntegrityViolated, ROW),
    1557: (IntegrityViolated, ROW),
    1698: (DatabaseDenied, LOGIN),
    1836: (DatabaseDenied, "The server is read-only: write to the primary."),
    1927: (DatabaseUnreachable, LOST),
    1969: (QueryCancelled, "It took longer than the task's timeout: give the task more time."),
    2002: (DatabaseUnreachable, ADDRESS),
    2003: (DatabaseUnreachable, ADDRESS),
    2005: (DatabaseUnreachable, ADDRESS),
    2006: (DatabaseUnreachable, LOST),
    2013: (DatabaseUnreachable, LOST),
    2014: (DatabaseUnreachable, LOST),
    2026: (DatabaseUnreachable, "Check the certificates, and that the server supports TLS."),
    3024: (QueryCancelled, "It took longer than the task's timeout: give the task more time."),
    3819: (IntegrityViolated, ROW),
    4025: (IntegrityViolated, ROW),
}
#: By the name of DB-API's exceptions, or of their base classes; the nearest applies.
BY_EXCEPTION: dict[str, Kind] = {
    "DataError": (QueryInvalid, FIX),
    "DatabaseError": (DatabaseError, FIX),
    "Error": (DatabaseError, FIX),
    "IntegrityError": (IntegrityViolated, ROW),
    "InterfaceError": (DatabaseUnreachable, ADDRESS),
    "InternalError": (DatabaseError, "This is an internal error of the database: look in its log."),
    "NotSupportedError": (QueryInvalid, FIX),
    "OperationalError": (DatabaseUnreachable, ADDRESS),
    "ProgrammingError": (QueryInvalid, FIX),
    "Warning": (QueryInvalid, FIX),
}


class ConnectionLost(Exception):
    """A connection was lost when a transaction may be affected.

    Args:
        when: the situation: `INSIDE` or `COMMITTING`.
        error: the driver's exception.
    """

    INSIDE = "inside a transaction, which was not committed"
    COMMITTING = "during the commit of a transaction, which may or may not be committed"

    def __init__(self, when: str, error: Exception) -> None:
        self.when, self.error = when, error
        super().__init__(when)

    def translate(self, where: str, statement: str | None) -> DatabaseError:
        """Return Flowstone's error for it."""
        remedy = "Run the whole transaction again."
        if self.when == self.COMMITTING:
            remedy = "Check in the database whether it was committed before you run it again."
        problem = f"the connection was lost {self.when}"
        return DatabaseUnreachable(where, problem, remedy, statement)


class ReadFailed(Exception):
    """A result ended with an error, of which only the message is known."""


class NoDecimal(ValueError):
    """A number in a column can't be represented as an Arrow decimal."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"column {name!r} has a number that Arrow's decimals can't represent: NaN, infinity, "
            f"one of more than 76 digits, or one with more digits than the first rows"
        )


class OurError(Exception):
    """Wraps an error of Flowstone inside `Database`, which masks secrets in it."""

    def __init__(self, found: DatabaseError) -> None:
        self.found = found
        super().__init__(str(found))


def find_by_sqlstate(state: str) -> Kind:
    """Return the error for a SQLSTATE, by its longest prefix in the table."""
    for length in (5, 3, 2):
        if found := BY_SQLSTATE.get(state[:length]):
            return found
    return QueryInvalid, FIX


def find_by_exception(error: BaseException) -> Kind | None:
    """Return the error for a DB-API exception; None for any other."""
    names = [kind.__name__ for kind in type(error).__mro__]
    if not {"Error", "Warning"}.intersection(names):
        return None
    return next((BY_EXCEPTION[name] for name in names if name in BY_EXCEPTION), None)


def leave_values_out(words: str) -> str:
    """Return a message without the values in it; names of columns and types remain.

    PostgreSQL quotes a value after a colon, or at the end; MySQL in apostrophes, before the name of
    its column.
    """
    words = re.sub(r': ".*"', ': "…"', words, flags=re.DOTALL)
    words = re.sub(
        r"(value|Value|entry|literal):? '.*?'(?= for |$)", r"\1 '…'", words, flags=re.DOTALL
    )
    return re.sub(r'^(value|date/time field value) ".*"(?= (?:is|for) )', r'\1 "…"', words)
