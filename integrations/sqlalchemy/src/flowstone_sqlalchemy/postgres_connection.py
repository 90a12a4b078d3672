"""A connection to PostgreSQL: opened again when it was lost, guarded on the server, its rows."""

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

#: Seconds between two looks of the server whether we are still there, while it runs our statement.
LOOK = 2
#: The oldest server that looks whether its clients are there.
LOOKING_SINCE = 140000
#: Statements that only read, and whose rows can come a part at a time.
_READING = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(select|values|table|with)\b", re.IGNORECASE | re.DOTALL
)
_WRITING = re.compile(r"\b(?:insert|update|delete|merge|into)\b", re.IGNORECASE)


def only_reads(statement: str) -> bool:
    """Tell whether a statement plainly does nothing but read."""
    return _READING.match(statement) is not None and _WRITING.search(statement) is None


class PostgresConnection:
    """A connection of psycopg, and beside it one of ADBC, for tables of Arrow.

    Attributes:
        raw: the connection of psycopg.
        in_transaction: whether a transaction was begun by us.
    """

    raw: psycopg.Connection[tuple[Any, ...]]

    def __init__(
        self, arguments: Mapping[str, Any], *, pooled: bool = False, guarded: bool = True
    ) -> None:
        self._arguments, self.pooled, self._guarded = arguments, pooled, guarded
        self.in_transaction = False
        self._spare: ArrowConnection | None = None
        self._reading: list[ArrowConnection] = []
        #: The server's limit on statements now, and what the last caller wanted.
        self._limit: float | None = None
        self._wanted: int | None = None
        self._used = monotonic()
        self._open()

    def _open(self) -> None:
        self.raw = psycopg.connect(
            **{
                # A statement that is prepared is in the way of poolers, and of changes of tables.
                "prepare_threshold": None,
                "autocommit": True,
                "cursor_factory": psycopg.RawCursor,
                **self._arguments,
            }
        )
        self._limit = None
        if self.looks:
            with suppress(psycopg.Error):  # the server's system can't look
                self.raw.execute(f"SET client_connection_check_interval = '{LOOK}s'")

    @property
    def looks(self) -> bool:
        """Whether the server is to look, while a statement runs, whether we are still there."""
        new = self.raw.info.server_version >= LOOKING_SINCE
        return new and self._guarded and not self.pooled

    def close(self) -> None:
        """Close it, with the connections of ADBC."""
        spare, self._spare = self._spare, None
        for arrow in [*self._reading, *([spare] if spare else [])]:
            arrow.close()
        self.raw.close()

    def interrupt(self) -> None:
        """Cancel what it runs, in ADBC too."""
        for arrow in [*self._reading]:
            arrow.cancel()
        self.raw.cancel_safe(timeout=5.0)

    def take_arrow(self) -> ArrowConnection:
        """Return a connection of ADBC that nobody uses; give it back."""
        from flowstone_sqlalchemy.postgres_arrow import ArrowConnection  # rows need no pyarrow

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
        """Keep a connection of ADBC for the next, or close it: it is half read, or one too many."""
        self._reading.remove(arrow)
        if usable and not self.pooled and self._spare is None and not self.raw.closed:
            self._spare = arrow
        else:
            arrow.close()

    # -- before a statement ----------------------------------------------------------------------

    def prepare(self, seconds_left: float | None) -> None:
        """Open it again where it was lost, and let the server know how long a statement may take.

        Args:
            seconds_left: how long the task may still take; None for as long as it wants.
        """
        if not self.in_transaction and self._is_lost():
            self.close()
            self._open()
        self._used = monotonic()
        limit = find_limit(seconds_left) if self._guarded else None
        self._wanted = limit
        failed = self.raw.info.transaction_status is TransactionStatus.INERROR
        # A pooler gives the session to others between transactions.
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
        """Note that a transaction has ended, which may have taken a setting back."""
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
        """Raise what it means for a transaction where its connection is lost in this block."""
        try:
            yield
        except psycopg.OperationalError as error:
            if self.in_transaction and (self.raw.closed or self.raw.broken):
                raise ConnectionLost(when, error) from None
            raise

    def forget_limit(self) -> None:
        """Note that a setting may have been taken back, with a part of a transaction."""
        if self._limit is not None:
            self._limit = UNKNOWN

    # -- rows ------------------------------------------------------------------------------------

    def query(self, operation: str, values: Sequence[object], size: int) -> Cursor:
        """Run a statement; the rows of one that only reads come so many at a time.

        The rows of any other are all fetched: closed half-way, it would be taken back.
        """
        if self.in_transaction and only_reads(operation):
            # Another statement may come in between, which it may not while a result is streamed.
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
        # One more than a part: of a short result nothing is left to come, which `close` would cut.
        wanted = size + 1 if only_reads(operation) else None
        self._rest: Iterator[Any]
        try:
            self._rest = chain(list(islice(self._stream, wanted)), self._stream)
        except psycopg.ProgrammingError as error:
            if error.sqlstate is not None or "produce" not in str(error):
                raise
            self._rest = iter(())  # it was done, and has no rows
        self.description: Any = self._cursor.description

    def fetchmany(self, size: int, /) -> list[Any]:
        return list(islice(self._rest, size))

    def close(self) -> None:
        self._stream.close()  # type: ignore[attr-defined]
        self._cursor.close()


class NamedRows:
    """The rows of a cursor in the server, which other statements of its transaction don't disturb.

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
        except psycopg.Error:  # it went with its transaction or its connection
            psycopg.Cursor.close(self._cursor)
        except BaseException:
            psycopg.Cursor.close(self._cursor)
            raise

    def __del__(self) -> None:
        # A call that was cancelled as it returned drops it; the server's part ends with the
        # transaction.
        psycopg.Cursor.close(self._cursor)
