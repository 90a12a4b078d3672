"""DuckDB's errors as Flowstone's: a table by exception, one by words, one way in."""

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
_FILE = "Check the path, the disk, and what the file is."

#: By the name of the exception or of one that it derives from; the nearest counts.
BY_EXCEPTION: dict[str, tuple[type[DatabaseError], str]] = {
    "ConnectionException": (DatabaseUnreachable, _FILE),
    "ConstraintException": (IntegrityViolated, "Fix the row, or the constraint."),
    "Error": (QueryInvalid, _FIX),
    "FatalException": (DatabaseError, "Close the block and open it again."),
    "HTTPException": (DatabaseUnreachable, "Check the address, and that it can be reached."),
    "IOException": (DatabaseUnreachable, _FILE),
    "InternalException": (DatabaseError, "This is an error of DuckDB's own: report it there."),
    "InterruptException": (QueryCancelled, "Run it again if it is wanted."),
    "OutOfMemoryException": (
        DatabaseError,
        "Ask for less at a time, or give DuckDB more memory by `config`.",
    ),
    "PermissionException": (DatabaseDenied, "Check who may read and write the file."),
    "TransactionException": (
        DatabaseBusy,
        "Somebody else wrote the same; roll back, and try again.",
    ),
}
#: More special than the exception, by a part of its words.
BY_WORDS: dict[str, tuple[type[DatabaseError], str]] = {
    "Could not set lock": (DatabaseBusy, "Another process has the file open: let it close it."),
    "read-only mode": (DatabaseDenied, "Open it to write, or check who may."),
    "Table with name": (TableMissing, "Make the table first, or `insert(…, create=True)`."),
}
#: Exceptions whose words quote values.
QUOTING = {"ConstraintException", "DataError", "InvalidInputException"}


class SeveralStatements(Exception):
    """More than one statement was to be run, or none."""

    def __init__(self, count: int) -> None:
        super().__init__(f"it has {count} statements, and one at a time is run")


def translate(where: str, error: Exception, statement: str | None) -> DatabaseError | None:
    """Return Flowstone's error for one of DuckDB's; None for anybody else's.

    Args:
        where: which database; it begins the message.
        error: what DuckDB has raised.
        statement: what was to be run; None where it is about the connection.
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
    """Return a message without the values in it: names of columns and of types stay."""
    words = re.sub(r'"([^":]*): .*"', r'"\1: …"', words, flags=re.DOTALL)
    words = re.sub(r"'.*'", "'…'", words, flags=re.DOTALL)
    return re.sub(r"(?<!\w)-?\d[\d.eE+]*", "…", words)


def _find_position(rest: str, statement: str | None) -> int | None:
    """Return where DuckDB's arrow points to; it may have cut the line that it shows."""
    shown = re.match(r"LINE (\d+): (.*)\n( *)\^", rest)
    lines = statement.splitlines(keepends=True) if statement else []
    if shown is None or int(shown[1]) > len(lines):
        return None
    number = int(shown[1]) - 1
    arrow = len(shown[3]) - len(f"LINE {shown[1]}: ")
    column = lines[number].find(shown[2][arrow:].removesuffix("..."))
    return sum(map(len, lines[:number])) + column if column >= 0 else None
