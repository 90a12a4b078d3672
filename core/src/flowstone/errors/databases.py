"""Errors of databases."""

from __future__ import annotations

from flowstone.errors.base import FlowstoneError

#: Longer first lines of statements are cut in messages.
SHOWN = 120


class DatabaseError(FlowstoneError):
    """A database refused or failed; the values of parameters are never shown.

    Attributes:
        statement: what was to be run; in the message, only its first line.
        position: where in it the problem is, counted from 0; None where the database does not say.
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
    """The statement is not one that the database understands, or its parameters do not fit."""


class TableMissing(DatabaseError, LookupError):
    """There is no such table or view."""


class IntegrityViolated(DatabaseError, ValueError):
    """What was to be written breaks a constraint: a key, a NOT NULL, a CHECK."""


class RowsInvalid(DatabaseError, ValueError):
    """Rows that were to be inserted do not fit together, or are no rows."""


class DatabaseUnreachable(DatabaseError, ConnectionError):
    """The database can't be opened or reached, or the connection broke."""


class DatabaseDenied(DatabaseError, PermissionError):
    """The database may not be read or written with this login or by this process."""


class DatabaseBusy(DatabaseError, TimeoutError):
    """Others held the database, or a part of it, for longer than we wait."""


class QueryCancelled(DatabaseError):
    """The query was stopped in the database: by `cancel`, or as its run was ended."""


def _describe_statement(statement: str, position: int | None) -> str:
    lines = statement.strip().splitlines() or [""]
    first = lines[0] if len(lines[0]) <= SHOWN else f"{lines[0][:SHOWN]}…"
    if position is None:
        return f"The statement begins with {first!r}."
    before = statement[:position].splitlines() or [""]
    place = f"line {len(before)}, column {len(before[-1]) + 1}"
    return f"It is at {place} of the statement that begins with {first!r}."
