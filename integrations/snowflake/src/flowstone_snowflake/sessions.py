"""A session of Snowflake, in which statements are sent, recorded, awaited, and can be aborted."""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flowstone.errors import DatabaseUnreachable
from flowstone_snowflake.errors import SessionEnded, has_query_ended, has_session_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

#: Seconds between two polls of a long query, if a call sets them.
poll_seconds: ContextVar[float | None] = ContextVar("flowstone_snowflake_poll", default=None)
#: Text before the first word of a statement.
_BEFORE = re.compile(r"(?:\s|--[^\n]*\n|//[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_BEGINS = r"START\b|BEGIN(?=\s*(?:;|$|TRANSACTION\b|WORK\b|NAME\b))"
_ENDS = r"COMMIT\b|ROLLBACK\b"
_OTHERS = r"(?:USE|ALTER\s+SESSION|SET|UNSET|SHOW|DESC|DESCRIBE|LIST|LS|RM|REMOVE|PUT|GET)\b"
#: Statements that Snowflake executes immediately, without a query id to wait for.
_AT_ONCE = re.compile(f"{_BEGINS}|{_ENDS}|{_OTHERS}", re.IGNORECASE)
#: Statements that write nothing: a transaction of only these can be restarted.
_READS = re.compile(r"(SELECT|WITH|VALUES|EXPLAIN)\b", re.IGNORECASE)
_BEGIN, _END = (re.compile(words, re.IGNORECASE) for words in (_BEGINS, _ENDS))


def is_answered_at_once(operation: str) -> bool:
    """Return whether Snowflake executes a statement immediately, without a query to wait for."""
    return _matches(_AT_ONCE, operation)


def _matches(pattern: re.Pattern[str], operation: str) -> bool:
    before = _BEFORE.match(operation)
    return pattern.match(operation, before.end() if before else 0) is not None


class SnowflakeSession:
    """One session, which is opened again if the service ends it between statements.

    Attributes:
        raw: the connector's connection.
        in_transaction: whether a transaction is open.
        has_written: whether something was written in it, which DDL would commit.
        stage: the session's temporary stage; None before it is created.
        ended: the id of the last query that is known to have ended.
        leftover: temporary tables to drop after the transaction, which their drop would commit.
    """

    def __init__(
        self, connect: Callable[[], SnowflakeConnection], where: str, poll_seconds: float
    ) -> None:
        self._connect, self._where, self._poll_seconds = connect, where, poll_seconds
        self.raw = connect()
        self.in_transaction = self.has_written = False
        self.stage: str | None = None
        self.ended: str | None = None
        self.leftover: list[str] = []
        self._query_id: str | None = None
        self._woken = threading.Event()

    def close(self) -> None:
        """Close it; the server rolls back an open transaction."""
        if _is_on_loop():
            # When a block is collected in async code, the event loop must not wait for the server.
            threading.Thread(target=self.raw.close, name="flowstone-snowflake-close").start()
        else:
            self.raw.close()

    def stop(self) -> None:
        """Request the service to abort the current query; the waiting thread gets the error."""
        if (query_id := self._query_id) is not None:
            self.abort(query_id)
        self._woken.set()

    def abort(self, query_id: str) -> bool:
        """Request the service to abort a query; return whether it accepted."""
        with self.raw.cursor() as cursor:
            return bool(cursor.abort_query(query_id))

    def run(
        self,
        operation: str,
        values: Sequence[Any] = (),
        *,
        many: bool = False,
        parameters: Mapping[str, str] | None = None,
        record: Callable[[str], AbstractContextManager[object]],
    ) -> SnowflakeCursor:
        """Run one statement, and return its cursor.

        Args:
            operation: the statement, with ``?`` for each value.
            values: the values; with `many`, rows of values.
            many: whether it is run for each row, as one statement.
            parameters: parameters of this statement only, such as QUERY_TAG.
            record: entered with the query's id while it is waited for.

        Raises:
            DatabaseUnreachable: the session has ended inside a transaction.
        """
        # Many rows are bound as a list for each placeholder, and sent as one statement.
        bound = [list(each) for each in zip(*values, strict=True)] if many else list(values)
        try:
            cursor = self._submit(operation, bound, parameters)
        except Exception as error:
            if not has_session_ended(error):
                raise
            self._reopen()
            cursor = self._submit(operation, bound, parameters)
        if not is_answered_at_once(operation):
            cursor = self._wait(cursor, record)
        self._follow(operation)
        return cursor

    def _submit(
        self, operation: str, values: list[Any], parameters: Mapping[str, str] | None
    ) -> SnowflakeCursor:
        cursor: SnowflakeCursor = self.raw.cursor()
        submit = cursor.execute if is_answered_at_once(operation) else cursor.execute_async
        try:
            submit(operation, values or None, _statement_params=dict(parameters or {}))
        except BaseException:
            cursor.close()
            raise
        return cursor

    def _wait(
        self, cursor: SnowflakeCursor, record: Callable[[str], AbstractContextManager[object]]
    ) -> SnowflakeCursor:
        """Wait for a query, and return the cursor with its result."""
        query_id = cursor.sfqid
        assert query_id is not None
        self._woken.clear()
        self._query_id = query_id
        try:
            with record(query_id):
                try:
                    cursor = self._attach(cursor, query_id)
                except Exception as error:
                    if has_query_ended(error):
                        self.ended = query_id
                    raise
                self.ended = query_id
        except BaseException:
            cursor.close()
            raise
        finally:
            self._query_id = None
        return cursor

    def _attach(self, cursor: SnowflakeCursor, query_id: str) -> SnowflakeCursor:
        """Get the result of a query; from another session, if this one has ended."""
        try:
            self._take_result(cursor, query_id)
        except Exception as error:
            if not has_session_ended(error):
                raise
            cursor.close()
            self._reopen()
            cursor = self.raw.cursor()
            self._take_result(cursor, query_id)
        return cursor

    def _take_result(self, cursor: SnowflakeCursor, query_id: str) -> None:
        while True:
            try:
                # The service responds when the query has ended; after 45 s, that it still runs.
                cursor.query_result(query_id)
            except TypeError as error:
                # The response for an unknown session has no data.
                raise SessionEnded from error
            except KeyError:
                # The response for a running query has no columns.
                if not self.raw.is_still_running(self.raw.get_query_status(query_id)):
                    raise
                self._woken.wait(poll_seconds.get() or self._poll_seconds)
            else:
                # Version 4 keeps a list of running queries, and polls each before it is closed.
                getattr(self.raw, "_async_sfqids", {}).pop(query_id, None)
                return

    def _follow(self, operation: str) -> None:
        """Track the effect of a statement on the transaction."""
        if _matches(_BEGIN, operation):
            self.in_transaction, self.has_written = True, False
        elif _matches(_END, operation):
            self.in_transaction = self.has_written = False
        elif not _matches(_READS, operation) and not is_answered_at_once(operation):
            self.has_written = self.in_transaction

    def _reopen(self) -> None:
        was_open = self.in_transaction
        self.in_transaction = self.has_written = False
        with suppress(Exception):
            self.raw.close()
        self.raw, self.stage = self._connect(), None
        if was_open:
            raise DatabaseUnreachable(
                self._where,
                "the session ended inside a transaction, which was rolled back",
                "Run the whole transaction again.",
            )


def _is_on_loop() -> bool:
    """Return whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
