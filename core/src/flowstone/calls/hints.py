"""Resolves the type hints of parameters, and checks values against them."""

from __future__ import annotations

import collections.abc as abc
import io
from collections import deque
from functools import partial, reduce
from itertools import chain, product
from operator import or_
from types import SimpleNamespace, UnionType
from typing import (
    IO,
    TYPE_CHECKING,
    Annotated,
    Any,
    BinaryIO,
    Literal,
    NewType,
    NotRequired,
    Required,
    Self,
    TextIO,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from flowstone.engine.functions import unwrap

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

#: A type hint may be any expression, and a value anything.
Hint = Any
Value = Any
Fit = abc.Callable[[Value], bool]
ItemsFit = abc.Callable[[abc.Iterable[Value]], bool]
Check = abc.Callable[[Value], Value]

#: Types whose items are checked; other iterables may be readable only once, or be large.
_ITEMS = (list, tuple, set, frozenset, dict, deque, str, bytes)
#: Hints that any of these matches, and that pydantic would turn into an iterator, or not check.
_LOOSE = (abc.Iterable, abc.Collection, abc.Container, abc.Reversible)
#: The modules of the containers whose items pydantic checks.
_STANDARD = {"builtins", "collections", "collections.abc"}
_FILES = (IO, TextIO, BinaryIO)


class Misfit(Exception):
    """A value does not match a type hint; the message says why, without the value."""


class Uncheckable(Exception):
    """Values can't be checked against a type hint."""


def find_hints(
    fn: abc.Callable[..., object],
    annotations: abc.Mapping[str, object],
    around: abc.Mapping[str, object],
) -> tuple[dict[str, Hint], dict[str, str]]:
    """Return the type hints of parameters; and those that can't be resolved, with the reason.

    Args:
        fn: the function.
        annotations: the annotations of its parameters, unresolved.
        around: the local names that its hints may use.
    """
    bare = _find_function(fn)
    names = {each.__name__: each for each in getattr(bare, "__type_params__", ())} | {**around}
    hints: dict[str, Hint] = {}
    problems: dict[str, str] = {}
    for name, annotation in annotations.items():
        holder = SimpleNamespace(__annotations__={name: annotation})
        found = getattr(bare, "__globals__", {})
        try:
            hint = get_type_hints(holder, found, names, include_extras=True)[name]
        except Exception as error:  # noqa: BLE001 - a hint may be any expression
            problems[name] = str(error)
        else:
            hints[name] = _find_owner(fn) if hint is Self else hint
    return hints, problems


def _find_function(fn: Value) -> Value:
    """Return the function whose module the hints are resolved in."""
    fn = unwrap(fn)
    while isinstance(fn, partial):
        fn = unwrap(fn.func)
    return fn if hasattr(fn, "__globals__") else type(fn).__call__


def _find_owner(fn: object) -> object:
    """Return the type that `Self` means in a bound method."""
    instance = getattr(fn, "__self__", None)
    return Self if instance is None else instance if isinstance(instance, type) else type(instance)


def make_check(hint: Hint) -> Check:
    """Return a function that coerces a value to its hint.

    A value that is already of that type is not changed.

    Raises:
        Misfit: raised by the function if a value does not match.
        Uncheckable: raised by the function if values can't be checked against the hint.
    """
    fits, validate = make_fit(hint), None

    def check(value: Value) -> Value:
        nonlocal validate
        if fits(value):
            return value
        if validate is None:
            validate = _make_validator(hint)
        return validate(value)

    return check


# ---------------------------------------------------------------- whether a value has the type


def split_hint(hint: Hint) -> tuple[Value, tuple[Hint, ...]]:
    """Return the origin and the arguments of a hint."""
    return get_origin(hint), get_args(hint)


def make_fit(hint: Hint) -> Fit:
    """Return a function that returns whether a value is of the hinted type without coercion.

    It returns False if only pydantic can tell.
    """
    origin, args = split_hint(hint)
    if hint is Any or hint is object:
        return _always
    if hint is None:
        return partial(_is_instance, type(None))
    if isinstance(hint, NewType):
        return make_fit(hint.__supertype__)
    if isinstance(hint, TypeVar):
        choices = hint.__constraints__ or (hint.__bound__ or Any,)
        return partial(_fits_any, [make_fit(each) for each in choices])
    if origin in {Union, UnionType}:
        return partial(_fits_any, [make_fit(each) for each in args])
    if origin is Literal:
        return lambda value: any(type(value) is type(each) and value == each for each in args)
    if (origin or hint) in _FILES:
        return partial(_is_file, _find_mode(hint))
    if origin is None:
        return _make_class_fit(hint) if isinstance(hint, type) else _never
    if origin is type or not isinstance(origin, type) or hasattr(origin, "__pydantic_fields__"):
        return _never
    return _make_generic_fit(origin, args)


def _make_generic_fit(origin: type, args: tuple[Hint, ...]) -> Fit:
    if origin is tuple and args[-1:] != (Ellipsis,):
        parts = [make_fit(each) for each in args]
        return lambda value: (
            isinstance(value, tuple)
            and len(value) == len(parts)
            and all(fits(item) for fits, item in zip(parts, value, strict=True))
        )
    if issubclass(origin, abc.Mapping):
        items = [_make_items_fit(each) for each in args[:2]]
    elif issubclass(origin, abc.Iterable) or origin is abc.Container:
        items = [_make_items_fit(each) for each in args[:1]]
    else:
        items = []

    def fits(value: Value) -> bool:
        if not isinstance(value, origin):
            return False
        if isinstance(value, dict) and len(items) == 2:
            return items[0](value) and items[1](value.values())
        if not isinstance(value, _ITEMS):
            return True
        if isinstance(value, (str, bytes)) and origin not in _LOOSE:
            return False
        return not items or items[0](value)

    return fits


def _make_items_fit(hint: Hint) -> ItemsFit:
    """Return a function that returns whether all items have a type, usually without a loop."""
    fits = make_fit(hint)
    origin, args = split_hint(hint)
    if isinstance(fits, partial) and fits.func in {
        _is_instance,
        _is_instance_but,
    }:  # then each type is checked once
        wanted = fits.args[-1]
        exact, excluded = {wanted}, _find_excluded(wanted) or ()

        def fit_class(items: abc.Iterable[Value]) -> bool:  # each type is checked once
            kinds = set(map(type, items))
            return kinds <= exact or all(
                issubclass(kind, wanted) and not issubclass(kind, excluded) for kind in kinds
            )

        return fit_class
    if origin not in _ITEMS or (origin is tuple and args[-1:] != (Ellipsis,)) or not args:
        return lambda items: all(map(fits, items))
    inner = [_make_items_fit(each) for each in args if each is not Ellipsis]
    exact = {origin}

    def fit_nested(items: abc.Iterable[Value]) -> bool:
        values = list(items)
        if not set(map(type, values)) <= exact:
            return all(map(fits, values))
        more = chain.from_iterable(map(dict.values, values)) if origin is dict else ()
        return inner[0](chain.from_iterable(values)) and inner[-1](more)

    return fit_nested


def _find_excluded(kind: type) -> type | None:
    """Return the subclass that a hint for the base does not include: pydantic handles those."""
    if kind is int:
        return bool
    if (kind.__module__, kind.__name__) != ("datetime", "date"):
        return None
    from datetime import datetime  # its hint has loaded it, and it takes 2 ms

    return datetime


def _make_class_fit(kind: Hint) -> Fit:
    if is_typeddict(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        return _make_fields_fit(kind)
    config: Value = getattr(kind, "model_config", getattr(kind, "__pydantic_config__", None))
    if config is None and hasattr(kind, "__get_pydantic_core_schema__"):
        return _never
    if (config or {}).get("revalidate_instances", "never") != "never":
        return _never
    try:
        isinstance(None, kind)
    except TypeError:  # a Protocol that can't be checked
        return _never
    excluded = _find_excluded(kind)
    if excluded is not None:
        return partial(_is_instance_but, excluded, kind)
    if kind in {abc.Sequence, abc.MutableSequence}:
        return _make_generic_fit(kind, ())
    return partial(_is_instance, kind)


def _make_fields_fit(kind: Hint) -> Fit:
    """Return a function that checks each field of a TypedDict or a NamedTuple."""
    fields: dict[str, tuple[Hint, bool]] = {}
    made: dict[str, Fit] = {}  # created when needed: a class may refer to itself

    def fits(value: Value) -> bool:
        if not is_typeddict(kind) and not isinstance(value, kind):
            return False
        if not made:
            fields.update(_find_fields(kind))
            made.update({name: make_fit(hint) for name, (hint, _) in fields.items()})
        if not is_typeddict(kind):
            return all(each(getattr(value, name)) for name, each in made.items())
        return isinstance(value, dict) and all(
            made[name](value[name]) if name in value else not is_required
            for name, (_, is_required) in fields.items()
        )

    return fits


def _find_fields(kind: Hint) -> dict[str, tuple[Hint, bool]]:
    """Return the hint of each field, and whether it is required.

    If hints are strings, the class itself does not know which fields are required.
    """
    fields = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        mark, required = get_origin(hint), getattr(kind, "__required_keys__", ())
        if mark in {Required, NotRequired}:
            fields[name] = get_args(hint)[0], mark is Required
        else:
            fields[name] = hint, name in required
    return fields


def _always(_value: Value) -> bool:
    return True


def _never(_value: Value) -> bool:
    return False


def _is_instance(kind: type, value: object) -> bool:
    return isinstance(value, kind)


def _is_instance_but(excluded: type, kind: type, value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, excluded)


def _fits_any(choices: list[Fit], value: object) -> bool:
    return any(fits(value) for fits in choices)


def _find_mode(hint: Hint) -> str:
    """Return `t` or `b` for a hint of an open file; an empty string if it may be either."""
    wanted: Hint = {TextIO: str, BinaryIO: bytes}.get(hint) or next(iter(get_args(hint)), None)
    return "t" if wanted is str else "b" if wanted is bytes else ""


def _is_file(mode: str, value: object) -> bool:
    if not (hasattr(value, "read") or hasattr(value, "write")) or isinstance(value, type):
        return False
    binary = isinstance(value, (io.RawIOBase, io.BufferedIOBase))
    if not binary and not isinstance(value, io.TextIOBase):
        binary = "b" in str(getattr(value, "mode", mode))
    return not mode or binary is (mode == "b")


# ---------------------------------------------------------------- pydantic, for all other values


def _make_validator(hint: Hint) -> Check:
    # pydantic takes 40 ms to import; flows whose arguments need no coercion don't need it.
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
    from pydantic_core import SchemaError

    anything = ConfigDict(arbitrary_types_allowed=True)
    adapter: TypeAdapter[Value] | None = None
    for form, config in product((_adapt(hint), hint), (anything, None)):
        try:
            adapter = TypeAdapter(form, config=config)
        except (PydanticUserError, SchemaError, TypeError):
            continue  # models and dataclasses have their own configuration
        break
    if adapter is None:
        raise Uncheckable

    def validate(value: Value) -> Value:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise Misfit(_describe_errors(error, value)) from None

    return validate


def _adapt(hint: Hint) -> Value:
    """Return a hint for pydantic that leaves each part of a value that matches unchanged."""
    from pydantic import AfterValidator, WrapValidator  # as above

    origin, args = split_hint(hint)
    kind = origin or hint
    if kind in _FILES:
        return Annotated[Any, AfterValidator(partial(_require_file, hint))]
    if is_typeddict(hint):
        return _adapt_typed_dict(hint)
    if origin is Annotated:
        return Annotated[(_adapt(args[0]), *hint.__metadata__)]
    if origin in {Union, UnionType}:
        return reduce(or_, map(_adapt, args))
    generic: Value = list if kind in _LOOSE else origin
    if not _is_container(generic):
        return hint
    parts = tuple(each if each is Ellipsis else _adapt(each) for each in args)
    form = generic[parts] if parts else generic
    fits = make_fit(hint)

    def keep(value: Value, handler: Check) -> Value:
        if fits(value):
            return value
        found = handler(list(value) if kind in _LOOSE and isinstance(value, _ITEMS) else value)
        kinds = (tuple, set, frozenset, deque)
        wanted = next((each for each in kinds if isinstance(value, each)), None)
        return wanted(found) if wanted is not None and kind in _LOOSE else found

    return Annotated[form, WrapValidator(keep)]


def _is_container(kind: object) -> bool:
    return (
        isinstance(kind, type) and kind.__module__ in _STANDARD and issubclass(kind, abc.Iterable)
    )


def _require_file(hint: Hint, value: object) -> object:
    if not _is_file(_find_mode(hint), value):
        raise ValueError(f"input should be an open file, as {hint!r} requires")
    return value


def _adapt_typed_dict(kind: Hint) -> Value:
    """Return the TypedDict that pydantic accepts before Python 3.12; other keys are ignored."""
    from typing_extensions import TypedDict  # pydantic has it

    fields = {
        name: (Required if is_required else NotRequired)[hint]
        for name, (hint, is_required) in _find_fields(kind).items()
    }
    make: Value = TypedDict
    form = make(kind.__name__, fields)
    form.__pydantic_config__ = getattr(kind, "__pydantic_config__", {"extra": "allow"})
    return form


def _describe_errors(error: ValidationError, value: object) -> str:
    parts = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in problem["loc"])
        text = problem["msg"][:1].lower() + problem["msg"][1:]
        parts.append(f"{where}: {text}" if where else f"{text} (got {type(value).__name__})")
    return "; ".join(parts)
