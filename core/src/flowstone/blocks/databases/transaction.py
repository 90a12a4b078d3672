"""A database transaction: what runs in its block is kept together, or not at all."""

# ruff: noqa: SLF001 - a part of the interface, in a file of its own

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

from flowstone.blocks.databases.cancellation import in_thread
from flowstone.blocks.databases.driver import savepoint_name
from flowstone.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from flowstone.blocks.databases.calls import Calls
    from flowstone.blocks.databases.pool import Session

_open: ContextVar[tuple[Transaction, ...]] = ContextVar(
    "flowstone_database_transactions", default=()
)


def current(database: Calls) -> Transaction | None:
    """Return the innermost transaction of a block that the code is in."""
    for transaction in reversed(_open.get()):
        if transaction.database is database and transaction.session is not None:
            return transaction
    return None


class Transaction:
    """Use it in a ``with`` or an ``async with``; one inside another can be taken back alone.

    All calls on the block, from the code in its block and from what that code calls, go through
    one connection, one at a time. It is committed at the end, or rolled back where an error leaves.
    """

    def __init__(self, database: Calls) -> None:
        self.database = database
        self.session: Session | None = None
        self._savepoint: str | None = None
        self._before: tuple[Transaction, ...] = ()

    def _begin(self, outer: Transaction | None) -> None:
        database = self.database
        if outer is not None and not database._savepoints:
            raise DatabaseError(
                database._where(),
                "it has no transactions inside a transaction",
                "End the outer one first, or let both be one.",
            )
        session = database._taken() if outer is None else outer.session
        assert session is not None
        self._savepoint = None if outer is None else savepoint_name()
        try:
            self._do(session, database._begin, final=False)
        except BaseException:
            if outer is None:
                session.broken = True
                database._sessions().give_back(session)
            raise
        self.session = session

    def _do(
        self, session: Session, step: Callable[[Any, str | None], None], *, final: bool = True
    ) -> None:
        connection, name = session.connection, self._savepoint
        self.database._call(session, lambda: step(connection, name), final=final)

    def _end(self, failed: bool) -> None:
        session, self.session = self.session, None
        assert session is not None
        try:
            if session.broken:
                return  # the database rolls back what a closed connection leaves
            if not failed:
                try:
                    self._do(session, self.database._commit)
                except BaseException:
                    self._undo(session)
                    raise
                return
            self._undo(session)
        finally:
            if self._savepoint is None:
                self.database._sessions().give_back(session)

    def _undo(self, session: Session) -> None:
        try:
            self._do(session, self.database._rollback)
        except Exception:  # noqa: BLE001 - the error that led here is what is told
            session.broken = True

    def __enter__(self) -> Self:
        self._before = _open.get()
        self._begin(current(self.database))
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
        outer = current(self.database)
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
