"""Values as JSON with type marks, and back.

JSON's own types are unchanged; other values are an object of two keys:
`{"__type__": …, "value": …}`. A type is a name of the table in this module, or `module:Class`. A
document can't make the program import a module, or call arbitrary functions: only models,
dataclasses, named tuples, enums and exceptions are created, only if the program itself has imported
their module, and with their own validation or constructor; exceptions without either.
"""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum, Flag
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from flowstone.context.current import services
from flowstone.serializers.exceptions import Attributes, Chain, describe_exception, make_exception

TYPE, VALUE = "__type__", "value"

#: Any value, and its JSON form.
Value = Any
Convert = Callable[[Value], Value]

_PLAIN = (type(None), bool, int, float, str)
_PURPOSE = "json"


class Unwritable(TypeError):
    """A value that would not be restored exactly."""


class Form(NamedTuple):
    """How a type is encoded: its name, and the functions that encode and decode a value."""

    name: str
    write: Callable[[Value, Convert], Value]
    read: Callable[[Value, Convert], Value]


class Encoder:
    """Encodes values as JSON; `more` is called first for values that JSON lacks."""

    def __init__(self, more: Convert | None = None) -> None:
        self._more = more

    def encode(self, value: Value) -> Value:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is list:
            return [self.encode(item) for item in value]
        if kind is dict and TYPE not in value and all(type(key) is str for key in value):
            return {key: self.encode(item) for key, item in value.items()}
        if self._more is not None and not isinstance(value, (*_PLAIN, dict, list, tuple)):
            try:
                return self.encode(self._more(value))
            except TypeError:  # not its type: the convention of json's `default`
                pass
        form = _list_forms().get(kind) or _find_form(kind)
        if form is not None:
            return {TYPE: form.name, VALUE: form.write(value, self.encode)}
        if isinstance(value, (str, int, float)):  # a subclass, such as numpy's floats
            return value
        if isinstance(value, dict):
            return self.encode(dict(value))
        if isinstance(value, (list, tuple)):
            return self.encode(list(value))
        raise Unwritable(f"a {kind.__module__}.{kind.__qualname__} is not JSON serializable")


class Decoder:
    """Decodes JSON values; `more` is called with each object that has no type mark."""

    def __init__(self, more: Convert | None = None) -> None:
        self._more = more

    def decode(self, value: Value) -> Value:
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {TYPE, VALUE}:
            return _find_named(value[TYPE]).read(value[VALUE], self.decode)
        found = {key: self.decode(item) for key, item in value.items()}
        return found if self._more is None else self._more(found)


# ---------------------------------------------------------------- types of the standard library


@cache
def _list_forms() -> dict[type, Form]:
    forms = {**_list_time_forms(), **_list_container_forms()}
    for kind, name in _list_text_kinds():
        forms[kind] = Form(name, lambda v, _: str(v), _make_text_reader(kind))
    for binary in (bytes, bytearray):
        forms[binary] = Form(
            binary.__name__, lambda v, _: b64encode(v).decode(), _make_bytes_reader(binary)
        )
    forms[complex] = Form("complex", lambda v, _: [v.real, v.imag], lambda v, _: complex(*v))
    forms[range] = Form("range", lambda v, _: [v.start, v.stop, v.step], lambda v, _: range(*v))
    forms[type(...)] = Form("Ellipsis", lambda _v, _: None, lambda _v, _: ...)
    return forms


def _list_text_kinds() -> list[tuple[type, str]]:
    # Most results need none of these modules.
    import ipaddress
    import pathlib
    import uuid
    from decimal import Decimal
    from fractions import Fraction

    kinds: list[type] = [
        uuid.UUID,
        Decimal,
        Fraction,
        *(pathlib.PurePosixPath, pathlib.PureWindowsPath),
        *(ipaddress.IPv4Address, ipaddress.IPv6Address),
        *(ipaddress.IPv4Network, ipaddress.IPv6Network),
        *(ipaddress.IPv4Interface, ipaddress.IPv6Interface),
    ]
    return [(type(pathlib.Path()), "Path"), *((kind, kind.__name__) for kind in kinds)]


def _list_container_forms() -> dict[type, Form]:
    from collections import Counter, OrderedDict, defaultdict, deque  # as above

    forms: dict[type, Form] = {
        dict: Form("dict", _write_pairs, lambda v, read: dict(_read_pairs(v, read))),
        OrderedDict: Form(
            "OrderedDict", _write_pairs, lambda v, read: OrderedDict(_read_pairs(v, read))
        ),
        Counter: Form("Counter", _write_pairs, lambda v, read: Counter(dict(_read_pairs(v, read)))),
        defaultdict: Form("defaultdict", _write_defaults, _read_defaults),
        deque: Form(
            "deque",
            lambda v, write: [v.maxlen, *map(write, v)],
            lambda v, read: deque(map(read, v[1:]), v[0]),
        ),
    }
    for kind in (tuple, set, frozenset):
        forms[kind] = Form(kind.__name__, _write_items, _make_items_reader(kind))
    return forms


def _list_time_forms() -> dict[type, Form]:
    from datetime import date, datetime, time, timedelta, timezone  # as above
    from zoneinfo import ZoneInfo  # as above

    return {
        date: Form("date", lambda v, _: v.isoformat(), lambda v, _: date.fromisoformat(v)),
        datetime: Form("datetime", _write_time, lambda v, read: _read_time(datetime, v, read)),
        time: Form("time", _write_time, lambda v, read: _read_time(time, v, read)),
        timedelta: Form(
            "timedelta",
            lambda v, _: [v.days, v.seconds, v.microseconds],
            lambda v, _: timedelta(*v),
        ),
        timezone: Form(
            "timezone",
            lambda v, write: [write(v.utcoffset(None)), v.tzname(None)],
            lambda v, read: _read_zone(timezone, read(v[0]), v[1]),
        ),
        ZoneInfo: Form("ZoneInfo", _write_zone, lambda v, _: ZoneInfo(v)),
    }


def _write_items(value: Value, write: Convert) -> Value:
    return [write(item) for item in value]


def _make_items_reader(kind: type) -> Callable[[Value, Convert], Value]:
    return lambda value, read: kind(map(read, value))


def _make_bytes_reader(kind: type) -> Callable[[Value, Convert], Value]:
    return lambda value, _read: kind(b64decode(value))


def _make_text_reader(kind: type) -> Callable[[Value, Convert], Value]:
    return lambda value, _read: kind(value)


def _write_pairs(value: Value, write: Convert) -> Value:
    return [[write(key), write(item)] for key, item in value.items()]


def _read_pairs(value: Value, read: Convert) -> Value:
    return ((read(key), read(item)) for key, item in value)


def _write_defaults(value: Value, write: Convert) -> Value:
    factory = value.default_factory
    if factory is not None and factory not in _FACTORIES:
        raise Unwritable(
            f"the default_factory {factory!r} of a defaultdict can't be written as JSON"
        )
    return [factory and factory.__name__, _write_pairs(value, write)]


def _read_defaults(value: Value, read: Convert) -> Value:
    from collections import defaultdict  # as above

    factory = next((each for each in _FACTORIES if each.__name__ == value[0]), None)
    return defaultdict(factory, _read_pairs(value[1], read))


_FACTORIES = (list, dict, set, tuple, int, float, str, bool, bytes)


def _write_time(value: Value, write: Convert) -> Value:
    zone = value.tzinfo
    return [value.replace(tzinfo=None).isoformat(), zone and write(zone), value.fold]


def _read_time(kind: Value, value: Value, read: Convert) -> Value:
    text, zone, fold = value
    return kind.fromisoformat(text).replace(tzinfo=read(zone), fold=fold)


def _read_zone(kind: Value, offset: Value, name: str) -> Value:
    zone = kind(offset)
    return (
        kind.utc if zone == kind.utc else zone if zone.tzname(None) == name else kind(offset, name)
    )


def _write_zone(value: Value, _write: Convert) -> str:
    if value.key is None:
        raise Unwritable("a ZoneInfo that was read from a file has no name")
    return str(value.key)


# ---------------------------------------------------------------- secrets, and user classes


def _find_form(kind: Value) -> Form | None:
    """Return the form of an instance of a user's class; None if it has none."""
    if kind.__module__ == "pydantic.types" and kind.__name__ in {"SecretStr", "SecretBytes"}:
        return _find_named(kind.__name__)
    choice = _choose(kind)
    if choice is None:
        return None
    name = _name(kind)
    if _look_up(name) is not kind:
        raise Unwritable(f"{name} can't be imported by its name; define it at the top of a module")
    write, read = choice
    return Form(name, write, lambda value, convert: read(kind, value, convert))


def _find_named(name: str) -> Form:
    if name in {"SecretStr", "SecretBytes"}:
        return Form(name, _seal, lambda value, _read: _open(name, value))
    if ":" not in name:
        for form in _list_forms().values():
            if form.name == name:
                return form
        raise ValueError(f"there is no type {name!r}")
    kind = _look_up(name)
    choice = _choose(kind) if isinstance(kind, type) else None
    if choice is None:
        problem = "is not a model, dataclass, named tuple, enum or exception of an imported module"
        raise ValueError(f"{name} {problem}; import its module first")
    return Form(name, choice[0], lambda value, convert: choice[1](kind, value, convert))


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _look_up(name: str) -> Value:
    module, _, inside = name.partition(":")
    try:
        return attrgetter(inside)(sys.modules[module])
    except (KeyError, AttributeError):
        return None


def _choose(
    kind: Value,
) -> tuple[Callable[[Value, Convert], Value], Callable[[Value, Value, Convert], Value]] | None:
    if issubclass(kind, Enum):
        return _write_enum, _read_enum
    if issubclass(kind, BaseException):
        return _write_exception, _read_exception
    if hasattr(kind, "__pydantic_validator__") and hasattr(kind, "model_fields"):
        return _write_model, _read_model
    if is_dataclass(kind):
        return _write_dataclass, _read_dataclass
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _write_items, lambda kind, value, read: kind(*map(read, value))
    return None


def _seal(value: Value, _write: Convert) -> str:
    clear = value.get_secret_value()
    return services().sealer.seal(clear if isinstance(clear, bytes) else clear.encode(), _PURPOSE)


def _open(name: str, token: str) -> Value:
    import pydantic  # if there are secrets, it is loaded already

    clear = services().sealer.open(token, _PURPOSE)
    return (
        pydantic.SecretBytes(clear) if name == "SecretBytes" else pydantic.SecretStr(clear.decode())
    )


def _write_enum(value: Value, write: Convert) -> Value:
    return [write(value.value)] if isinstance(value, Flag) else value.name


def _read_enum(kind: Value, value: Value, read: Convert) -> Value:
    return kind(read(value[0])) if isinstance(value, list) else kind[value]


def _write_exception(value: Value, write: Convert) -> Value:
    def can_write(part: Value) -> bool:
        if isinstance(part, BaseException):  # its parts are encoded separately
            return _look_up(_name(type(part))) is type(part)
        try:
            write(part)
        except (TypeError, ValueError, RecursionError):
            return False
        return True

    return write(describe_exception(value, can_write))


def _read_exception(kind: Value, value: Value, read: Convert) -> Value:
    known = read(value)
    chain = Chain(known.get("cause"), known.get("context"), known["suppress"])
    return make_exception(kind, known["args"], Attributes(known["own"], known["slots"]), chain)


def _write_model(value: Value, write: Convert) -> Value:
    kind = type(value)
    values = {name: vars(value)[name] for name in kind.model_fields if name in vars(value)}
    if value.__pydantic_private__ or _has_validators(kind):
        again = None
        try:
            again = _make_model(kind, values | (value.__pydantic_extra__ or {}))
        except ValueError as error:
            raise Unwritable(f"its validators reject it: {error}") from error
        if again != value:
            raise Unwritable("validating it again, or its private attributes, would change it")
    return write(values | (value.__pydantic_extra__ or {}))


def _has_validators(kind: Value) -> bool:
    own = kind.__pydantic_decorators__
    metadata = [each for field in kind.model_fields.values() for each in field.metadata]
    return bool(
        own.validators
        or own.field_validators
        or own.root_validators
        or own.model_validators
        or kind.__pydantic_post_init__
        or any(hasattr(each, "func") for each in metadata)
    )


def _read_model(kind: Value, value: Value, read: Convert) -> Value:
    return _make_model(kind, read(value))


def _make_model(kind: Value, values: dict[str, Value]) -> Value:
    """Create a model by validating its fields, given by name."""
    if list(kind.model_fields) == ["root"]:
        return kind.model_validate(values["root"])
    by_name = kind.model_config.get("populate_by_name") or kind.model_config.get("validate_by_name")
    given = dict(values)
    for name, field in kind.model_fields.items():
        alias = field.validation_alias
        choices = [alias, *getattr(alias, "choices", ())]
        key = name if by_name else next((each for each in choices if isinstance(each, str)), name)
        if key != name and name in given:
            given[key] = given.pop(name)
    return kind.model_validate(given)


def _write_dataclass(value: Value, write: Convert) -> Value:
    return write({each.name: getattr(value, each.name) for each in fields(value)})


def _read_dataclass(kind: Value, value: Value, read: Convert) -> Value:
    values = read(value)
    made = kind(**{each.name: values[each.name] for each in fields(kind) if each.init})
    if not hasattr(kind, "__pydantic_validator__"):
        for name in {each.name for each in fields(kind)} & values.keys():
            object.__setattr__(made, name, values[name])  # as it was, whatever __post_init__ does
    return made
