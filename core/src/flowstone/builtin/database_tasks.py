"""Tasks for any database: run a statement, fetch rows, insert rows, each with an async version."""

from __future__ import annotations

from flowstone.blocks.base import Block
from flowstone.blocks.databases.cancellation import in_thread
from flowstone.blocks.databases.database import Database
from flowstone.blocks.databases.driver import Row
from flowstone.blocks.databases.placeholders import Parameters
from flowstone.calls.async_twins import make_async_twin
from flowstone.calls.task import task
from flowstone.errors import ConfigurationError


@task
def database_execute(
    database: Database | str, operation: str, parameters: Parameters = None
) -> int:
    """Run one statement, and return the number of changed rows.

    Example:
        database_execute("sqlite-database/shop", "DELETE FROM orders WHERE id = ?", [7])

    Args:
        database: the block, or its saved name: ``"sqlite-database/shop"``.
        operation: the statement, with placeholders ``?`` or ``:name`` for values.
        parameters: the values: a sequence for ``?``, a mapping for ``:name``.

    Raises:
        DatabaseError: or a subclass: the database reported an error.
    """
    return _load_database(database).execute(operation, parameters)


@task
def database_fetch(
    database: Database | str, operation: str, parameters: Parameters = None
) -> list[Row]:
    """Run a query, and return all its rows, as tuples.

    Example:
        database_fetch("sqlite-database/shop", "SELECT item FROM orders WHERE id < ?", [7])

    Args:
        database: the block, or its saved name: ``"sqlite-database/shop"``.
        operation: the query, with placeholders ``?`` or ``:name`` for values.
        parameters: the values: a sequence for ``?``, a mapping for ``:name``.

    Raises:
        DatabaseError: or a subclass: the database reported an error.
    """
    return _load_database(database).fetch_all(operation, parameters)


@task
def database_insert(
    database: Database | str, table: str, rows: object, create: bool = False
) -> int:
    """Add rows to a table, all or none, and return their number.

    Example:
        database_insert("sqlite-database/shop", "days", [{"day": "mo"}], create=True)

    Args:
        database: the block, or its saved name: ``"sqlite-database/shop"``.
        table: its name, or ``schema.name``.
        rows: dicts, an Arrow table, or a pandas or polars DataFrame.
        create: whether to create the table if it is missing.

    Raises:
        DatabaseError: or a subclass: the database reported an error.
    """
    return _load_database(database).insert(table, rows, create=create)


adatabase_execute = make_async_twin(database_execute, in_thread)
adatabase_fetch = make_async_twin(database_fetch, in_thread)
adatabase_insert = make_async_twin(database_insert, in_thread)


def _load_database(database: Database | str) -> Database:
    found = Block.load(database) if isinstance(database, str) else database
    if not isinstance(found, Database):
        raise ConfigurationError(
            "database", f"a {type(found).__name__} is not a Database", "Use a database block."
        )
    return found
