"""Field values in a form that is decoded without validation: each value names its type."""

from __future__ import annotations

import pickle
import re
from base64 import b64decode, b64encode
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel, PydanticUserError
from pydantic_core import PydanticSerializationError, from_json, to_json

from flowstone.blocks.codec import decode_partial, encode_partial, make_adapter
from flowstone.secrets.values import (
    MASKED,
    LiteralSecret,
    PartialSecret,
    Reference,
    get_masked_type,
    make_literal,
    make_partial,
    make_reference,
)
from flowstone.secrets.walk import clear_value
from flowstone.serializers.moves import unpickle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic.fields import FieldInfo

    from flowstone.secrets.values import Masked

    Json = dict[str, Any]

M = TypeVar("M", bound=BaseModel)

#: Types that JSON restores as they were.
_PLAIN = frozenset({type(None), bool, int, str})
_ITEMS = (list, tuple, set, frozenset, deque)
#: The default factories that a defaultdict may have; any other is code.
_FACTORIES = (list, dict, set, tuple, int, float, str, bool, bytes)


class NotExact(Exception):
    """A value that has no such form; the message names it."""


class ExactEncoder:
    """Encodes the fields of one block.

    Args:
        seal: returns a token for a secret.
        nested: returns the form of a block; None for any other value.
        as_pickle: whether the form is for a pickle, and so may contain classes and objects, not
            only what JSON has.
    """

    def __init__(
        self,
        seal: Callable[[bytes], str],
        nested: Callable[[object], Json | None],
        *,
        as_pickle: bool = False,
    ) -> None:
        self._seal, self._nested, self._as_pickle = seal, nested, as_pickle

    def encode(self, value: object) -> object:
        """Return the form of a value.

        Raises:
            NotExact: it has none.
        """
        if type(value) in _PLAIN:
            return value
        if type(value) is list:
            return [self.encode(item) for item in value]
        if (own := self._nested(value)) is not None:
            return own
        if isinstance(value, MASKED):
            return self._encode_secret(value)
        if isinstance(value, BaseModel):
            return {"$model": self._encode_model(value), "type": self._name(type(value))}
        if is_dataclass(value) and not isinstance(value, type):
            body = {each.name: self.encode(getattr(value, each.name)) for each in fields(value)}
            return {"$data": body, "type": self._name(type(value))}
        if isinstance(value, dict):
            pairs = [[self.encode(key), self.encode(item)] for key, item in value.items()]
            own = {"factory": self._name_factory(value)} if isinstance(value, defaultdict) else {}
            return {"$pairs": pairs, **own, "type": self._name(type(value))}
        if isinstance(value, _ITEMS):
            items = [self.encode(item) for item in value]
            own = {"maxlen": value.maxlen} if isinstance(value, deque) else {}
            return {"$items": items, **own, "type": self._name(type(value))}
        if self._as_pickle:
            return {"$value": value}
        return {"$of": _encode_leaf(value), "type": self._name(type(value))}

    def _encode_model(self, model: BaseModel) -> Json:
        body = {"fields": {name: self.encode(item) for name, item in model.__dict__.items()}}
        if model.__pydantic_extra__:
            extra = model.__pydantic_extra__.items()
            body["extra"] = {name: self.encode(item) for name, item in extra}
        private = {}
        for name, item in (model.__pydantic_private__ or {}).items():
            try:
                private[name] = self.encode(item)
            except NotExact:
                continue  # a client or a lock, which its model creates again
        return {**body, "private": private} if private else body

    def _encode_secret(self, secret: Masked) -> Json:
        if isinstance(secret, Reference):
            base = get_masked_type(type(secret))
            return {"$ref": secret.reference, "type": self._name(base)}
        mixed = isinstance(secret, (PartialSecret, LiteralSecret))
        kind = get_masked_type(type(secret)) if mixed else type(secret)
        if isinstance(secret, PartialSecret):
            return {"$secrets": encode_partial(secret.tree(), self._seal), "type": self._name(kind)}
        clear = clear_value(secret)
        inside = pickle.dumps(clear) if self._as_pickle else to_json(self.encode(clear))
        return {"$secret": self._seal(inside), "as": "exact", "type": self._name(kind)}

    def _name_factory(self, value: defaultdict[object, object]) -> object:
        factory = value.default_factory
        if factory is None or self._as_pickle:
            return factory
        if factory not in _FACTORIES:
            raise NotExact(f"the default_factory {factory!r} is code")
        return getattr(factory, "__name__", None)

    def _name(self, kind: type) -> object:
        if self._as_pickle:
            return kind
        name = f"{kind.__module__}:{kind.__qualname__}"
        try:
            is_there = find_type(name) is kind
        except NotExact:
            is_there = False
        if not is_there:
            raise NotExact(f"{kind.__qualname__} can't be imported from {kind.__module__}")
        return name


class ExactDecoder:
    """Decodes what `ExactEncoder` has encoded.

    Args:
        unseal: returns the content of a token.
        nested: returns a block.
        as_pickle: whether the form is that of a pickle.
    """

    def __init__(
        self,
        unseal: Callable[[str], bytes],
        nested: Callable[[str | Json], object],
        *,
        as_pickle: bool = False,
    ) -> None:
        self._unseal, self._nested, self._as_pickle = unseal, nested, as_pickle

    def decode(self, value: object) -> object:
        """Return the value that was encoded.

        Raises:
            NotExact: its type no longer exists, or does not accept the value.
        """
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$block" in value:
            return self._nested(value["$block"])
        if "$value" in value:
            return value["$value"]
        kind: type = value["type"] if self._as_pickle else find_type(value["type"])
        _check_kind(kind, value)
        if "$model" in value:
            body: Mapping[str, Json] = value["$model"]
            known = {name: self._decode_items(items) for name, items in body.items()}
            return construct(kind, known["fields"], known.get("extra"), known.get("private"))
        if "$data" in value:
            new: Callable[..., object] = kind.__new__
            made = new(kind)
            for name, item in self._decode_items(value["$data"]).items():
                object.__setattr__(made, name, item)
            return made
        if "$of" in value:
            return _decode_leaf(kind, value["$of"])
        return self._decode_container(kind, value)

    def _decode_container(self, kind: type, value: Json) -> object:
        if "$pairs" in value:
            pairs = [(self.decode(key), self.decode(item)) for key, item in value["$pairs"]]
            made = kind()
            made.update(dict(pairs))
            if isinstance(made, defaultdict):
                made.default_factory = self._find_factory(value.get("factory"))
            return made
        if value.get("maxlen") is not None and issubclass(kind, deque):
            return kind([self.decode(item) for item in value["$items"]], value["maxlen"])
        if "$items" in value:
            return getattr(kind, "_make", kind)([self.decode(item) for item in value["$items"]])
        if "$ref" in value:
            return make_reference(kind, value["$ref"])
        if "$secrets" in value:
            return make_partial(kind, decode_partial(value["$secrets"], self._unseal))
        inside = self._unseal(value["$secret"])
        clear = unpickle(inside) if self._as_pickle else self.decode(from_json(inside))
        return make_literal(kind, clear)

    def _find_factory(self, factory: object) -> Callable[[], object] | None:
        if self._as_pickle:
            return cast("Callable[[], object] | None", factory)
        return next((each for each in _FACTORIES if each.__name__ == factory), None)

    def _decode_items(self, items: Json) -> Json:
        return {name: self.decode(item) for name, item in items.items()}


def _check_kind(kind: type, value: Json) -> None:
    """Refuse a class that is never encoded: a document must not be able to call it."""
    fits = {
        "$model": issubclass(kind, BaseModel),
        "$data": is_dataclass(kind),
        "$pairs": issubclass(kind, dict),
        "$items": issubclass(kind, _ITEMS),
        "$ref": issubclass(kind, MASKED),
        "$secrets": issubclass(kind, MASKED),
        "$secret": issubclass(kind, MASKED),
        "$of": True,  # made by pydantic, or one of a few types
    }
    forms = [key for key in value if key in fits]
    if len(forms) != 1 or not fits[forms[0]]:
        raise NotExact(f"a {kind.__name__} is not made of {', '.join(map(repr, value))}")


def construct(
    kind: type[M],
    values: Mapping[str, object],
    extra: Mapping[str, object] | None = None,
    private: Mapping[str, object] | None = None,
) -> M:
    """Return a model with these values, without running its validators.

    Args:
        kind: the model's class.
        values: the fields; missing ones get their defaults.
        extra: extra values, if it allows them.
        private: its private attributes; missing ones are created as for any model.
    """
    made = kind.__new__(kind)
    known = kind.model_fields
    values = {n: values[n] if n in values else _make_default(n, known[n]) for n in known}
    object.__setattr__(made, "__pydantic_fields_set__", set(values))
    allows = kind.model_config.get("extra") == "allow"
    object.__setattr__(made, "__pydantic_extra__", dict(extra or {}) if allows else None)
    object.__setattr__(made, "__pydantic_private__", None)
    object.__setattr__(made, "__dict__", dict(values))  # last: some models have the above in it
    if kind.__pydantic_post_init__:
        getattr(made, kind.__pydantic_post_init__)(None)
        made.__dict__.update(values)
        if private and made.__pydantic_private__ is not None:
            made.__pydantic_private__.update(private)
    return made


def _make_default(name: str, field: FieldInfo) -> object:
    if field.is_required():
        raise NotExact(f"there is no value for {name!r}, a field that was added since")
    return field.get_default(call_default_factory=True, validated_data={})


def find_type(name: str) -> type:
    """Return a class by ``module:name``.

    Raises:
        NotExact: there is none.
    """
    module, _, path = name.partition(":")
    try:
        found = attrgetter(path)(import_module(module))
    except (ImportError, AttributeError, ValueError):
        found = None
    if not isinstance(found, type):
        raise NotExact(f"there is no class {name!r}")
    return found


def _encode_leaf(value: object) -> object:
    """Return the JSON form that pydantic creates for a value of that type, and accepts again."""
    kind = type(value)
    try:
        form = _dump(value)
    except (PydanticUserError, PydanticSerializationError):
        raise NotExact(f"a {kind.__name__} has no JSON form") from None
    if not is_same(_decode_leaf(kind, form), value):
        raise NotExact(f"a {kind.__name__} does not come back from its JSON form")
    return form


def _dump(value: object) -> object:
    if isinstance(value, Enum):
        known = type(value).__members__
        return value.name if value.name in known else _dump(value.value)
    if isinstance(value, (bytes, bytearray)):
        return b64encode(value).decode()
    if isinstance(value, (str, int)):
        return str.__str__(value) if isinstance(value, str) else int.__int__(value)
    if isinstance(value, (float, Decimal)):
        return str(value)
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        return [value.pattern, value.flags]
    kind: type = type(value)
    return make_adapter(kind).dump_python(value, mode="json")


def _decode_leaf(kind: type, form: object) -> object:
    make: Callable[..., object] = kind
    try:
        if issubclass(kind, Enum):
            known = kind.__members__
            return known[form] if isinstance(form, str) and form in known else make(form)
        if issubclass(kind, (bytes, bytearray)):
            return make(b64decode(str(form)))
        if issubclass(kind, (str, int, float, Decimal)):
            return make(form)
        if kind is re.Pattern and isinstance(form, list):
            return re.compile(*form)
        return make_adapter(kind).validate_python(form)
    except Exception as error:
        raise NotExact(f"{kind.__name__} does not accept its saved value") from error


def is_same(one: object, other: object) -> bool:
    """Return whether two values are equal, and their parts have the same types at any depth."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    mine, theirs = _list_parts(one), _list_parts(other)
    if mine is not None and theirs is not None:
        return len(mine) == len(theirs) and all(map(is_same, mine, theirs))
    is_number = isinstance(one, (float, complex, Decimal))  # NaN is not equal to itself
    return is_equal(one, other) or (is_number and repr(one) == repr(other))


def _list_parts(value: object) -> Sequence[object] | None:
    """Return the parts of a value, in order; None for values that are compared as a whole."""
    if isinstance(value, Reference):
        return None
    if isinstance(value, MASKED):
        return [clear_value(value)]
    if isinstance(value, BaseModel):
        return [value.__dict__, value.__pydantic_extra__ or {}]
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, each.name) for each in fields(value)]
    if isinstance(value, dict):
        return [getattr(value, "default_factory", None), *value.items()]
    if isinstance(value, deque):
        return [value.maxlen, *value]
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=lambda item: (type(item).__qualname__, hash(item)))
    kind = type(value)
    # Its values are never equal.
    if getattr(kind, "__eq__", None) is object.__eq__ and kind is not object:
        return [getattr(value, "__dict__", None)]
    return None


def is_equal(one: object, other: object) -> bool:
    """Return whether two values compare equal; False if they can't be compared."""
    with suppress(Exception):  # whatever a user's type raises
        return bool(one == other)
    return False
