"""Records: dataclasses that are quick to define, since every program defines many at its start.

`dataclasses.dataclass` writes and compiles the methods of each class as it is defined, which takes
half a millisecond, and imports `inspect`. The methods of records are written once, here, for all
of them, except for ``__init__``: that is compiled when a record is first used, in the form that
`dataclass` gives it. What `dataclasses` looks for in a class is created on access, so `fields`,
`replace`, `asdict` and pattern matching work with a record as with a dataclass.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache, partial
from operator import attrgetter
from reprlib import recursive_repr
from types import CodeType, FunctionType, new_class
from typing import TYPE_CHECKING, Any, TypeVar, cast, dataclass_transform, overload

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")
T = TypeVar("T")
Metadata = Mapping[str, Any]


class _Absent:
    """A missing argument or default."""

    def __repr__(self) -> str:
        return "<factory>"


_ABSENT = _Absent()


class RecordField:
    """A field of a record, with the properties of `dataclasses.Field`.

    Attributes:
        name: as an attribute, and as an argument.
        annotation: as it is written.
        default: the default value; `_ABSENT` if the field is required.
        factory: creates a default for each record; None if `default` is shared.
        show: whether the field is part of the ``repr``.
        compare: whether it is part of ``==`` and of the hash.
        metadata: any data of the owner of the record.
    """

    __slots__ = ("annotation", "compare", "default", "factory", "metadata", "name", "show")

    def __init__(
        self,
        default: object,
        factory: Callable[[], object] | None,
        *,
        show: bool,
        compare: bool,
        metadata: Metadata,
    ) -> None:
        self.name, self.annotation = "", ""
        self.default, self.factory = default, factory
        self.show, self.compare, self.metadata = show, compare, metadata

    @property
    def has_default(self) -> bool:
        return self.default is not _ABSENT or self.factory is not None


@overload
def field(
    *,
    default: T,
    show: bool = ...,
    compare: bool = ...,
    metadata: Metadata = ...,
) -> T: ...
@overload
def field(
    *,
    default_factory: Callable[[], T],
    show: bool = ...,
    compare: bool = ...,
    metadata: Metadata = ...,
) -> T: ...
def field(
    *,
    default: object = _ABSENT,
    default_factory: Callable[[], object] | None = None,
    show: bool = True,
    compare: bool = True,
    metadata: Metadata | None = None,
) -> object:
    """Describe a field of a record, as `dataclasses.field` does.

    Args:
        default: the default value.
        default_factory: creates the default value for each record.
        show: whether the field is part of the ``repr``.
        compare: whether it is part of ``==`` and of the hash.
        metadata: any data of the owner of the record.
    """
    return RecordField(
        default, default_factory, show=show, compare=compare, metadata=metadata or {}
    )


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(kind: type[R]) -> type[R]:
    """Make a class a record, like `dataclass(frozen=True, slots=True)`, but quicker to define."""
    return _define(kind, {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete})


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def fact(kind: type[R]) -> type[R]:
    """Make a class a record that is frozen for type checkers, and not at run time.

    The fields of a frozen record are set with `object.__setattr__`, so it takes four times as long
    to create. Each task run has some ten events.
    """
    return _define(kind, {})


@dataclass_transform(field_specifiers=(field,))
def draft(kind: type[R]) -> type[R]:
    """Make a class a mutable record, which has no hash."""
    return _define(kind, {"__hash__": None})


def list_fields(kind: type) -> list[RecordField]:
    """Return the fields of a record in order, those of its bases first."""
    fields: dict[str, RecordField] = getattr(kind, _FIELDS)
    return [*fields.values()]


def is_record(kind: type) -> bool:
    """Return whether a class is a record, or is derived from one."""
    return hasattr(kind, _FIELDS)


def evolve(record: R, **changes: object) -> R:
    """Return a copy of a record with some fields changed.

    It takes a third of the time of `dataclasses.replace`, which works as well.
    """
    kind: Any = type(record)
    read, places = _find_places(kind)
    values = [*read(record)]
    for name, value in changes.items():
        values[places[name]] = value
    made: R = kind(*values)
    return made


def make_reader(names: Sequence[str]) -> FunctionType:
    """Return a function that reads these fields of a record, as a tuple.

    It takes half the time of an `attrgetter`, as Python adapts code that reads attributes to the
    classes that it meets; and 50 us to make.
    """
    code = compile(
        f"lambda self: ({', '.join(f'self.{name}' for name in names)},)", "<record>", "eval"
    )
    [code] = (each for each in code.co_consts if isinstance(each, CodeType))
    return FunctionType(code, {})


@cache
def _find_places(kind: type) -> tuple[Callable[[object], tuple[object, ...]], Mapping[str, int]]:
    names = [f.name for f in list_fields(kind)]
    return attrgetter(*names), {name: place for place, name in enumerate(names)}


_FIELDS, _NAMES = "__record_fields__", "__match_args__"


def _define(kind: type[R], more: Mapping[str, object]) -> type[R]:
    """Return the class with slots in place of the defaults, and with the methods of records."""
    fields: dict[str, RecordField] = {}
    for base in reversed(kind.__mro__[1:]):
        fields |= vars(base).get(_FIELDS, {})
    slots = []
    attributes = dict(vars(kind))
    for name, annotation in kind.__annotations__.items():
        default = attributes.pop(name, _ABSENT)
        if not isinstance(default, RecordField):
            default = RecordField(default, None, show=True, compare=True, metadata={})
        default.name, default.annotation = name, annotation
        if name not in fields:
            slots.append(name)
        fields[name] = default
    for name in ("__dict__", "__weakref__"):  # of instances of the original class, without slots
        attributes.pop(name, None)
    methods = {name: method for name, method in _METHODS.items() if name not in attributes}
    attributes |= {
        **methods,
        **more,
        "__init__": _Deferred(_write_init),
        "__qualname__": kind.__qualname__,
        "__slots__": tuple(slots),
        _NAMES: tuple(fields),
        "__dataclass_fields__": _read_from_twin("__dataclass_fields__"),
        "__dataclass_params__": _read_from_twin("__dataclass_params__"),
        _FIELDS: fields,
    }
    made = new_class(kind.__name__, kind.__bases__, {}, lambda body: body.update(attributes))
    return cast("type[R]", made)


class _Deferred:
    """A class attribute that is created on first access, and then replaces this one."""

    __slots__ = ("make", "name", "owner")

    def __init__(self, make: Callable[[type], object]) -> None:
        self.make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name

    def __get__(self, instance: object, _: type | None = None) -> object:
        setattr(self.owner, self.name, self.make(self.owner))
        return getattr(self.owner if instance is None else instance, self.name)


# ---------------------------------------------------------------- methods of all records


@recursive_repr()
def _show(self: object) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in list_fields(type(self)) if f.show)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _list_compared(self: object) -> tuple[object, ...]:
    return tuple(getattr(self, f.name) for f in list_fields(type(self)) if f.compare)


def _equals(self: object, other: object) -> object:
    if type(other) is not type(self):
        return NotImplemented
    return _list_compared(self) == _list_compared(other)


def _hash(self: object) -> int:
    return hash(_list_compared(self))


def _read_fields(self: object) -> list[object]:
    return [getattr(self, name) for name in _list_names(self)]


def _set_fields(self: object, values: list[object]) -> None:
    for name, value in zip(_list_names(self), values, strict=False):
        object.__setattr__(self, name, value)


def _list_names(self: object) -> tuple[str, ...]:
    # Not with `list_fields`: a dataclass that is derived from a record has its own fields.
    names: tuple[str, ...] = getattr(self, _NAMES)
    return names


_METHODS = {
    "__repr__": _show,
    "__eq__": _equals,
    "__hash__": _hash,
    "__getstate__": _read_fields,
    "__setstate__": _set_fields,
    "__replace__": evolve,  # for `copy.replace` of Python 3.13
}


def _refuse_to_set(self: object, name: str, value: object) -> None:
    if name in getattr(self, _FIELDS):
        # Takes 10 ms to import; only needed after this mistake.
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _refuse_to_delete(self: object, name: str) -> None:
    if name in getattr(self, _FIELDS):
        # Takes 10 ms to import; only needed after this mistake.
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


# ---------------------------------------------------------------- created on first use


def _write_init(kind: type) -> object:
    """Compile a record's `__init__`, which sets each field."""
    fields = list_fields(kind)
    arguments = ["self", *(f"{f.name}=None" if f.has_default else f.name for f in fields)]
    values = [
        f.name if f.factory is None else f"_make[{f.name!r}]() if {f.name} is _absent else {f.name}"
        for f in fields
    ]
    if _is_frozen(kind):  # a line for each field would take three times as long to compile
        body = [f"for _name, _value in zip(_names, ({' '.join(f'{v},' for v in values)})):"]
        body.append(" _set_field(self, _name, _value)")
    else:
        body = [f"self.{f.name} = {value}" for f, value in zip(fields, values, strict=True)]
    if hasattr(kind, "__post_init__"):
        body.append("self.__post_init__()")
    lines = [
        "def make(_set_field, _names, _make, _absent):",
        f" def __init__({', '.join(arguments)}):",
        *(f"  {line}" for line in body or ["pass"]),
        " return __init__",
    ]
    [code] = (
        each
        for each in compile("\n".join(lines), f"<record {kind.__qualname__}>", "exec").co_consts
        if isinstance(each, CodeType)
    )
    # Its globals are those of the module, so that the type hints of arguments can be resolved.
    make = FunctionType(code, vars(sys.modules[kind.__module__]))
    factories = {f.name: f.factory for f in fields}
    init = make(object.__setattr__, tuple(factories), factories, _ABSENT)
    init.__defaults__ = tuple(f.default for f in fields if f.has_default)
    init.__annotations__ = {**{f.name: f.annotation for f in fields}, "return": None}
    init.__module__, init.__qualname__ = kind.__module__, f"{kind.__qualname__}.__init__"
    return init


def _is_frozen(kind: type) -> bool:
    set_field: object = kind.__setattr__
    return set_field is _refuse_to_set


def _read_from_twin(name: str) -> _Deferred:
    """Return the attribute that a dataclass with the same fields has under that name."""
    return _Deferred(lambda kind: getattr(_make_twin(kind), name))


def _make_twin(kind: type) -> type:
    # Takes 10 ms to import, and no program needs it at its start.
    import dataclasses

    described = []
    for f in list_fields(kind):
        make: Callable[..., object] = partial(
            dataclasses.field, repr=f.show, compare=f.compare, metadata=f.metadata
        )
        if f.factory is not None:
            make = partial(make, default_factory=f.factory)
        elif f.has_default:
            make = partial(make, default=f.default)
        described.append((f.name, f.annotation, make()))
    return dataclasses.make_dataclass(kind.__name__, described, frozen=_is_frozen(kind))
