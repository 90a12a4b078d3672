"""The methods of a database for statements: run, fetch, stream, transactions, cancel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from copy import copy
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from flowstone.blocks.databases.calls import DriverCalls
from flowstone.blocks.databases.cancellation import make_stoppable, walk
from flowstone.blocks.databases.given_rows import take_batches
from flowstone.blocks.databases.transaction import DatabaseTransaction, find_transaction
from flowstone.errors import DatabaseError, QueryInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from flowstone.blocks.databases.driver import DatabaseDriver, Row
    from flowstone.blocks.databases.placeholders import Parameters
    from flowstone.blocks.databases.pool import PooledConnection

#: Number of rows fetched or sent at a time.
BATCH = 1000

_opening = Lock()


class Queries(ABC):
    """The methods of a database for users, built on the calls of its driver."""

    _calls: DriverCalls | None

    @abstractmethod
    def _name_for_handles(self) -> str:
        """Return the block's name in handles of its queries."""

    @abstractmethod
    def make_driver(self) -> DatabaseDriver[Any]:
        """Return a new driver for the fields; it does not connect yet.

        It is called on a copy of the block, and again after the block was closed or a field was
        set.
        """

    # -- statements ------------------------------------------------------------------------------

    def execute(self, operation: str, parameters: Parameters = None) -> int:
        """Run one statement, and return the number of changed rows; 0 if the database reports none.

        Args:
            operation: the statement, with placeholders ``?`` or ``:name`` for values.
            parameters: the values: a sequence for ``?``, a mapping for ``:name``. They are always
                bound, never inserted into the text. With parameters, ``??`` is a question mark.

        Raises:
            QueryInvalid: the database does not understand it, or the parameters don't match.
            DatabaseError: or another subclass: the database reported another error.
        """
        alone = find_transaction(self) is None
        with self.use_connection() as (calls, connection):
            execute = calls.driver.execute
            return calls.run(connection, operation, parameters, execute, final=alone)

    def execute_many(self, operation: str, seq_of_parameters: Iterable[Parameters]) -> int:
        """Run one statement for many parameters, all or none; return the number of changed rows."""
        changed = 0
        with self._begin_whole() as (calls, connection):
            for batch in take_batches(seq_of_parameters, BATCH):
                made = [calls.bind(operation, each or ()) for each in batch]
                rows = [values for _, values in made]
                run = partial(calls.driver.execute_many, connection.raw, made[0][0], rows)
                changed += calls.call(connection, run, operation, rows)
        return changed

    def execute_script(self, script: str) -> list[int]:
        """Run the statements of a script in order, and return the number of rows each has changed.

        They run on one connection, which is closed afterwards, so its settings and temporary tables
        only exist for the script. Each statement is committed by itself, unless the script or the
        code around it begins a transaction; the script stops at the first statement that fails.

        Args:
            script: statements separated by semicolons; semicolons in quotes, comments, functions
                and blocks don't count.

        Raises:
            QueryInvalid: it has no statement, or the database does not understand one.
            DatabaseError: or another subclass: the database reported another error.
        """
        with self.use_connection() as (calls, connection):
            driver = calls.driver
            statements = driver.split_script(script)
            if not statements:
                remedy = "Pass at least one statement."
                raise QueryInvalid(driver.where, "the script has no statement", remedy, script)
            try:
                run = partial(calls.run, connection, parameters=None, method=driver.execute)
                return [run(operation=statement) for statement in statements]
            finally:
                if find_transaction(self) is None:
                    connection.broken = True

    def fetch_one(self, operation: str, parameters: Parameters = None) -> Row | None:
        """Return the first row of a query; None if there is none."""
        found = self.fetch_many(operation, parameters, 1)
        return found[0] if found else None

    def fetch_many(
        self, operation: str, parameters: Parameters = None, size: int = BATCH
    ) -> list[Row]:
        """Return the first rows of a query, at most `size`; each call runs the query again."""
        return next(self._batches(operation, parameters, size), [])

    def fetch_all(self, operation: str, parameters: Parameters = None) -> list[Row]:
        """Return all rows of a query, as tuples."""
        return [row for rows in self._batches(operation, parameters, BATCH) for row in rows]

    def stream(
        self, operation: str, parameters: Parameters = None, batch: int = BATCH
    ) -> Iterator[Row]:
        """Yield the rows of a query, with only one batch in memory at a time."""
        for rows in self._batches(operation, parameters, batch):
            yield from rows

    def transaction(self) -> DatabaseTransaction:
        """Commit everything that runs in the ``with`` block, or nothing.

        Inside another transaction, it is a nested one, which can be rolled back alone.
        """
        return DatabaseTransaction(self, self.driver_calls)

    def cancel(self) -> int:
        """Stop what this block is running now, in all threads; return the number of queries.

        The calls that wait for them raise `QueryCancelled`.

        Raises:
            DatabaseError: queries of this database can't be stopped.
        """
        driver = self.driver_calls.driver
        if not driver.cancels:
            remedy = "Wait for it, or stop it with the service's own tools."
            raise DatabaseError(driver.where, "a running query can't be stopped", remedy)
        return 0 if self._calls is None else self._calls.pool.stop()

    # -- calls of the driver ---------------------------------------------------------------------

    @property
    def driver_calls(self) -> DriverCalls:
        """The calls of the open driver; a package uses them to add its own methods."""
        calls = self._calls
        if calls is None or not calls.pool.is_here():
            with _opening:  # or two threads would each create an in-memory database
                calls = self._calls
                if calls is None or not calls.pool.is_here():
                    made = copy(self)  # or the block and its calls would be a reference cycle
                    driver = made.make_driver()
                    driver.block = self._name_for_handles()
                    calls = self._calls = DriverCalls(driver, made)
        return calls

    @contextmanager
    def use_connection(self) -> Iterator[tuple[DriverCalls, PooledConnection]]:
        """Borrow a connection, or that of the current transaction.

        A package uses it to add its own methods. It calls the driver through the first of the
        two values, so that calls can be stopped, and their errors are Flowstone's.
        """
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
        """Begin a transaction for many rows, nested in an open one, if the database has them."""
        if not self.driver_calls.driver.transactions:
            with self.use_connection() as found:
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
        self._check_size(size)
        with self._open_cursor(operation, parameters) as (_, batches):
            yield from batches(size)

    @contextmanager
    def _open_cursor(
        self, operation: str, parameters: Parameters
    ) -> Iterator[tuple[list[str], Callable[[int], Iterator[list[Row]]]]]:
        """Run a query; return the names of its columns, and its rows in batches of a size."""
        with self.use_connection() as (calls, connection):
            cursor = calls.run(connection, operation, parameters, calls.driver.query)

            def fetch(size: int) -> Iterator[list[Row]]:
                work = partial(cursor.fetchmany, size)
                while rows := calls.call(connection, work, operation):
                    yield [tuple(row) for row in rows]
                    if len(rows) < size:
                        return

            try:
                yield [column[0] for column in cursor.description or ()], fetch
            finally:
                with connection.lock:
                    cursor.close()

    def _check_size(self, size: int) -> None:
        if size < 1:  # drivers differ: one returns all rows for that, another none
            where = self.driver_calls.driver.where
            problem, remedy = f"{size} rows at a time were requested", "Request at least 1."
            raise QueryInvalid(where, problem, remedy)

    # -- async versions --------------------------------------------------------------------------

    aexecute = make_stoppable(execute)
    aexecute_many = make_stoppable(execute_many)
    aexecute_script = make_stoppable(execute_script)
    afetch_one = make_stoppable(fetch_one)
    afetch_many = make_stoppable(fetch_many)
    afetch_all = make_stoppable(fetch_all)

    def astream(
        self, operation: str, parameters: Parameters = None, batch: int = BATCH
    ) -> AsyncIterator[Row]:
        """Async version of `stream`, for an `async for`."""
        return walk(self._batches(operation, parameters, batch))

    async def acancel(self) -> int:
        """Async version of `cancel`; it does not wait."""
        return self.cancel()
