"""Futures, states and annotations in a call's arguments and return value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from flowstone.engine.annotations import SEALED, Mark, allow_failure, unmapped
from flowstone.records.states import State

if TYPE_CHECKING:
    from flowstone.ports import PendingRun

T = TypeVar("T")

#: Types that contain no futures; checked first, since most arguments are of these types.
PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray, range, type})


ITEMS = (list, tuple, set, frozenset)


class FutureBase:
    """The base class of futures, by which they are recognized."""

    __slots__ = ()

    #: The number created in this process: if it is 0, arguments need not be searched.
    made = 0


class EndedRun(FutureBase):
    """A future that has ended in a given state, for a state in `wait_for`."""

    __slots__ = ("_end", "name", "observed", "run_id")

    def __init__(self, end: State, run_id: str = "") -> None:
        self._end, self.name, self.run_id, self.observed = end, str(end), run_id, True

    def done(self) -> bool:
        return True

    def final_state(self) -> State:
        return self._end


def find_awaited(value: object) -> Iterator[tuple[Any, bool]]:
    """Yield each future and state in `wait_for`, and whether it is allowed to fail."""
    if isinstance(value, State):
        yield EndedRun(value), False
    elif isinstance(value, allow_failure):
        yield from ((each, True) for each, _ in find_awaited(value.value))
    elif isinstance(value, ITEMS):
        for item in value:
            yield from find_awaited(item)
    else:
        yield from find_futures(value)


def find_futures(value: object) -> Iterator[tuple[Any, bool]]:
    """Yield each future inside a value, and whether it is allowed to fail."""
    kind = type(value)
    if kind in PLAIN:
        return
    if isinstance(value, FutureBase):
        yield value, False
    elif kind is allow_failure:
        for promise, _ in find_futures(value.value):  # type: ignore[attr-defined]
            yield promise, True
    elif kind is unmapped:
        yield from find_futures(value.value)  # type: ignore[attr-defined]
    elif isinstance(value, dict):
        for item in value.values():
            yield from find_futures(item)
    elif isinstance(value, ITEMS):
        for item in value:
            if type(item) not in PLAIN:
                yield from find_futures(item)


def find_upstream(
    args: tuple[object, ...], kwargs: Mapping[str, object], wait_for: Iterable[object] | None = None
) -> list[tuple[PendingRun, bool]] | None:
    """Return the futures that a call waits for; None if its arguments need no resolving."""
    if wait_for is not None:
        return [*(find_upstream(args, kwargs) or ()), *find_awaited(list(wait_for))]
    if not FutureBase.made and not Mark.made:
        return None
    if PLAIN.issuperset(map(type, args)) and PLAIN.issuperset(map(type, kwargs.values())):
        return None
    promises = list(find_futures(args))
    if kwargs:
        promises += find_futures(kwargs)
    if promises or any(isinstance(value, Mark) for value in (*args, *kwargs.values())):
        return promises
    return None


def find_states(value: object) -> list[State]:
    """Return the states that a function returned, bare or in a list, tuple or set."""
    if isinstance(value, State):
        return [value]
    if isinstance(value, ITEMS) and value and all(isinstance(item, State) for item in value):
        return list(value)
    return []


def resolve(value: Any, ask: Callable[[Any, bool], Any]) -> Any:
    """Return the value with each future replaced by `ask(future, may_have_failed)`.

    A collection without futures is returned unchanged, not copied.
    """
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, FutureBase):
        return ask(value, False)
    if kind in SEALED:
        return value.value
    if kind is unmapped:
        return resolve(value.value, ask)
    if kind is allow_failure:
        return resolve(value.value, lambda promise, _: ask(promise, True))
    return _resolve_items(value, ask) if isinstance(value, (dict, *ITEMS)) else value


def _resolve_items(value: Any, ask: Callable[[Any, bool], Any]) -> Any:
    if isinstance(value, dict):
        new = {key: resolve(item, ask) for key, item in value.items()}
        same = all(new[key] is item for key, item in value.items())
        return value if same else new
    items = [resolve(item, ask) for item in value]
    if all(new is old for new, old in zip(items, value, strict=True)):
        return value if value.__class__ in ITEMS or not _holds_promises(value) else items
    if isinstance(value, tuple):
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return items if isinstance(value, list) else type(value)(items)


def _holds_promises(value: Any) -> bool:
    return any(isinstance(item, FutureBase) for item in value)


# ---------------------------------------------------------------- public functions


def resolve_futures_to_states(expr: Any) -> Any:
    """Wait for the futures in nested collections, and replace each with its final state.

    Args:
        expr: anything; futures are found in lists, tuples, sets and dicts.
    """
    return resolve(expr, _await_state)


def resolve_futures_to_results(expr: Any) -> Any:
    """Wait for the futures in nested collections, and replace each with its value.

    Args:
        expr: anything; futures are found in lists, tuples, sets and dicts.

    Raises:
        Exception: the exception of the first one that did not complete.
    """
    return resolve(
        expr, lambda promise, may_fail: _await_state(promise, may_fail).result(not may_fail)
    )


def _await_state(promise: Any, _: bool) -> State:
    promise.wait()
    promise.observed = True
    state: State = promise.final_state()
    return state
