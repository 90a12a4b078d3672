"""Database: the interface of every place that answers SQL."""

# ruff: noqa: SLF001 - the names of this file's own class

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from copy import copy
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from pydantic import PrivateAttr

from flowstone.blocks.base import Block
from flowstone.blocks.databases import tables
from flowstone.blocks.databases.calls import DriverCalls
from flowstone.blocks.databases.cancellation import in_thread, make_stoppable, walk
from flowstone.blocks.databases.driver import ArrowDriver, Cursor, Row
from flowstone.blocks.databases.transaction import DatabaseTransaction, find_transaction
from flowstone.errors import DatabaseError, QueryInvalid, RowsInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from types import TracebackType

    import pyarrow as pa

    from flowstone.blocks.databases.driver import DatabaseDriver
    from flowstone.blocks.databases.placeholders import Parameters
    from flowstone.blocks.databases.pool import PooledConnection
    from flowstone.records.access import DatabaseAccess

__all__ = ["BATCH", "Cursor", "Database", "DatabaseTransaction", "Row"]

#: Rows that are fetched or sent at a time.
BATCH = 1000
#: Rows of Arrow that are sent at a time, at least.
ARROW_BATCH = 100_000

_opening = Lock()


class Queries(ABC):
    """What users do with a database, made of the calls of its driver."""

    _calls: DriverCalls | None

    @abstractmethod
    def make_driver(self) -> DatabaseDriver[Any]:
        """Return a new driver, made of the fields; it connects when it is asked to.

        It is called on a copy of the block, and again after the block was closed or a field set.
        """

    # -- statements ------------------------------------------------------------------------------

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
        alone = find_transaction(self) is None
        with self._connection() as (calls, connection):
            execute = calls.driver.execute
            return calls.run(connection, operation, parameters, execute, final=alone)

    def execute_many(self, operation: str, seq_of_parameters: Iterable[Parameters]) -> int:
        """Run one statement with each of many parameters, all or none; return rows changed."""
        changed = 0
        with self._begin_whole() as (calls, connection):
            for batch in tables.batches(seq_of_parameters, BATCH):
                made = [calls.bind(operation, each or ()) for each in batch]
                rows = [values for _, values in made]
                run = partial(calls.driver.execute_many, connection.raw, made[0][0], rows)
                changed += calls.call(connection, run, operation, rows)
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

    def transaction(self) -> DatabaseTransaction:
        """Keep together what runs in its ``with`` block: all of it, or nothing.

        Inside another one, it is a part of that which can be taken back alone.
        """
        return DatabaseTransaction(self, self.driver_calls)

    def cancel(self) -> int:
        """Stop what this block is running now, in all threads; return how many queries.

        Whoever waits for one gets `QueryCancelled`.

        Raises:
            DatabaseError: it is of a kind whose queries can't be stopped.
        """
        driver = self.driver_calls.driver
        if not driver.cancels:
            remedy = "Wait for it, or stop it with the service's own tools."
            raise DatabaseError(driver.where, "a query that runs can't be stopped", remedy)
        return 0 if self._calls is None else self._calls.pool.stop()

    # -- whole tables ----------------------------------------------------------------------------

    def fetch_arrow(self, operation: str, parameters: Parameters = None) -> Any:
        """Return all rows of a query as a table of Arrow.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        found = self._fetch_native(operation, parameters)
        if found is not None:
            return found
        return tables.arrow_table(*self._fetch_columns(operation, parameters))

    def fetch_pandas(self, operation: str, parameters: Parameters = None) -> Any:
        """Return all rows of a query as a DataFrame of pandas.

        Raises:
            MissingExtra: pandas is not installed.
        """
        found = self._fetch_native(operation, parameters)
        if found is not None:
            return tables.pandas_frame_of_arrow(found)
        return tables.pandas_frame(*self._fetch_columns(operation, parameters))

    def fetch_polars(self, operation: str, parameters: Parameters = None) -> Any:
        """Return all rows of a query as a DataFrame of polars.

        Raises:
            MissingExtra: polars is not installed.
        """
        found = self._fetch_native(operation, parameters)
        if found is not None:
            return tables.polars_frame_of_arrow(found)
        return tables.polars_frame(*self._fetch_columns(operation, parameters))

    def insert(self, table: str, rows: object, *, create: bool = False) -> int:
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
        with self._begin_whole() as (calls, connection):
            name = ".".join(map(calls.driver.quote_name, table.split(".")))
            reader = tables.read_arrow(rows) if isinstance(calls.driver, ArrowDriver) else None
            if reader is not None:
                return _insert_arrow(calls, connection, name, reader, create=create)
            count = 0
            for columns, batch in self._batch_rows(calls, table, rows):
                if create and not count:
                    _create_table(calls, connection, name, tables.kinds(columns, batch))
                adapted = [tuple(map(calls.driver.adapt, row)) for row in batch]
                run = partial(calls.driver.insert, connection.raw, name, columns, adapted)
                calls.call(connection, run, f"INSERT INTO {name}", adapted)
                count += len(batch)
        return count

    # -- how a call comes to the driver ----------------------------------------------------------

    @property
    def driver_calls(self) -> DriverCalls:
        """The calls of the driver that is open; with them, a package makes methods of its own."""
        calls = self._calls
        if calls is None or not calls.pool.is_here():
            with _opening:  # or two threads would begin with a database in memory each
                calls = self._calls
                if calls is None or not calls.pool.is_here():
                    made = copy(self)  # calls know no block that knows them: all go at once
                    calls = self._calls = DriverCalls(made.make_driver(), made)
        return calls

    @contextmanager
    def _connection(self) -> Iterator[tuple[DriverCalls, PooledConnection]]:
        transaction = find_transaction(self)
        if transaction is not None and transaction.connection is not None:
            yield transaction.calls, transaction.connection
            return
        calls = self.driver_calls
        connection = calls.borrow()
        try:
            yield calls, connection
        finally:
            calls.pool.give_back(connection)

    @contextmanager
    def _begin_whole(self) -> Iterator[tuple[DriverCalls, PooledConnection]]:
        """A transaction for many rows, as far as the database has them: one, or one inside."""
        if not self.driver_calls.driver.transactions:
            with self._connection() as found:
                yield found
            return
        outer = find_transaction(self)
        if outer is not None and outer.connection and not outer.calls.driver.savepoints:
            yield outer.calls, outer.connection
            return
        with self.transaction() as transaction:
            assert transaction.connection is not None
            yield transaction.calls, transaction.connection

    def _batches(self, operation: str, parameters: Parameters, size: int) -> Iterator[list[Row]]:
        if size < 1:  # one driver gives all for that, another none
            where = self.driver_calls.driver.where
            problem, remedy = f"{size} rows at a time were asked for", "Ask for one at least."
            raise QueryInvalid(where, problem, remedy, operation)
        with self._connection() as (calls, connection):
            cursor = calls.run(connection, operation, parameters, calls.driver.query)
            try:
                fetch = partial(cursor.fetchmany, size)
                while rows := calls.call(connection, fetch, operation):
                    yield [tuple(row) for row in rows]
                    if len(rows) < size:
                        return
            finally:
                with connection.lock:
                    cursor.close()

    def _fetch_columns(self, operation: str, parameters: Parameters) -> tuple[list[str], list[Row]]:
        with self._connection() as (calls, connection):
            cursor = calls.run(connection, operation, parameters, calls.driver.query)
            try:
                names = [column[0] for column in cursor.description or ()]
                rows: list[Row] = []
                fetch = partial(cursor.fetchmany, BATCH)
                while more := calls.call(connection, fetch, operation):
                    rows += map(tuple, more)
                return names, rows
            finally:
                with connection.lock:
                    cursor.close()

    def _fetch_native(self, operation: str, parameters: Parameters) -> pa.Table | None:
        """Return all rows as the driver's own Arrow; None where it has none."""
        with self._connection() as (calls, connection):
            if not isinstance(calls.driver, ArrowDriver) or not tables.can_use_arrow():
                return None
            return calls.run(connection, operation, parameters, calls.driver.fetch_arrow)

    def _batch_rows(
        self, calls: DriverCalls, table: str, rows: object
    ) -> Iterator[tuple[list[str], list[Row]]]:
        try:
            yield from tables.batch_rows(rows, BATCH)
        except tables.NoRows as error:
            problem = str(error)
        else:
            return
        remedy = "Give dicts with the same keys, or a table; nothing was added."
        raise RowsInvalid(calls.driver.where, f"into {table!r}: {problem}", remedy)

    # -- async twins -----------------------------------------------------------------------------

    aexecute = make_stoppable(execute)
    aexecute_many = make_stoppable(execute_many)
    afetch_one = make_stoppable(fetch_one)
    afetch_many = make_stoppable(fetch_many)
    afetch_all = make_stoppable(fetch_all)
    afetch_arrow = make_stoppable(fetch_arrow)
    afetch_pandas = make_stoppable(fetch_pandas)
    afetch_polars = make_stoppable(fetch_polars)
    ainsert = make_stoppable(insert)

    def astream(
        self, operation: str, parameters: Parameters = None, batch: int = BATCH
    ) -> AsyncIterator[Row]:
        """Do as `stream`, in an `async for`."""
        return walk(self._batches(operation, parameters, batch))

    async def acancel(self) -> int:
        """Do as `cancel`; it does not wait."""
        return self.cancel()


class Database(Queries, Block):
    """A database that answers SQL; parameters are always bound, in one way for all.

    Connections are opened when they are needed, shared by threads, and closed by `close` or at
    the end of a ``with`` (or ``async with``) block; a block that was closed opens again. A run that
    is cancelled or timed out stops its query in the database. Rows are tuples. Each method has an
    async twin: ``aexecute``, ``afetch_all``.

    A package writes `make_driver`; everything else comes from here.
    """

    _calls: DriverCalls | None = PrivateAttr(default=None)

    def access(self) -> DatabaseAccess:
        """Return what another tool needs to reach the database by itself.

        Raises:
            QueryInvalid: only this block reaches it, as a database in memory.
        """
        return self.make_driver().make_access()

    async def aaccess(self) -> DatabaseAccess:
        """Do as `access`, and let other coroutines run meanwhile."""
        return await in_thread(self.access)

    def close(self) -> None:
        """Close the connections; those in use are closed when their call has ended."""
        calls, self._calls = self._calls, None
        if calls is not None:
            calls.pool.close()

    async def aclose(self) -> None:
        """Do as `close`, and let other coroutines run meanwhile."""
        await in_thread(self.close)

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
        copied._calls = None
        return copied

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in type(self).model_fields:
            self.close()  # the connections are those of another database now


def _create_table(
    calls: DriverCalls, connection: PooledConnection, name: str, columns: dict[str, type]
) -> None:
    create = partial(calls.driver.create_table, connection.raw, name, columns)
    calls.call(connection, create)


def _insert_arrow(
    calls: DriverCalls,
    connection: PooledConnection,
    name: str,
    reader: pa.RecordBatchReader,
    *,
    create: bool,
) -> int:
    driver, count = calls.driver, 0
    assert isinstance(driver, ArrowDriver)
    # Batches are made between the calls: they may come from the same connection.
    for data in tables.gather(reader, ARROW_BATCH):
        if create and not count:
            _create_table(calls, connection, name, tables.find_arrow_kinds(reader.schema))
        insert = partial(driver.insert_arrow, connection.raw, name, data)
        calls.call(connection, insert, f"INSERT INTO {name}")
        count += data.num_rows
    return count
