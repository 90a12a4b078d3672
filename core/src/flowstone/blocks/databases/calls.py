"""How a call comes to a driver: on a connection of the block, stoppable, its errors made ours."""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from flowstone.blocks.databases.cancellation import Stopped
from flowstone.blocks.databases.driver import Driver
from flowstone.blocks.databases.placeholders import Unfit, bound
from flowstone.blocks.databases.pool import Session, Sessions
from flowstone.blocks.validation import SHORTEST, hide
from flowstone.errors import QueryCancelled, QueryInvalid
from flowstone.secrets.walk import leaf_texts, secret_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flowstone.blocks.databases.placeholders import Parameters
    from flowstone.errors import DatabaseError

T = TypeVar("T")

_making = Lock()


class Calls(Driver):
    """What stands between the methods of the interface and the operations of a provider."""

    _held: Sessions | None

    def _sessions(self) -> Sessions:
        held = self._held
        if held is None or not held.is_here():
            with _making:  # or two threads would begin with a database in memory each
                held = self._held
                if held is None or not held.is_here():
                    held = self._held = Sessions(self._disconnect, self._keep)
        return held

    def _taken(self) -> Session:
        return self._sessions().take(self._opened)

    def _opened(self) -> Any:
        try:
            return self._connect(self._sessions().anchor(self._anchor))
        except Exception as error:
            told = self._told(error, None, ())
            if told is None:
                raise
        raise told

    def _prepared(
        self,
        session: Session,
        operation: str,
        parameters: Parameters,
        run: Callable[[Any, str, Sequence[Any]], T],
        *,
        final: bool = False,
    ) -> T:
        text, values = self._bound(operation, parameters)
        work = partial(run, session.connection, text, values)
        return self._call(session, work, operation, values, final=final)

    def _bound(self, operation: str, parameters: Parameters) -> tuple[str, list[Any]]:
        if not operation.strip():
            raise QueryInvalid(self._where(), "the statement is empty", "Give one.", operation)
        try:
            text, values = bound(operation, parameters, self._style)
        except Unfit as error:
            problem, position = error.problem, error.position
        else:
            return text, [self._adapted(value) for value in values]
        remedy = "Give a sequence for '?', a mapping for ':name', and '??' for a question mark."
        raise QueryInvalid(self._where(), problem, remedy, *_shown(operation, position))

    def _call(
        self,
        session: Session,
        work: Callable[[], T],
        operation: str | None = None,
        values: Sequence[Any] = (),
        *,
        final: bool = False,
    ) -> T:
        """Make one call of the driver, which can be stopped; its errors become ours.

        What is `final` is done when it returns, though it was asked to stop.
        """
        sessions = self._sessions()
        call = sessions.call(lambda: self._interrupt(session.connection))
        told: DatabaseError | None
        try:
            with session.lock:
                value = call.run(work)
            if not call.stopped or final:
                return value
            told = None
        except Stopped:
            told = None
        except Exception as error:
            told = self._told(error, operation, values)
            if told is None and not call.stopped:
                raise
        except BaseException:
            session.broken = True
            raise
        finally:
            sessions.ended(call)
            session.broken = session.broken or call.stopped
        if call.stopped or told is None:
            told = QueryCancelled(
                self._where(),
                "the query was stopped",
                "Run it again if it is wanted.",
                _shown(operation, None)[0],
            )
        # Outside the `except`: the driver's error, with values in it, is not its context.
        raise told

    def _told(
        self, error: Exception, operation: str | None, values: Sequence[Any]
    ) -> DatabaseError | None:
        """Return our error for a driver's, without secrets and without values of parameters."""
        told = self._refused(error, operation)
        if told is None:
            return None
        secret = [text for text in secret_texts(self) if text]
        shown = {text for text in leaf_texts(list(values)) if len(text) >= SHORTEST}
        given = sorted(shown, key=len, reverse=True)
        problem = hide(told.problem, [*secret, *given])
        statement, position = _shown(told.statement, told.position, secret)
        return type(told)(told.where, problem, told.remedy, statement, position)


def _shown(
    statement: str | None, position: int | None, secret: Iterable[str] = ()
) -> tuple[str | None, int | None]:
    """Return a statement without the secrets written in it, and the place that is told of it."""
    found = statement and hide(statement, secret)
    return found, position if found == statement else None
