"""DuckDB's errors as Flowstone's: by exception and by message."""

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

_FIX = "Fix the statement or its parameters."
_FILE = "Check the path, the disk, and the format of the file."

#: By the name of the exception's class; the nearest ancestor in the table applies.
BY_EXCEPTION: dict[str, tuple[type[DatabaseError], str]] = {
    "ConnectionException": (DatabaseUnreachable, _FILE),
    "ConstraintException": (IntegrityViolated, "Fix the row, or the constraint."),
    "Error": (QueryInvalid, _FIX),
    "FatalException": (DatabaseError, "Close the block and open it again."),
    "HTTPException": (DatabaseUnreachable, "Check the address, and that it can be reached."),
    "IOException": (DatabaseUnreachable, _FILE),
    "InternalException": (DatabaseError, "This is a bug in DuckDB: report it to DuckDB."),
    "InterruptException": (QueryCancelled, "Run it again if you still need it."),
    "OutOfMemoryException": (
        DatabaseError,
        "Read fewer rows at a time, or raise memory_limit in `config`.",
    ),
    "PermissionException": (DatabaseDenied, "Check the permissions of the file."),
    "TransactionException": (
        DatabaseBusy,
        "Another transaction wrote the same rows: roll back, and try again.",
    ),
}
#: By a part of the message, which is more specific than the exception.
BY_WORDS: dict[str, tuple[type[DatabaseError], str]] = {
    "Could not set lock": (DatabaseBusy, "Another process has opened the file: close it there."),
    "read-only mode": (DatabaseDenied, "Open it without read_only, or check the permissions."),
    "Table with name": (TableMissing, "Create the table first, or use `insert(…, create=True)`."),
}
#: Exceptions whose messages quote values.
QUOTING = {"ConstraintException", "DataError", "InvalidInputException"}


class SeveralStatements(Exception):
    """The operation has several statements, or none."""

    def __init__(self, count: int) -> None:
        super().__init__(f"it has {count} statements, and only one can be run at a time")


def translate(where: str, error: Exception, statement: str | None) -> DatabaseError | None:
    """Return Flowstone's error for one of DuckDB's; None for other errors.

    Args:
        where: the database, for the message.
        error: DuckDB's exception.
        statement: the statement; None if the error is about the connection.
    """
    if isinstance(error, SeveralStatements):
        return QueryInvalid(where, str(error), _FIX, statement)
    names = [kind.__name__ for kind in type(error).__mro__ if _is_of_duckdb(kind)]
    if not names:
        return None
    words, _, rest = str(error).partition("\n\n")
    kind, remedy = next(BY_EXCEPTION[name] for name in (*names, "Error") if name in BY_EXCEPTION)
    for part, special in BY_WORDS.items():
        if part in words:
            kind, remedy = special
    words = words.partition(" Error: ")[2] or words
    if QUOTING.intersection(names):
        words = _leave_values_out(words)
    words = words.strip().replace("\n", "; ").rstrip(".!")
    return kind(where, words, remedy, statement, _find_position(rest, statement))


def _is_of_duckdb(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in {"duckdb", "_duckdb"}


def _leave_values_out(words: str) -> str:
    """Return a message without the values in it; names of columns and types remain."""
    words = re.sub(r'"([^":]*): .*"', r'"\1: …"', words, flags=re.DOTALL)
    words = re.sub(r"'.*'", "'…'", words, flags=re.DOTALL)
    return re.sub(r"(?<!\w)-?\d[\d.eE+]*", "…", words)


def _find_position(rest: str, statement: str | None) -> int | None:
    """Return the position that DuckDB's arrow marks; the line may be truncated."""
    shown = re.match(r"LINE (\d+): (.*)\n( *)\^", rest)
    lines = statement.splitlines(keepends=True) if statement else []
    if shown is None or int(shown[1]) > len(lines):
        return None
    number = int(shown[1]) - 1
    arrow = len(shown[3]) - len(f"LINE {shown[1]}: ")
    column = lines[number].find(shown[2][arrow:].removesuffix("..."))
    return sum(map(len, lines[:number])) + column if column >= 0 else None
