"""A PostgreSQL connection: reopened if it was lost, guarded by the server; and its rows."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from itertools import chain, islice
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import TransactionStatus

from flowstone_sqlalchemy.errors import ConnectionLost
from flowstone_sqlalchemy.limits import IDLE, UNKNOWN, find_limit, needs_change
from flowstone_sqlalchemy.sockets import has_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowstone.blocks.databases import Cursor
    from flowstone_sqlalchemy.postgres_arrow import ArrowConnection

#: Seconds between two checks by the server that the client is alive, while a statement runs.
LOOK = 2
#: The oldest server version that checks whether clients are alive.
LOOKING_SINCE = 140000
#: Statements that only read, and whose rows can be fetched in parts.
_READING = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(select|values|table|with)\b", re.IGNORECASE | re.DOTALL
)
_WRITING = re.compile(r"\b(?:insert|update|delete|merge|into)\b", re.IGNORECASE)


def only_reads(statement: str) -> bool:
    """Return whether a statement certainly only reads."""
    return _READING.match(statement) is not None and _WRITING.search(statement) is None


class PostgresConnection:
    """A psycopg connection, with ADBC connections beside it for Arrow tables.

    Attributes:
        raw: the psycopg connection.
        in_transaction: whether this package began a transaction.
    """

    raw: psycopg.Connection[tuple[Any, ...]]

    def __init__(
        self, arguments: Mapping[str, Any], *, pooled: bool = False, guarded: bool = True
    ) -> None:
        self._arguments, self.pooled, self._guarded = arguments, pooled, guarded
        self.in_transaction = False
        self._spare: ArrowConnection | None = None
        self._reading: list[ArrowConnection] = []
        #: The server's current limit for statements, and the one of the last caller.
        self._limit: float | None = None
        self._wanted: int | None = None
        self._used = monotonic()
        self._open()

    def _open(self) -> None:
        self.raw = psycopg.connect(
            **{
                # Prepared statements don't work with poolers, and break when tables are altered.
                "prepare_threshold": None,
                "autocommit": True,
                "cursor_factory": psycopg.RawCursor,
                **self._arguments,
            }
        )
        self._limit = None
        if self.looks:
            with suppress(psycopg.Error):  # not supported on some systems
                self.raw.execute(f"SET client_connection_check_interval = '{LOOK}s'")

    @property
    def looks(self) -> bool:
        """Whether the server should check, while a statement runs, that the client is alive."""
        new = self.raw.info.server_version >= LOOKING_SINCE
        return new and self._guarded and not self.pooled

    def close(self) -> None:
        """Close it, with the ADBC connections."""
        spare, self._spare = self._spare, None
        for arrow in [*self._reading, *([spare] if spare else [])]:
            arrow.close()
        self.raw.close()

    def interrupt(self) -> None:
        """Cancel its statement, including ADBC's."""
        for arrow in [*self._reading]:
            arrow.cancel()
        self.raw.cancel_safe(timeout=5.0)

    def take_arrow(self) -> ArrowConnection:
        """Return an unused ADBC connection; pass it to `give_back_arrow` later."""
        from flowstone_sqlalchemy.postgres_arrow import ArrowConnection  # rows don't need pyarrow

        arrow, self._spare = self._spare, None
        if arrow is not None and not arrow.works():
            arrow.close()
            arrow = None
        if arrow is None:
            arrow = ArrowConnection(self._arguments, looks=self.looks, pooled=self.pooled)
        self._reading.append(arrow)
        if not self.pooled:
            arrow.set_limit(self._wanted)
        return arrow

    def give_back_arrow(self, arrow: ArrowConnection, *, usable: bool) -> None:
        """Store an ADBC connection for reuse, or close it: it is half-read, or one too many."""
        self._reading.remove(arrow)
        if usable and not self.pooled and self._spare is None and not self.raw.closed:
            self._spare = arrow
        else:
            arrow.close()

    # -- before a statement ----------------------------------------------------------------------

    def prepare(self, seconds_left: float | None) -> None:
        """Reopen it if it was lost, and set the server's limit for the next statement.

        Args:
            seconds_left: the remaining seconds of the task; None for no limit.
        """
        if not self.in_transaction and self._is_lost():
            self.close()
            self._open()
        self._used = monotonic()
        limit = find_limit(seconds_left) if self._guarded else None
        self._wanted = limit
        failed = self.raw.info.transaction_status is TransactionStatus.INERROR
        # A pooler assigns the session to other clients between transactions.
        if (
            failed
            or (self.pooled and not self.in_transaction)
            or not needs_change(self._limit, limit)
        ):
            return
        word = "SET LOCAL" if self.pooled else "SET"
        self.raw.execute(f"{word} statement_timeout = {1000 * (limit or 0)}")
        self._limit = limit

    def begin(self) -> None:
        """Note that a transaction has begun."""
        self.in_transaction = True

    def end(self) -> None:
        """Note that a transaction has ended, which may have reset a setting."""
        self.in_transaction = False
        self.forget_limit()
        if self.pooled:
            self._limit = None

    def _is_lost(self) -> bool:
        if self.raw.closed:
            return True
        if not has_input(self.raw.fileno()) and monotonic() - self._used < IDLE:
            return False
        try:
            self.raw.execute("SELECT 1", binary=True)
        except psycopg.OperationalError:
            return True
        return False

    @contextmanager
    def watch_connection(self, when: str = ConnectionLost.INSIDE) -> Iterator[None]:
        """Raise an error about the transaction if the connection is lost in this block."""
        try:
            yield
        except psycopg.OperationalError as error:
            if self.in_transaction and (self.raw.closed or self.raw.broken):
                raise ConnectionLost(when, error) from None
            raise

    def forget_limit(self) -> None:
        """Note that the rollback of a savepoint may have reset a setting."""
        if self._limit is not None:
            self._limit = UNKNOWN

    # -- rows ------------------------------------------------------------------------------------

    def query(self, operation: str, values: Sequence[object], size: int) -> Cursor:
        """Run a statement; if it only reads, its rows are fetched `size` at a time.

        For any other statement, all rows are fetched: closing it halfway would undo it.
        """
        if self.in_transaction and only_reads(operation):
            # Another statement may run in between, which is impossible while a result is streamed.
            return NamedRows(self, operation, values)
        return PostgresRows(self, operation, values, size)


class PostgresRows:
    """The rows of a statement, as the server sends them.

    Attributes:
        description: the columns, as psycopg describes them; None for a statement without rows.
    """

    def __init__(
        self,
        connection: PostgresConnection,
        operation: str,
        values: Sequence[object],
        size: int,
    ) -> None:
        self._cursor = connection.raw.cursor()
        self._stream = self._cursor.stream(operation, values or None, size=size)
        # One more than a part, so that a short result is complete, and `close` need not cancel it.
        wanted = size + 1 if only_reads(operation) else None
        self._rest: Iterator[Any]
        try:
            self._rest = chain(list(islice(self._stream, wanted)), self._stream)
        except psycopg.ProgrammingError as error:
            if error.sqlstate is not None or "produce" not in str(error):
                raise
            self._rest = iter(())  # it is complete, and has no rows
        self.description: Any = self._cursor.description

    def fetchmany(self, size: int, /) -> list[Any]:
        return list(islice(self._rest, size))

    def close(self) -> None:
        self._stream.close()  # type: ignore[attr-defined]
        self._cursor.close()


class NamedRows:
    """The rows of a server-side cursor, which other statements of its transaction don't disturb.

    Attributes:
        description: the columns, as psycopg describes them.
    """

    def __init__(
        self, connection: PostgresConnection, operation: str, values: Sequence[object]
    ) -> None:
        self._cursor = psycopg.RawServerCursor(connection.raw, f"flowstone_{token_hex(8)}")
        try:
            self._cursor.execute(operation, values or None)
        except BaseException:
            self.close()
            raise
        self.description: Any = self._cursor.description

    def fetchmany(self, size: int, /) -> list[Any]:
        return self._cursor.fetchmany(size)

    def close(self) -> None:
        try:
            self._cursor.close()
        except psycopg.Error:  # closed with its transaction or its connection
            psycopg.Cursor.close(self._cursor)
        except BaseException:
            psycopg.Cursor.close(self._cursor)
            raise

    def __del__(self) -> None:
        # Dropped by a call that was cancelled as it returned; the server's cursor ends with the
        # transaction.
        psycopg.Cursor.close(self._cursor)
