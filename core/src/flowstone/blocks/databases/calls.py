"""Calls of a driver: on a connection of the pool, stoppable, with errors translated."""

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
    """The layer between the methods of a `Database` and those of its driver.

    Attributes:
        driver: the driver.
        pool: its connections.
    """

    def __init__(self, driver: DatabaseDriver[Any], block: object) -> None:
        """Create it without connections.

        Args:
            driver: the driver to call.
            block: the block that the driver was created from; its secrets are masked in messages,
                and read again when they may have changed.
        """
        self.driver = driver
        self.pool = ConnectionPool(driver)
        # Not in `__del__`, which may run after the modules that it needs were unloaded.
        weakref.finalize(self, self.pool.close)
        self._block = block

    def borrow(self) -> PooledConnection:
        """Borrow a connection, and return it to the pool at the end.

        First cancel queries that earlier attempts of the current run left running.
        """
        if self.driver.cancels_by_id and not self.driver.reattaches:
            cancel = self.cancel_by_id
            cancel_left_behind(self.driver.block, lambda handle: cancel(handle.id), "databases")
        return self.pool.take(lambda: retry_refused(self._block, self.connect))

    def connect(self) -> Any:
        """Open a connection.

        Raises:
            DatabaseError: or a subclass: it can't be opened.
        """
        return self._ask(self.pool.connect)

    def cancel_by_id(self, query_id: str) -> None:
        """Cancel a query that any process has started.

        Raises:
            DatabaseError: it can't be cancelled.
        """
        driver = self.driver
        if not driver.cancels_by_id:
            remedy = "Cancel it with the service's own tools."
            raise DatabaseError(driver.where, "a query can't be cancelled by its id", remedy)
        retry_refused(self._block, lambda: self._ask(partial(driver.cancel_by_id, query_id)))

    def _ask(self, work: Callable[[], T]) -> T:
        """Call the driver for anything but a statement; translate errors of the client library."""
        try:
            return work()
        except Exception as error:
            translated = self._translate(error, None, ())
            if translated is None:
                raise
        raise translated

    def bind(self, operation: str, parameters: Parameters) -> tuple[str, list[object]]:
        """Return a statement in the driver's style, and its values.

        Raises:
            QueryInvalid: it is empty, or the parameters don't match.
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
        remedy = "Pass a sequence for '?', a mapping for ':name'; '??' is a question mark."
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
        """Run one statement with a method of the driver; see `call`.

        Args:
            connection: the connection to use.
            operation: the statement.
            parameters: its parameters.
            method: a method of the driver that takes the connection, the statement and its values.
            final: whether the statement is done if the call returns although it was asked to stop.
        """
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
        """Make one call of the driver that can be stopped; translate its errors.

        Args:
            connection: the connection to use.
            work: makes the call.
            operation: the statement, for error messages.
            values: its parameters, which never appear in error messages.
            final: whether the statement is done if the call returns although it was asked to stop.

        Raises:
            QueryCancelled: it was stopped.
            DatabaseError: or a subclass: the database reported an error.
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
        # Outside of the `except`, so that the driver's error, which has values in it, is not the
        # context.
        try:
            raise translated
        finally:
            del translated  # or a reference cycle would keep the connections alive

    def _translate(
        self, error: Exception, operation: str | None, values: Sequence[object]
    ) -> DatabaseError | None:
        """Return the Flowstone error for a driver's, without secrets and parameter values."""
        found = self.driver.translate_error(error, operation)
        if found is None:
            return None
        secret = [text for text in secret_texts(self._block) if text]
        shown = {text for text in leaf_texts(list(values)) if len(text) >= SHORTEST}
        problem = hide(found.problem, [*secret, *sorted(shown, key=len, reverse=True)])
        statement, position = _mask_statement(found.statement, found.position, secret)
        return type(found)(found.where, problem, found.remedy, statement, position)

    def __deepcopy__(self, memo: object) -> None:
        """Copy the block's calls: the copy opens its own connections."""


def _mask_statement(
    statement: str | None, position: int | None, secret: Iterable[str] = ()
) -> tuple[str | None, int | None]:
    """Return a statement with secrets in it masked, and the position unless it was lost."""
    found = statement and hide(statement, secret)
    return found, position if found == statement else None
