"""Statements on a database: run, fetched, streamed, kept together, cancelled."""

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

#: Rows that are fetched or sent at a time.
BATCH = 1000

_opening = Lock()


class Queries(ABC):
    """What users do with a database, made of the calls of its driver."""

    _calls: DriverCalls | None

    @abstractmethod
    def _name_for_handles(self) -> str:
        """Return what handles of its queries name the block."""

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
        with self.use_connection() as (calls, connection):
            execute = calls.driver.execute
            return calls.run(connection, operation, parameters, execute, final=alone)

    def execute_many(self, operation: str, seq_of_parameters: Iterable[Parameters]) -> int:
        """Run one statement with each of many parameters, all or none; return rows changed."""
        changed = 0
        with self._begin_whole() as (calls, connection):
            for batch in take_batches(seq_of_parameters, BATCH):
                made = [calls.bind(operation, each or ()) for each in batch]
                rows = [values for _, values in made]
                run = partial(calls.driver.execute_many, connection.raw, made[0][0], rows)
                changed += calls.call(connection, run, operation, rows)
        return changed

    def execute_script(self, script: str) -> list[int]:
        """Run the statements of a script in order, and return how many rows each has changed.

        They run on one connection, which is closed afterwards, so that its settings and temporary
        tables are the script's own. Each statement is committed by itself, unless the script or
        the code around it begins a transaction; the script stops at the first that fails.

        Args:
            script: statements with semicolons between them; those in quotes, comments, functions
                and blocks separate nothing.

        Raises:
            QueryInvalid: it has no statement, or the database does not understand one.
            DatabaseError: anything else that it refused; see its kinds.
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
        """Return the first row of a query; None where there is none."""
        found = self.fetch_many(operation, parameters, 1)
        return found[0] if found else None

    def fetch_many(
        self, operation: str, parameters: Parameters = None, size: int = BATCH
    ) -> list[Row]:
        """Return the first rows of a query, at most `size`; each call runs it again."""
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

        The calls that wait for them raise `QueryCancelled`.

        Raises:
            DatabaseError: queries of this database can't be stopped.
        """
        driver = self.driver_calls.driver
        if not driver.cancels:
            remedy = "Wait for it, or stop it with the service's own tools."
            raise DatabaseError(driver.where, "a running query can't be stopped", remedy)
        return 0 if self._calls is None else self._calls.pool.stop()

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
                    driver = made.make_driver()
                    driver.block = self._name_for_handles()
                    calls = self._calls = DriverCalls(driver, made)
        return calls

    @contextmanager
    def use_connection(self) -> Iterator[tuple[DriverCalls, PooledConnection]]:
        """Borrow a connection, or that of the transaction that the code is in.

        A package makes methods of its own with it. The calls of the driver go through the first of
        what it yields, so that they can be stopped, and their errors are those of Flowstone.
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
        """A transaction for many rows, nested in an open one; none if the database has none."""
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
        """Run a query; give the names of its columns, and its rows in batches of a size."""
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
        if size < 1:  # one driver gives all for that, another none
            where = self.driver_calls.driver.where
            problem, remedy = f"{size} rows at a time were asked for", "Ask for one at least."
            raise QueryInvalid(where, problem, remedy)

    # -- async twins -----------------------------------------------------------------------------

    aexecute = make_stoppable(execute)
    aexecute_many = make_stoppable(execute_many)
    aexecute_script = make_stoppable(execute_script)
    afetch_one = make_stoppable(fetch_one)
    afetch_many = make_stoppable(fetch_many)
    afetch_all = make_stoppable(fetch_all)

    def astream(
        self, operation: str, parameters: Parameters = None, batch: int = BATCH
    ) -> AsyncIterator[Row]:
        """Do as `stream`, in an `async for`."""
        return walk(self._batches(operation, parameters, batch))

    async def acancel(self) -> int:
        """Do as `cancel`; it does not wait."""
        return self.cancel()
