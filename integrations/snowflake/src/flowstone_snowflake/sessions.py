"""A session of Snowflake's: statements are sent, recorded, waited for, and can be stopped."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flowstone.errors import DatabaseUnreachable
from flowstone_snowflake.errors import has_session_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

#: What is answered at once, and has no id that could be waited for: it is sent as it is.
_AT_ONCE = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
    r"(BEGIN(?!\s+\w+\s+\w)|START|COMMIT|ROLLBACK|USE|ALTER\s+SESSION|SET|UNSET|SHOW|DESC|DESCRIBE|"
    r"LIST|LS|RM|REMOVE|PUT|GET)\b",
    re.IGNORECASE | re.DOTALL,
)
#: Statements that begin or end a transaction.
_BEGIN = re.compile(r"\s*(BEGIN|START)\b", re.IGNORECASE)
_END = re.compile(r"\s*(COMMIT|ROLLBACK)\b", re.IGNORECASE)


class SnowflakeSession:
    """One session; where the service has ended it between statements, it is opened again.

    Attributes:
        raw: the connector's connection.
        in_transaction: whether a transaction is open.
        is_fresh: whether nothing was run in it yet.
        stage: the session's temporary stage; None before it is made.
    """

    def __init__(
        self, connect: Callable[[], SnowflakeConnection], where: str, poll_seconds: float
    ) -> None:
        self._connect, self._where, self._poll_seconds = connect, where, poll_seconds
        self.raw = connect()
        self.in_transaction = self.is_fresh = False
        self.stage: str | None = None
        self._query_id: str | None = None
        self._woken = threading.Event()

    @property
    def is_at_work(self) -> bool:
        """Whether a transaction has begun its work, which DDL would commit."""
        return self.in_transaction and not self.is_fresh

    def close(self) -> None:
        """Close it; the server rolls back a transaction that is open."""
        self.raw.close()

    def stop(self) -> None:
        """Ask the service to end what runs; the thread that waits gets its error."""
        query_id = self._query_id
        if query_id is not None:
            with self.raw.cursor() as cursor:
                cursor.abort_query(query_id)
        self._woken.set()

    def run(
        self,
        operation: str,
        values: Sequence[object] = (),
        *,
        many: bool = False,
        parameters: Mapping[str, str] | None = None,
        record: Callable[[str], AbstractContextManager[object]],
    ) -> SnowflakeCursor:
        """Run one statement, and return its cursor.

        Args:
            operation: the statement, with ``?`` where a value goes.
            values: the values; with `many`, rows of them.
            many: whether it is run with each row, as one statement.
            parameters: of the statement alone, as QUERY_TAG.
            record: is entered with the query's id while it is waited for.

        Raises:
            DatabaseUnreachable: the session has ended inside a transaction.
        """
        arguments: dict[str, Any] = {"_statement_params": dict(parameters or {})}
        try:
            cursor = self._run(operation, values, arguments, many=many, record=record)
        except Exception as error:
            if not has_session_ended(error):
                raise
            self._reopen()
            cursor = self._run(operation, values, arguments, many=many, record=record)
        self._follow(operation)
        return cursor

    def _run(
        self,
        operation: str,
        values: Sequence[object],
        arguments: dict[str, Any],
        *,
        many: bool,
        record: Callable[[str], AbstractContextManager[object]],
    ) -> SnowflakeCursor:
        cursor: SnowflakeCursor = self.raw.cursor()
        try:
            if _AT_ONCE.match(operation):
                cursor.execute(operation, list(values) or None, **arguments)
                return cursor
            if many:
                cursor.executemany(operation, list(values), _exec_async=True, **arguments)
            else:
                cursor.execute_async(operation, list(values) or None, **arguments)
            self._wait(cursor, record)
        except BaseException:
            cursor.close()
            raise
        return cursor

    def _wait(
        self, cursor: SnowflakeCursor, record: Callable[[str], AbstractContextManager[object]]
    ) -> None:
        query_id = cursor.sfqid
        assert query_id is not None
        self._woken.clear()
        self._query_id = query_id
        try:
            with record(query_id):
                self._take_result(cursor, query_id)
        except BaseException:
            if self._woken.is_set() or threading.current_thread() is threading.main_thread():
                self._abort(query_id)
            raise
        finally:
            self._query_id = None

    def _take_result(self, cursor: SnowflakeCursor, query_id: str) -> None:
        while True:
            try:
                # The service answers when the query has ended, or that it still runs, after 45 s.
                cursor.query_result(query_id)
            except KeyError:
                # There are no columns in the answer that it still runs.
                if not self.raw.is_still_running(self.raw.get_query_status(query_id)):
                    raise
                self._woken.wait(self._poll_seconds)
            else:
                # The connection keeps a list of what runs, and looks at each before it is closed.
                self.raw._async_sfqids.pop(query_id, None)  # noqa: SLF001
                return

    def _abort(self, query_id: str) -> None:
        with suppress(Exception), self.raw.cursor() as cursor:
            cursor.abort_query(query_id)

    def _follow(self, operation: str) -> None:
        """Follow what a statement does to the transaction."""
        if _BEGIN.match(operation) and _AT_ONCE.match(operation):
            self.in_transaction = self.is_fresh = True
        elif _END.match(operation):
            self.in_transaction = self.is_fresh = False
        else:
            self.is_fresh = False

    def _reopen(self) -> None:
        was_open, self.in_transaction = self.in_transaction, False
        with suppress(Exception):
            self.raw.close()
        self.raw, self.stage = self._connect(), None
        if was_open:
            raise DatabaseUnreachable(
                self._where,
                "the session ended inside a transaction, of which nothing was kept",
                "Run the whole transaction again.",
            )
