"""Database: the interface of every place that answers SQL."""

# ruff: noqa: SLF001 - the names of this file's own classes

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import PrivateAttr

from flowstone.blocks.base import Block
from flowstone.blocks.databases import tables
from flowstone.blocks.databases.calls import Calls
from flowstone.blocks.databases.cancellation import in_thread, stoppable, walk
from flowstone.blocks.databases.driver import Cursor, Row
from flowstone.blocks.databases.pool import Session, Sessions
from flowstone.blocks.databases.transaction import Transaction, current
from flowstone.errors import QueryInvalid, RowsInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from types import TracebackType

    from flowstone.blocks.databases.placeholders import Parameters

T = TypeVar("T")

__all__ = ["BATCH", "Cursor", "Database", "Row", "Transaction"]

#: Rows that are fetched or sent at a time.
BATCH = 1000


class Queries(Calls):
    """What everybody can do with statements, made of what a provider wrote."""

    def execute(self, operation: str, parameters: Parameters = None) -> int:
        """Run one statement, and return how many rows it changed; 0 where that says nothing.

        Args:
            operation: the statement, with ``?`` or ``:name`` where a value goes.
            parameters: the values: a sequence for ``?``, a mapping for ``:name``. They are always
                bound, never put into the text. ``??`` is a question mark, where there are any.

        Raises:
            QueryInvalid: the database does not understand it, or the parameters do not fit.
            DatabaseError: anything else that it refused; see its kinds.
        """
        alone = current(self) is None
        with self._session() as session:
            return self._prepared(session, operation, parameters, self._execute, final=alone)

    def execute_many(self, operation: str, seq_of_parameters: Iterable[Parameters]) -> int:
        """Run one statement with each of many parameters, all or none; return rows changed."""
        changed = 0
        with self._whole() as session:
            for batch in tables.batches(seq_of_parameters, BATCH):
                made = [self._bound(operation, each or ()) for each in batch]
                rows = [values for _, values in made]
                run = partial(self._execute_many, session.connection, made[0][0], rows)
                changed += self._call(session, run, operation, rows)
        return changed

    def fetch_one(self, operation: str, parameters: Parameters = None) -> Row | None:
        """Return the first row of a query; None where there is none."""
        found = self.fetch_many(operation, parameters, 1)
        return found[0] if found else None

    def fetch_many(
        self, operation: str, parameters: Parameters = None, size: int = BATCH
    ) -> list[Row]:
        """Return the first rows of a query, at most so many; each call begins anew."""
        return next(self._batches(operation, parameters, size), [])

    def fetch_all(self, operation: str, parameters: Parameters = None) -> list[Row]:
        """Return all rows of a query, as tuples."""
        return [row for rows in self._batches(operation, parameters, BATCH) for row in rows]

    def stream(
        self, operation: str, parameters: Parameters = None, batch: int = BATCH
    ) -> Iterator[Row]:
        """Yield the rows of a query, of which only a batch is in memory at a time."""
        for rows in self._batches(operation, parameters, batch):
            yield from rows

    def transaction(self) -> Transaction:
        """Keep together what runs in its ``with`` block: all of it, or nothing.

        Inside another one, it is a part of that which can be taken back alone.
        """
        return Transaction(self)

    def cancel(self) -> int:
        """Stop what this block is running now, in all threads; return how many queries.

        Whoever waits for one gets `QueryCancelled`.
        """
        return 0 if self._held is None else self._held.stop()

    # -- how a statement comes to the driver -----------------------------------------------------

    @contextmanager
    def _session(self) -> Iterator[Session]:
        transaction = current(self)
        if transaction is not None and transaction.session is not None:
            yield transaction.session
            return
        sessions = self._sessions()
        session = self._taken()
        try:
            yield session
        finally:
            sessions.give_back(session)

    @contextmanager
    def _whole(self) -> Iterator[Session]:
        """A transaction for many rows; where there are none inside another, the one that is."""
        outer = current(self)
        if outer is not None and outer.session is not None and not self._savepoints:
            yield outer.session
            return
        with self.transaction() as transaction:
            assert transaction.session is not None
            yield transaction.session

    def _batches(self, operation: str, parameters: Parameters, size: int) -> Iterator[list[Row]]:
        if size < 1:  # one driver gives all for that, another none
            problem, remedy = f"{size} rows at a time were asked for", "Ask for one at least."
            raise QueryInvalid(self._where(), problem, remedy, operation)
        with self._session() as session:
            cursor = self._prepared(session, operation, parameters, self._query)
            try:
                fetch = partial(cursor.fetchmany, size)
                while rows := self._call(session, fetch, operation):
                    yield [tuple(row) for row in rows]
                    if len(rows) < size:
                        return
            finally:
                with session.lock:
                    cursor.close()

    # -- async twins -----------------------------------------------------------------------------

    aexecute = stoppable(execute)
    aexecute_many = stoppable(execute_many)
    afetch_one = stoppable(fetch_one)
    afetch_many = stoppable(fetch_many)
    afetch_all = stoppable(fetch_all)

    def astream(
        self, operation: str, parameters: Parameters = None, batch: int = BATCH
    ) -> AsyncIterator[Row]:
        """Do as `stream`, in an `async for`."""
        return walk(self._batches(operation, parameters, batch))


class Tables(Queries):
    """What everybody can do with whole tables."""

    def fetch_arrow(self, operation: str, parameters: Parameters = None) -> Any:
        """Return all rows of a query as a table of Arrow.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        return tables.arrow_table(*self._columns(operation, parameters))

    def fetch_pandas(self, operation: str, parameters: Parameters = None) -> Any:
        """Return all rows of a query as a DataFrame of pandas.

        Raises:
            MissingExtra: pandas is not installed.
        """
        return tables.pandas_frame(*self._columns(operation, parameters))

    def fetch_polars(self, operation: str, parameters: Parameters = None) -> Any:
        """Return all rows of a query as a DataFrame of polars.

        Raises:
            MissingExtra: polars is not installed.
        """
        return tables.polars_frame(*self._columns(operation, parameters))

    def insert(self, table: str, rows: Any, *, create: bool = False) -> int:
        """Add rows to a table, all or none, and return how many.

        Args:
            table: its name, or ``schema.name``; it is quoted, so anything else is part of a name.
            rows: dicts, as they come; or a table or batches of Arrow, a DataFrame of pandas or
                polars. An iterator is taken a batch at a time.
            create: whether to make the table, of types that fit the first batch, if there is none.

        Raises:
            RowsInvalid: these are no rows, or one has other columns than the first.
            TableMissing: there is no such table.
            IntegrityViolated: a row breaks a constraint; none was added.
        """
        count = 0
        name = ".".join(map(self._quoted, table.split(".")))
        with self._whole() as session:
            for columns, batch in self._given(table, rows):
                if create and not count:
                    kinds = tables.kinds(columns, batch)
                    self._call(session, partial(self._create, session.connection, name, kinds))
                adapted = [tuple(map(self._adapted, row)) for row in batch]
                run = partial(self._insert, session.connection, name, columns, adapted)
                self._call(session, run, f"INSERT INTO {name}", adapted)
                count += len(batch)
        return count

    def _given(self, table: str, rows: Any) -> Iterator[tuple[list[str], list[Row]]]:
        try:
            yield from tables.batched(rows, BATCH)
        except tables.NoRows as error:
            problem = str(error)
        else:
            return
        remedy = "Give dicts with the same keys, or a table; nothing was added."
        raise RowsInvalid(self._where(), f"into {table!r}: {problem}", remedy)

    def _columns(self, operation: str, parameters: Parameters) -> tuple[list[str], list[Row]]:
        with self._session() as session:
            cursor = self._prepared(session, operation, parameters, self._query)
            try:
                names = [column[0] for column in cursor.description or ()]
                rows: list[Row] = []
                fetch = partial(cursor.fetchmany, BATCH)
                while more := self._call(session, fetch, operation):
                    rows += map(tuple, more)
                return names, rows
            finally:
                with session.lock:
                    cursor.close()

    afetch_arrow = stoppable(fetch_arrow)
    afetch_pandas = stoppable(fetch_pandas)
    afetch_polars = stoppable(fetch_polars)
    ainsert = stoppable(insert)


class Database(Tables, Block):
    """A database that answers SQL; parameters are always bound, in one way for all.

    Connections are opened when they are needed, shared by threads, and closed by `close` or at
    the end of a ``with`` (or ``async with``) block; a block that was closed opens again. A run that
    is cancelled or timed out stops its query in the database. Rows are tuples. Each method has an
    async twin: ``aexecute``, ``afetch_all``.
    """

    # All of a login is there: a connection that is open keeps what it was opened with.
    _tried_again: ClassVar[tuple[str, ...]] = ("_opened",)

    _held: Sessions | None = PrivateAttr(default=None)

    def close(self) -> None:
        """Close the connections; those in use are closed when their call has ended."""
        held, self._held = self._held, None
        if held is not None and held.is_here():
            held.close()

    async def aclose(self) -> None:
        """Do as `close`, and let other coroutines run meanwhile."""
        await in_thread(self.close)

    async def acancel(self) -> int:
        """Do as `cancel`; it does not wait."""
        return self.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied._held = None
        return copied

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in type(self).model_fields:
            self.close()  # the connections are those of another database now
