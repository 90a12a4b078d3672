"""A database transaction: what runs in its block is committed as a whole, or not at all."""

from __future__ import annotations

from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from flowstone.blocks.databases.cancellation import in_thread
from flowstone.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from flowstone.blocks.databases.calls import DriverCalls
    from flowstone.blocks.databases.pool import PooledConnection

_open: ContextVar[tuple[DatabaseTransaction, ...]] = ContextVar(
    "flowstone_database_transactions", default=()
)
#: Each savepoint of this process has a unique name.
_numbers = count(1)


def find_transaction(database: object) -> DatabaseTransaction | None:
    """Return the innermost current transaction of a block."""
    for transaction in reversed(_open.get()):
        if transaction.database is database and transaction.connection is not None:
            return transaction
    return None


class DatabaseTransaction:
    """Use it in a ``with`` or an ``async with``; a nested one can be rolled back alone.

    All calls on the block, from the code in the ``with`` and from what that code calls, use one
    connection, one at a time. The transaction is committed at the end, or rolled back if an
    exception leaves the ``with``.
    """

    def __init__(self, database: object, calls: DriverCalls) -> None:
        self.database = database
        self.calls = calls
        self.connection: PooledConnection | None = None
        self._savepoint: str | None = None
        self._before: tuple[DatabaseTransaction, ...] = ()

    def _begin(self, outer: DatabaseTransaction | None) -> None:
        driver = self.calls.driver
        if not driver.transactions:
            remedy = "Remove the transaction: each statement is committed by itself."
            raise DatabaseError(driver.where, "it has no transactions", remedy)
        if outer is None:
            connection, self._savepoint = self.calls.borrow(), None
        elif not outer.calls.driver.savepoints:
            raise DatabaseError(
                outer.calls.driver.where,
                "it has no transactions inside a transaction",
                "End the outer transaction first, or use that one for both.",
            )
        else:
            assert outer.connection is not None
            self.calls, connection = outer.calls, outer.connection
            self._savepoint = f"flowstone_{next(_numbers)}"
        try:
            self._call(connection, self.calls.driver.begin, final=False)
        except BaseException:
            if outer is None:
                connection.broken = True
                self.calls.pool.give_back(connection)
            raise
        self.connection = connection

    def _call(
        self,
        connection: PooledConnection,
        step: Callable[[Any, str | None], None],
        *,
        final: bool = True,
    ) -> None:
        raw, name = connection.raw, self._savepoint
        self.calls.call(connection, lambda: step(raw, name), final=final)

    def _end(self, failed: bool) -> None:
        connection, self.connection = self.connection, None
        assert connection is not None
        try:
            if connection.broken:
                return  # closing the connection makes the database roll back
            if not failed:
                try:
                    self._call(connection, self.calls.driver.commit)
                except BaseException:
                    self._roll_back(connection)
                    raise
                return
            self._roll_back(connection)
        finally:
            if self._savepoint is None:
                self.calls.pool.give_back(connection)

    def _roll_back(self, connection: PooledConnection) -> None:
        try:
            self._call(connection, self.calls.driver.rollback)
        except Exception:  # noqa: BLE001 - the error that led here is raised
            connection.broken = True

    def __enter__(self) -> Self:
        self._before = _open.get()
        self._begin(find_transaction(self.database))
        _open.set((*self._before, self))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        _open.set(self._before)
        self._end(kind is not None)

    async def __aenter__(self) -> Self:
        self._before = _open.get()
        outer = find_transaction(self.database)
        await in_thread(lambda: self._begin(outer))
        _open.set((*self._before, self))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        _open.set(self._before)
        await in_thread(lambda: self._end(kind is not None))
