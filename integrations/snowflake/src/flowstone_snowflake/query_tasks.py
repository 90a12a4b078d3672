"""Queries as tasks: one, or several in order, each with an async version."""

from __future__ import annotations

from typing import Any

from flowstone import make_async_twin, task
from flowstone.blocks.databases import Row
from flowstone.blocks.databases.cancellation import in_thread
from flowstone.blocks.databases.placeholders import Parameters
from flowstone_snowflake.connector import SnowflakeConnector

#: Tuples, or dicts with a `DictCursor`.
Rows = list[Row] | list[dict[str, Any]]
#: Snowflake's result of BEGIN and COMMIT.
CONTROLLED: list[Any] = [("Statement executed successfully.",)]


@task
def snowflake_query(
    query: str,
    snowflake_connector: SnowflakeConnector,
    params: Parameters = None,
    cursor_type: type | None = None,
    poll_frequency_seconds: float = 1,
) -> Rows:
    """Run a statement, and return all its rows.

    Example:
        rows = snowflake_query(query, snowflake_connector, params)

    Args:
        query: the statement, with ``?`` or ``:name`` for each value.
        snowflake_connector: the database.
        params: the values: a sequence for ``?``, a mapping for ``:name``.
        cursor_type: `snowflake.connector.DictCursor` for dicts, whose keys are Snowflake's own
            names; by default rows are tuples.
        poll_frequency_seconds: seconds between two polls of a query, after 45 seconds.

    Raises:
        DatabaseError: the database refused the statement; see the subclasses.
        CredentialsError: the fields are not valid credentials.
    """
    return snowflake_connector.fetch_rows(
        query, params, cursor_type=cursor_type, poll_seconds=poll_frequency_seconds
    )


@task
def snowflake_query_sync(
    query: str,
    snowflake_connector: SnowflakeConnector,
    params: Parameters = None,
    cursor_type: type | None = None,
) -> Rows:
    """Same as `snowflake_query`, which waits in the same way.

    Example:
        rows = snowflake_query_sync(query, snowflake_connector)

    Args:
        query: the statement, with ``?`` or ``:name`` for each value.
        snowflake_connector: the database.
        params: the values: a sequence for ``?``, a mapping for ``:name``.
        cursor_type: `snowflake.connector.DictCursor` for dicts; by default rows are tuples.

    Raises:
        DatabaseError: the database refused the statement; see the subclasses.
        CredentialsError: the fields are not valid credentials.
    """
    return snowflake_connector.fetch_rows(query, params, cursor_type=cursor_type)


@task
def snowflake_multiquery(
    queries: list[str],
    snowflake_connector: SnowflakeConnector,
    params: Parameters = None,
    cursor_type: type | None = None,
    as_transaction: bool = False,
    return_transaction_control_results: bool = False,
    poll_frequency_seconds: float = 1,
) -> list[Any]:
    """Run statements one after another, and return the rows of each.

    Example:
        results = snowflake_multiquery(queries, snowflake_connector, as_transaction=True)

    Args:
        queries: the statements.
        snowflake_connector: the database.
        params: the values, for each of the statements.
        cursor_type: `snowflake.connector.DictCursor` for dicts; by default rows are tuples.
        as_transaction: whether all statements are committed, or none; DDL commits those before it.
        return_transaction_control_results: whether the results of BEGIN and COMMIT are the first
            and the last result.
        poll_frequency_seconds: seconds between two polls of a query, after 45 seconds.

    Raises:
        DatabaseError: the database refused a statement; see the subclasses.
        CredentialsError: the fields are not valid credentials.
    """

    def run() -> list[Any]:
        return [
            snowflake_connector.fetch_rows(
                query, params, cursor_type=cursor_type, poll_seconds=poll_frequency_seconds
            )
            for query in queries
        ]

    if not as_transaction:
        return run()
    with snowflake_connector.transaction():
        found = run()
    return [CONTROLLED, *found, CONTROLLED] if return_transaction_control_results else found


asnowflake_query = make_async_twin(snowflake_query, in_thread)
asnowflake_query_sync = make_async_twin(snowflake_query_sync, in_thread)
asnowflake_multiquery = make_async_twin(snowflake_multiquery, in_thread)


#: Aliases of the tasks.
snowflake_query_async = asnowflake_query
snowflake_multiquery_async = asnowflake_multiquery
