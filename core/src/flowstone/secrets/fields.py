"""References in the place of secret values: kept and shown as they are, resolved where read."""

# ruff: noqa: SLF001 - pydantic keeps a secret's value in an attribute that begins so

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, get_args, get_origin

import pydantic
from pydantic import BaseModel, SecretBytes, SecretStr, TypeAdapter, ValidationError
from pydantic_core import core_schema

from flowstone.context.current import services
from flowstone.errors import ReferenceUnresolved
from flowstone.secrets.reference import LITERAL, escaped, is_literal, is_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Path = tuple[str, ...]

MASKED = (SecretStr, SecretBytes, pydantic.Secret)

#: While fields are validated or dumped, a reference gives its own text: nothing is read for that.
_as_text: ContextVar[bool] = ContextVar("flowstone.blocks.as_text", default=False)


@contextmanager
def unresolved(wanted: bool = True) -> Iterator[None]:
    """Let references inside give their texts, or with False what they lead to, as elsewhere."""
    token = _as_text.set(wanted)
    try:
        yield
    finally:
        _as_text.reset(token)


class Reference:
    """A secret value that is not here: `get_secret_value` fetches it, in the run that asks.

    An instance is one of pydantic's secret types, too: that of its field.

    Attributes:
        reference: the text: ``env:NAME``.
        place: the field that it was given for, for errors.
    """

    _secret_value: Any
    reference: str
    place: str
    _hint: Any = None

    def get_secret_value(self) -> Any:
        """Return the secret.

        Raises:
            ReferenceUnresolved: it leads nowhere, or to something that does not fit.
        """
        if _as_text.get():
            return self._secret_value
        raw = services().references.resolve(self.reference, self.place)
        if self.form == "bytes":
            return raw
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = None
        if text is not None:
            if self.form == "str":
                return text
            fitting = self._fitting(text)
            if fitting:
                return fitting[0]
        problem = "it is not UTF-8 text" if text is None else "what is there does not fit the field"
        # What shows tracebacks with the variables of each frame finds no secret in this one.
        del raw, text
        raise self._unfit(problem)

    @property
    def form(self) -> str:
        """What the field holds: ``str``, ``bytes``, or ``json`` for what `Secret` has inside."""
        base = _plain(type(self))
        if issubclass(base, SecretStr):
            return "str"
        return "bytes" if issubclass(base, SecretBytes) else "json"

    def _fitting(self, text: str) -> tuple[Any, ...]:
        """Return what ``Secret[...]`` has inside, alone: JSON, where it takes no text; or ()."""
        if self._hint in {None, Any, str}:
            return (text,)
        adapter = _adapter(self._hint)
        for read in (adapter.validate_json, adapter.validate_python):
            try:
                return (read(text),)
            except ValidationError:
                continue
        return ()

    def _unfit(self, problem: str) -> ReferenceUnresolved:
        remedy = "Put a value that fits there, or refer to another."
        return ReferenceUnresolved(self.reference, problem, remedy, self.place)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.reference == other.reference

    def __hash__(self) -> int:
        return hash(self.reference)

    def __len__(self) -> int:
        return len(self.reference)

    def _display(self) -> str:
        return self.reference

    def __reduce__(self) -> tuple[Any, ...]:
        return refer, (_plain(type(self)), self.reference, self.place, self._hint)


class Partly:
    """A container of secret values some of which are references; these are `Reference`s in it."""

    _secret_value: Any

    def get_secret_value(self) -> Any:
        """Return the container with each reference resolved.

        Raises:
            ReferenceUnresolved: one leads nowhere.
        """
        return _clear(self._secret_value)

    def tree(self) -> Any:
        """Return the container with the references in it."""
        return self._secret_value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Partly) and self._secret_value == other._secret_value

    __hash__ = None  # type: ignore[assignment]

    def _display(self) -> str:
        return "**********"

    def __reduce__(self) -> tuple[Any, ...]:
        return partly, (_plain(type(self)), self._secret_value)


class Literal:
    """A secret text that looks like a reference, and is none."""

    _secret_value: Any

    def get_secret_value(self) -> Any:
        """Return the text; to a validator, as it was written."""
        value = self._secret_value
        if not _as_text.get():
            return value
        return LITERAL.encode() + value if isinstance(value, bytes) else LITERAL + value

    def __reduce__(self) -> tuple[Any, ...]:
        return literal, (_plain(type(self)), self._secret_value)


@lru_cache(maxsize=256)
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


@cache
def _mixed(mark: type, base: type) -> type[Any]:
    """Return a type that is both, and called as pydantic's: who asks for that finds it."""
    return type(base.__name__, (mark, base), {"__module__": base.__module__})


def _plain(kind: type) -> type:
    return kind.__bases__[1]


def refer(base: type, reference: str, place: str = "", hint: Any = None) -> Any:
    """Return a reference in the place of a secret of that type."""
    value = reference.encode() if issubclass(base, SecretBytes) else reference
    found = _mixed(Reference, base)(value)
    found.reference, found.place, found._hint = reference, place, hint
    return found


def partly(base: type, tree: Any) -> Any:
    """Return a secret container with references in it."""
    return _mixed(Partly, base)(tree)


def literal(base: Any, value: object) -> Any:
    """Return a secret that is no reference, whatever it looks like."""
    text = _text(value)
    looks = text is not None and escaped(text) != text
    return _mixed(Literal, base)(value) if looks else base(value)


def _clear(tree: Any) -> Any:
    if isinstance(tree, Reference):
        return tree.get_secret_value()
    if isinstance(tree, dict):
        return {key: _clear(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_clear(item) for item in tree]
    return escaped(tree) if isinstance(tree, str) and _as_text.get() else tree


def placed(value: object, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every masked value and every reference inside a value, with the keys that lead there.

    It looks into models, blocks and containers, and not into what it yields.
    """
    if isinstance(value, (Reference, Partly, *MASKED)):
        yield path, value
        return
    inside: Iterable[tuple[object, object]] = ()
    if isinstance(value, BaseModel):
        inside = ((name, value.__dict__.get(name)) for name in type(value).model_fields)
    elif isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, (list, tuple, set, frozenset)):
        inside = enumerate(value)
    for key, item in inside:
        yield from placed(item, (*path, str(key)))


def referred(value: object) -> Iterator[Reference]:
    """Yield every reference inside a value: in models, blocks and containers too."""
    for _, each in placed(value):
        if isinstance(each, Reference):
            yield each
        elif isinstance(each, Partly):
            yield from referred(each.tree())


# ---------------------------------------------------------------- texts become references


def adopted(value: Any, place: str) -> Any:
    """Return a validated value with the texts of references in it made references.

    Raises:
        ValueError: one is misspelt.
    """
    if isinstance(value, (Reference, Partly, Literal)):
        return value
    if isinstance(value, MASKED):
        return _read(value, place)
    if isinstance(value, BaseModel):
        # A block inside has seen to itself, or has been told by hand what it is.
        for name in type(value).model_fields:
            if name in value.__dict__:
                value.__dict__[name] = adopted(value.__dict__[name], f"{place}.{name}")
        return value
    if isinstance(value, dict):
        return _same(value, {k: adopted(v, f"{place}.{k}") for k, v in value.items()})
    if isinstance(value, list):
        return _same(value, [adopted(item, f"{place}.{at}") for at, item in enumerate(value)])
    if type(value) in {tuple, set, frozenset}:
        return type(value)(adopted(item, place) for item in value)
    return value


def _same(old: Any, new: Any) -> Any:
    """Return the old container where nothing has changed in it: it may be of a type of its own."""
    pairs = zip(_items(old), _items(new), strict=True)
    return old if all(one is other for one, other in pairs) else new


def _items(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container


def _read(value: Any, place: str) -> Any:
    inside, base = value._secret_value, type(value)
    text = _text(inside)
    if text is not None:
        if is_reference(text):
            return refer(base, text, place)
        return _unmarked(value) if is_literal(text) else value
    if isinstance(inside, (dict, list)):
        tree = _tree(inside, place)
        return value if tree is inside else partly(base, tree)
    return value


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace") if len(value) < 4096 else None
    return value if isinstance(value, str) else None


def _unmarked(value: Any) -> Any:
    return literal(type(value), value._secret_value[len(LITERAL) :])


def _tree(value: Any, place: str) -> Any:
    if isinstance(value, str):
        if is_reference(value):
            return refer(SecretStr, value, place)
        return value.removeprefix(LITERAL)
    if isinstance(value, dict):
        return _same(value, {k: _tree(v, f"{place}.{k}") for k, v in value.items()})
    if isinstance(value, list):
        return _same(value, [_tree(item, f"{place}.{at}") for at, item in enumerate(value)])
    return value


# ---------------------------------------------------------------- fields that take them


def opened(schema: Any, kind: type[BaseModel]) -> Any:
    """Let the secret fields of a model's schema take references past their own validators.

    These judge a value; a reference is none.
    """
    inner = schema
    while inner.get("type") not in {"model-fields", None}:
        inner = inner.get("schema") or {}
    for name, field in inner.get("fields", {}).items():
        info = kind.model_fields.get(name)
        secret = _secret_type(info.annotation) if info is not None else None
        if secret is not None:
            _open(field, _reader(secret, f"{kind.__name__}.{name}"))
    return schema


def _secret_type(hint: Any) -> Any:
    """Return the secret type that a hint is, or is beside None; None for any other hint."""
    if _is_masked(hint):
        return hint
    if isinstance(hint, type):
        return None
    parts = [part for part in get_args(hint) if part is not type(None)]
    return parts[0] if parts and all(map(_is_masked, parts)) else None


def _is_masked(hint: Any) -> bool:
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, MASKED)


def _open(field: dict[str, Any], read: Callable[..., Any]) -> None:
    holder = field
    while holder["schema"]["type"] == "default":
        holder = holder["schema"]
    dump = core_schema.plain_serializer_function_ser_schema(_dumped, info_arg=True)
    holder["schema"] = core_schema.no_info_wrap_validator_function(
        read, holder["schema"], serialization=dump
    )


def _dumped(value: Any, info: core_schema.SerializationInfo) -> Any:
    """Return what JSON shows of a secret field: its reference, or a mask; else the field."""
    if info.mode != "json" or not isinstance(value, MASKED):
        return value
    shown = value._display()
    return shown.decode() if isinstance(shown, bytes) else shown


def _reader(secret: Any, place: str) -> Callable[..., Any]:
    base = get_origin(secret) or secret
    hint = _inside(secret) if issubclass(base, pydantic.Secret) else None

    def read(value: Any, handler: Callable[[Any], Any]) -> Any:
        if isinstance(value, Reference):
            return refer(base, value.reference, place, hint)
        if isinstance(value, Partly):
            return partly(base, value.tree())
        if isinstance(value, Literal):
            return value
        text = _text(value._secret_value if isinstance(value, MASKED) else value)
        if text is None:
            return handler(value)
        if is_reference(text):
            return refer(base, text, place, hint)
        if not is_literal(text):
            return handler(value)
        inside = value._secret_value if isinstance(value, MASKED) else value
        found = handler(inside[len(LITERAL) :])
        return literal(type(found), found._secret_value) if isinstance(found, MASKED) else found

    return read


def _inside(secret: Any) -> Any:
    """Return the ``T`` of a ``Secret[T]``, or of a subclass of one."""
    own = get_args(secret)
    if own:
        return own[0]
    for base in getattr(secret, "__orig_bases__", ()):
        if get_origin(base) is pydantic.Secret:
            return get_args(base)[0]
    return None
