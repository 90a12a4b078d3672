"""How a call comes to a driver: on a connection of its own, stoppable, its errors made ours."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from flowstone.blocks.databases.cancellation import Stopped
from flowstone.blocks.databases.placeholders import PlaceholderMismatch, bind_placeholders
from flowstone.blocks.databases.pool import ConnectionPool
from flowstone.blocks.external_work import cancel_left_behind
from flowstone.blocks.validation import SHORTEST, hide
from flowstone.errors import DatabaseError, QueryCancelled, QueryInvalid
from flowstone.secrets.renewal import retry_refused
from flowstone.secrets.walk import leaf_texts, secret_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flowstone.blocks.databases.driver import DatabaseDriver
    from flowstone.blocks.databases.placeholders import Parameters
    from flowstone.blocks.databases.pool import PooledConnection

T = TypeVar("T")


class DriverCalls:
    """What stands between the methods of a `Database` and those of its driver.

    Attributes:
        driver: the driver.
        pool: its connections.
    """

    def __init__(self, driver: DatabaseDriver[Any], block: object) -> None:
        """Begin with no connection.

        Args:
            driver: what is called.
            block: what the driver was made of; its secrets are kept out of messages, and read again
                when they may have been changed.
        """
        self.driver = driver
        self.pool = ConnectionPool(driver)
        # Not in `__del__`, which may come after the modules that it needs are gone.
        weakref.finalize(self, self.pool.close)
        self._block = block

    def borrow(self) -> PooledConnection:
        """Take a connection; give it back to the pool.

        Queries that earlier attempts of the current run left running are cancelled before it.
        """
        if self.driver.cancels_by_id and not self.driver.reattaches:
            cancel = self.cancel_by_id
            cancel_left_behind(self.driver.block, lambda handle: cancel(handle.id), "databases")
        return self.pool.take(lambda: retry_refused(self._block, self.connect))

    def connect(self) -> Any:
        """Open a connection.

        Raises:
            DatabaseError: it can't be opened; see its kinds.
        """
        return self._ask(self.pool.connect)

    def cancel_by_id(self, query_id: str) -> None:
        """Cancel a query that any process has begun.

        Raises:
            DatabaseError: it can't be cancelled.
        """
        driver = self.driver
        if not driver.cancels_by_id:
            remedy = "Cancel it with the service's own tools."
            raise DatabaseError(driver.where, "a query can't be cancelled by its id", remedy)
        retry_refused(self._block, lambda: self._ask(partial(driver.cancel_by_id, query_id)))

    def _ask(self, work: Callable[[], T]) -> T:
        """Do what is about no statement; errors of the client library become ours."""
        try:
            return work()
        except Exception as error:
            translated = self._translate(error, None, ())
            if translated is None:
                raise
        raise translated

    def bind(self, operation: str, parameters: Parameters) -> tuple[str, list[object]]:
        """Return a statement as the driver wants it, and its values.

        Raises:
            QueryInvalid: it is empty, or the parameters do not fit.
        """
        where, style = self.driver.where, self.driver.placeholder_style
        if not operation.strip():
            raise QueryInvalid(where, "the statement is empty", "Pass a statement.", operation)
        try:
            text, values = bind_placeholders(operation, parameters, style, self.driver.syntax)
        except PlaceholderMismatch as error:
            problem, position = error.problem, error.position
        else:
            return text, [self.driver.adapt(value) for value in values]
        remedy = "Give a sequence for '?', a mapping for ':name', and '??' for a question mark."
        raise QueryInvalid(where, problem, remedy, *_mask_statement(operation, position))

    def run(
        self,
        connection: PooledConnection,
        operation: str,
        parameters: Parameters,
        method: Callable[[Any, str, Sequence[object]], T],
        *,
        final: bool = False,
    ) -> T:
        """Run one statement by a method of the driver; see `call`."""
        text, values = self.bind(operation, parameters)
        work = partial(method, connection.raw, text, values)
        return self.call(connection, work, operation, values, final=final)

    def call(
        self,
        connection: PooledConnection,
        work: Callable[[], T],
        operation: str | None = None,
        values: Sequence[object] = (),
        *,
        final: bool = False,
    ) -> T:
        """Make one call of the driver, which can be stopped; its errors become ours.

        Args:
            connection: what it is made on.
            work: makes it.
            operation: the statement, for errors.
            values: its parameters, which are kept out of errors.
            final: whether it is done when it returns, though it was asked to stop.

        Raises:
            QueryCancelled: it was stopped.
            DatabaseError: the database refused it; see its kinds.
        """
        call = self.pool.begin_call(connection)
        translated: DatabaseError | None = None
        try:
            with connection.lock:
                value = call.run(work)
            if not call.stopped or final:
                return value
        except Stopped:
            pass
        except Exception as error:
            translated = self._translate(error, operation, values)
            if translated is None and not call.stopped:
                raise
        except BaseException:
            connection.broken = True
            raise
        finally:
            self.pool.end_call(call)
            connection.broken = connection.broken or call.stopped
        if call.stopped or translated is None:
            translated = QueryCancelled(
                self.driver.where,
                "the query was stopped",
                "Run it again if you still need it.",
                _mask_statement(operation, None)[0],
            )
        # Outside the `except`: the driver's error, with values in it, is not its context.
        try:
            raise translated
        finally:
            del translated  # a frame that knows its error keeps the connections till a collection

    def _translate(
        self, error: Exception, operation: str | None, values: Sequence[object]
    ) -> DatabaseError | None:
        """Return our error for a driver's, without secrets and without values of parameters."""
        found = self.driver.translate_error(error, operation)
        if found is None:
            return None
        secret = [text for text in secret_texts(self._block) if text]
        shown = {text for text in leaf_texts(list(values)) if len(text) >= SHORTEST}
        problem = hide(found.problem, [*secret, *sorted(shown, key=len, reverse=True)])
        statement, position = _mask_statement(found.statement, found.position, secret)
        return type(found)(found.where, problem, found.remedy, statement, position)

    def __deepcopy__(self, memo: object) -> None:
        """A copy of a block opens connections of its own."""


def _mask_statement(
    statement: str | None, position: int | None, secret: Iterable[str] = ()
) -> tuple[str | None, int | None]:
    """Return a statement without the secrets written in it, and the position, where it stays."""
    found = statement and hide(statement, secret)
    return found, position if found == statement else None
