"""Errors of databases."""

from __future__ import annotations

from flowstone.errors.base import FlowstoneError

#: Longer first lines of statements are truncated in messages.
SHOWN = 120


class DatabaseError(FlowstoneError):
    """A database reported an error; the values of parameters are never shown.

    Attributes:
        statement: the statement; the message shows only its first line.
        position: the position of the problem in it, counted from 0; None if it is unknown.
    """

    def __init__(
        self,
        where: str,
        problem: str,
        remedy: str,
        statement: str | None = None,
        position: int | None = None,
    ) -> None:
        self.where, self.problem, self.remedy = where, problem, remedy
        self.statement, self.position = statement, position
        shown = "" if statement is None else f" {_describe_statement(statement, position)}"
        super().__init__(f"{where}: {problem}.{shown} {remedy}")


class QueryInvalid(DatabaseError, ValueError):
    """The database does not understand the statement, or its parameters don't match."""


class TableMissing(DatabaseError, LookupError):
    """There is no such table or view."""


class IntegrityViolated(DatabaseError, ValueError):
    """A row violates a constraint: a key, a NOT NULL, a CHECK."""


class RowsInvalid(DatabaseError, ValueError):
    """Rows to be inserted are inconsistent, or are not rows."""


class DatabaseUnreachable(DatabaseError, ConnectionError):
    """The database can't be opened or reached, or the connection broke."""


class DatabaseDenied(DatabaseError, PermissionError):
    """These credentials, or this process, have no permission to read or write the database."""


class DatabaseBusy(DatabaseError, TimeoutError):
    """The database, or a part of it, was locked for longer than the timeout."""


class QueryCancelled(DatabaseError):
    """The query was stopped in the database, by `cancel` or because its run ended."""


def _describe_statement(statement: str, position: int | None) -> str:
    lines = statement.strip().splitlines() or [""]
    first = lines[0] if len(lines[0]) <= SHOWN else f"{lines[0][:SHOWN]}…"
    if position is None:
        return f"The statement begins with {first!r}."
    before = statement[:position].splitlines() or [""]
    place = f"line {len(before)}, column {len(before[-1]) + 1}"
    return f"It is at {place} of the statement that begins with {first!r}."
