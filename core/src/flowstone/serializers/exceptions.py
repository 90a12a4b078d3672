"""Pickles of exceptions, restored without `__init__`, whose parameters may differ from `args`."""

from __future__ import annotations

from contextlib import suppress
from types import BuiltinFunctionType, MemberDescriptorType, WrapperDescriptorType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    #: The result of `__reduce__`: a function, its arguments, the state and a function that sets it.
    Reduced = tuple[
        Callable[..., object], tuple[object, ...], object, None, None, Callable[..., None]
    ]

#: Attributes that any object may have, and that say nothing about the error.
_LEFT_OUT = frozenset({"obj"})


class Chain(NamedTuple):
    """The other exceptions that an exception refers to."""

    cause: BaseException | None
    context: BaseException | None
    suppress_context: bool


class Attributes(NamedTuple):
    """The attributes of an exception, besides its `args`."""

    own: dict[str, object]
    slots: dict[str, object]


def reduce_exception(error: BaseException, can_pickle: Callable[[object], bool] | None) -> Reduced:
    """Return an exception as `__reduce__` does, with its cause, context and notes.

    Args:
        error: any exception.
        can_pickle: returns whether a part can be pickled; other parts are omitted, and a note says
            so. None to let the pickle fail instead.
    """
    chain = Chain(error.__cause__, error.__context__, error.__suppress_context__)
    if can_pickle is None and _reduces_itself(type(error)):
        make, args, state = (*error.__reduce_ex__(4), None)[:3]
        return make, args, (state, chain), None, None, _restore
    args, attributes = error.args, _find_attributes(error)
    if can_pickle is not None:
        args = tuple(each if can_pickle(each) else repr(each) for each in args)
        attributes = _leave_out(attributes, can_pickle)
        cause, context = (each if can_pickle(each) else None for each in chain[:2])
        chain = Chain(cause, context, chain.suppress_context)
    return _make, (type(error), args), (attributes, chain), None, None, _restore


def _reduces_itself(kind: type) -> bool:
    names = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")
    return any(
        name in vars(each)
        for each in kind.__mro__
        if each.__module__ != "builtins"
        for name in names
    )


def _find_attributes(error: BaseException) -> Attributes:
    names = {
        name
        for kind in type(error).__mro__
        for name, member in vars(kind).items()
        if isinstance(member, MemberDescriptorType) and not name.startswith("__")
    }
    slots = {name: getattr(error, name, None) for name in names - _LEFT_OUT}
    return Attributes(
        dict(vars(error)), {name: value for name, value in slots.items() if value is not None}
    )


def _leave_out(attributes: Attributes, can_pickle: Callable[[object], bool]) -> Attributes:
    parts = [{n: v for n, v in part.items() if can_pickle(v)} for part in attributes]
    lost = sorted({n for part in attributes for n in part} - {n for part in parts for n in part})
    if lost:
        note = f"These attributes could not be pickled and were dropped: {', '.join(lost)}."
        notes = parts[0].get("__notes__")
        parts[0]["__notes__"] = [*(notes if isinstance(notes, list) else ()), note]
    return Attributes(*parts)


def describe_exception(
    error: BaseException, can_write: Callable[[object], bool]
) -> dict[str, object]:
    """Return the parts of an exception, without those that can't be serialized."""
    args = [each if can_write(each) else repr(each) for each in error.args]
    own, slots = _leave_out(_find_attributes(error), can_write)
    chain = {"cause": error.__cause__, "context": error.__context__}
    if _is_in_a_circle(error, ()):
        chain = {}
    return {
        "args": args,
        "own": own,
        "slots": slots,
        "suppress": error.__suppress_context__,
        **{name: other for name, other in chain.items() if other is not None and can_write(other)},
    }


def _is_in_a_circle(error: BaseException | None, above: tuple[BaseException, ...]) -> bool:
    return error is not None and (
        error in above
        or _is_in_a_circle(error.__cause__, (*above, error))
        or (
            error.__context__ is not error.__cause__
            and _is_in_a_circle(error.__context__, (*above, error))
        )
    )


def make_exception(
    kind: type[BaseException], args: Iterable[object], attributes: Attributes, chain: Chain
) -> BaseException:
    """Create an exception from its parts."""
    error = _make(kind, tuple(args))
    _restore(error, (attributes, chain))
    return error


def _make(kind: type[BaseException], args: tuple[object, ...]) -> BaseException:
    """Create an exception as the closest base class that is not written in Python does."""
    new = _find_builtin(kind, "__new__", BuiltinFunctionType)
    error: BaseException = new(kind, *args)
    _find_builtin(kind, "__init__", WrapperDescriptorType)(error, *args)
    error.args = args
    return error


def _find_builtin(kind: type, name: str, wanted: type) -> Callable[..., BaseException]:
    found: Callable[..., BaseException] = next(
        vars(each)[name] for each in kind.__mro__ if isinstance(vars(each).get(name), wanted)
    )
    return found


def _restore(
    error: BaseException, state: tuple[Attributes | dict[str, object] | None, Chain]
) -> None:
    attributes, chain = state
    if isinstance(attributes, Attributes):
        for name, value in (attributes.own | attributes.slots).items():
            if isinstance(getattr(type(error), name, None), MemberDescriptorType):
                with suppress(AttributeError):  # a read-only attribute
                    setattr(error, name, value)
            else:
                vars(error)[name] = value
    elif attributes is not None:
        error.__setstate__(attributes)
    error.__cause__, error.__context__, error.__suppress_context__ = chain
