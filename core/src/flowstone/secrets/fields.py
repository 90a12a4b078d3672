"""Secret fields of models: they accept a reference instead of a value, without validating it."""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, is_dataclass
from inspect import get_annotations, signature
from types import ModuleType, NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ForwardRef,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import pydantic
from pydantic import BaseModel, GetCoreSchemaHandler, RootModel, ValidationInfo, field_validator
from pydantic_core import core_schema

from flowstone.secrets.reference import LITERAL, is_literal, is_reference
from flowstone.secrets.values import (
    MASKED,
    LiteralSecret,
    PartialSecret,
    Reference,
    make_literal,
    make_partial,
    make_reference,
    read_text,
)
from flowstone.secrets.walk import leaf_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: A placeholder for what is not known yet.
_UNKNOWN = ForwardRef("unknown")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class SecretField:
    """Marks a secret field, as in ``Annotated[SecretStr, SecretField(...)]``.

    Attributes:
        place: the field's name, for error messages.
        base: pydantic's secret type.
        hint: the type inside ``Secret[...]``; None for any.
    """

    place: str
    base: type
    hint: object = None

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> object:
        schema: Any = handler(source)
        schema["serialization"] = _SHOW
        return schema

    def read(self, value: object, handler: Callable[[object], object]) -> object:
        """Return a reference if the value is the text of one; else run the field's validators."""
        if isinstance(value, Reference):
            return make_reference(self.base, value.reference, self.place, self.hint)
        if isinstance(value, PartialSecret):
            return make_partial(self.base, value.tree())
        if isinstance(value, LiteralSecret):
            return value
        if issubclass(self.base, pydantic.Secret):
            value = _unmask(value)
        given: Any = value.get_secret_value() if isinstance(value, MASKED) else value
        text = read_text(given)
        if text is None:
            return handler(value)
        if is_reference(text):
            return make_reference(self.base, text, self.place, self.hint)
        if not is_literal(text):
            return handler(value)
        found = handler(given[len(LITERAL) :])
        if isinstance(found, MASKED):
            return make_literal(type(found), found.get_secret_value())
        return found


def _unmask(value: object) -> object:
    """Return the content for a `Secret`: a nested secret would only ever be seen masked."""
    if isinstance(value, (Reference, PartialSecret, LiteralSecret)):
        return value
    if isinstance(value, MASKED):
        return _unmask(value.get_secret_value())
    if isinstance(value, dict):
        return {key: _unmask(item) for key, item in value.items()}
    return [_unmask(item) for item in value] if isinstance(value, list) else value


def _show(value: object, info: core_schema.SerializationInfo) -> object:
    """Return the text of a reference for JSON, where pydantic would mask it; others unchanged."""
    return value.reference if isinstance(value, Reference) and info.mode == "json" else value


_SHOW = core_schema.plain_serializer_function_ser_schema(_show, info_arg=True)


def mark_secret_fields(kind: type[BaseModel]) -> None:
    """Mark the secret fields of a model, before its schema is built from them."""
    for name, info in kind.model_fields.items():
        secret = _secret_type(info.annotation)
        if secret is not None:
            base = get_origin(secret) or secret
            hint = _inside(secret) if issubclass(base, pydantic.Secret) else None
            # A new list, as the old one belongs to a base class. The mark is last, to surround the
            # others.
            others = [each for each in info.metadata if not isinstance(each, SecretField)]
            info.metadata = [*others, SecretField(f"{kind.__name__}.{name}", base, hint)]


def accept_references(kind: type[BaseModel]) -> None:
    """Make a model class that is being created accept references in its secret fields.

    Validators check values, and a reference is not a value. Pydantic wraps the last validator of a
    class around all others, whether they come from ``Annotated``, from `Field` or from base
    classes.
    So each class gets its own validator, which lets references bypass them.
    """
    names = [name for name, hint in _hints(kind).items() if _may_be_secret(hint, kind)]
    if names:
        validator = field_validator(*names, mode="wrap", check_fields=False)(
            classmethod(_read_field)
        )
        setattr(kind, f"_accept_references_of_{kind.__name__}", validator)


def _read_field(
    cls: type[BaseModel], value: object, handler: Callable[[object], object], info: ValidationInfo
) -> object:
    metadata = cls.model_fields[info.field_name or ""].metadata
    mark = metadata[-1] if metadata else None
    return mark.read(value, handler) if isinstance(mark, SecretField) else handler(value)


# Pydantic reads it several times per field, which would take longest of everything here.
_read_field.__dict__["__signature__"] = signature(_read_field)


def _hints(kind: type[BaseModel]) -> dict[str, object]:
    """Return the type hints of the fields of a class that is being created; some may be strings."""
    hints: dict[str, object] = {}
    for base in reversed(kind.__bases__):
        for name, info in getattr(base, "model_fields", {}).items():
            hints[name] = info.annotation
    own = get_annotations(kind)
    return hints | {name: own[name] for name in own if not name.startswith("_")}


def _may_be_secret(hint: object, kind: type) -> bool:
    """Return whether a hint may be a secret type, or one or None, before pydantic evaluates it.

    Evaluating strings would take longest of everything here: one may be secret if a name in it may.
    """
    if isinstance(hint, str):
        return any(_may_be_secret(_find(name, kind), kind) for name in _NAME.findall(hint))
    if isinstance(hint, type):
        return issubclass(hint, MASKED)
    choices = _choices(hint)
    return bool(choices) and all(
        isinstance(each, (str, ForwardRef, TypeVar, ModuleType)) or _is_masked(each)
        for each in choices
    )


def _find(name: str, kind: type) -> object:
    """Return the value of a name in the scope of a class that is being created, or None."""
    for names in (kind, sys.modules.get(kind.__module__, builtins), builtins):
        if name in vars(names):
            return vars(names)[name]
    return _UNKNOWN


def _secret_type(hint: Any) -> Any:
    """Return the secret type that a hint is, alone or with None; None for any other hint."""
    choices = _choices(hint)
    return choices[0] if choices and all(map(_is_masked, choices)) else None


def _choices(hint: object) -> list[object]:
    """Return the alternatives of a hint, except for None."""
    if isinstance(hint, type):
        return [] if hint is NoneType else [hint]
    origin = get_origin(hint)
    if origin is Annotated:
        return _choices(get_args(hint)[0])
    if origin in {Union, UnionType}:
        return [choice for part in get_args(hint) for choice in _choices(part)]
    return [] if hint is None else [hint]


def _is_masked(hint: object) -> bool:
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, MASKED)


def _inside(secret: object) -> object:
    """Return the ``T`` of a ``Secret[T]``, or of a subclass of one."""
    own = get_args(secret)
    if own:
        return own[0]
    for base in getattr(secret, "__orig_bases__", ()):
        if get_origin(base) is pydantic.Secret:
            return get_args(base)[0]
    return None


def hides(annotation: object, seen: frozenset[object] = frozenset()) -> bool:
    """Return whether a type hint contains a secret type, at any depth."""
    if _is_masked(annotation):  # `Secret[int]` is an alias of its type
        return True
    if isinstance(annotation, type) and annotation not in seen:
        inner = seen | {annotation}
        if any(hides(hint, inner) for hint in _list_fields(annotation).values()):
            return True
    return any(hides(part, seen) for part in _list_inner_hints(annotation))


def find_secret_texts(hint: object, value: object) -> Iterator[str]:
    """Yield every string of a value that is secret by its type hint, before it is validated.

    Args:
        hint: the type hint of a parameter or field.
        value: the value as passed: a string, or a dict for a model.
    """
    if _is_masked(hint):
        if isinstance(value, (str, bytes, int, float, dict, list, tuple, *MASKED)):
            yield from leaf_texts(value)
        return
    inner = _list_inner_hints(hint)
    if get_origin(hint) in {Annotated, Union, UnionType, None} and inner:
        pairs: Iterable[tuple[object, object]] = ((part, value) for part in inner)
    elif isinstance(value, Mapping):
        fields = _list_fields(hint) if isinstance(hint, type) else {}
        rest = inner[-1] if inner else None
        pairs = ((fields.get(key, rest), item) for key, item in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        if isinstance(hint, type):
            inner = list(_list_fields(hint).values())
        elif get_origin(hint) is not tuple or ... in inner:
            inner = inner[:1] * len(value)
        pairs = zip(inner, value, strict=False)
    else:
        return
    for part, item in pairs:
        yield from find_secret_texts(part, item)


def _list_inner_hints(hint: object) -> list[object]:
    """Return the type hints inside another: of a union, a container, an alias."""
    if isinstance(hint, type) and issubclass(hint, RootModel):
        return [hint.model_fields["root"].annotation]
    alias = getattr(hint, "__value__", None) or getattr(hint, "__supertype__", None)
    if alias is not None:
        return [alias]
    found = get_args(hint)
    return list(found[:1] if get_origin(hint) is Annotated else found)


def _list_fields(kind: type) -> dict[str, object]:
    """Return the type hints of the fields of a model, dataclass, typed dict or named tuple."""
    if issubclass(kind, BaseModel):
        hints: dict[str, object] = {}
        for name, info in kind.model_fields.items():
            hints |= dict.fromkeys(filter(None, (name, info.alias)), info.annotation)
        return hints
    if not (is_dataclass(kind) or is_typeddict(kind) or hasattr(kind, "_fields")):
        return {}
    with suppress(Exception):  # a hint that can't be evaluated is ignored
        return get_type_hints(kind, include_extras=True)
    return {}
