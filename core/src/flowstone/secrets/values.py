"""Secret values: pydantic's types that mask them, and the references that replace them."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import pydantic
from pydantic import SecretBytes, SecretStr, TypeAdapter, ValidationError

from flowstone.context.current import services
from flowstone.errors import ReferenceUnresolved
from flowstone.secrets.reference import LITERAL, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MASKED = (SecretStr, SecretBytes, pydantic.Secret)

#: While fields are validated or dumped, a reference returns its own text, and nothing is read.
_as_text: ContextVar[bool] = ContextVar("flowstone.secrets.as_text", default=False)


@contextmanager
def leave_unresolved(wanted: bool = True) -> Iterator[None]:
    """Make references return their texts; with False, the secrets they name, as by default."""
    token = _as_text.set(wanted)
    try:
        yield
    finally:
        _as_text.reset(token)


class SecretDict(pydantic.Secret[dict[str, Any]]):
    """A dict whose values are all secret; `get_secret_value` returns it."""


class Reference:
    """A reference to a secret: `get_secret_value` reads it, in the run that calls it.

    An instance is also one of pydantic's secret types: that of its field.

    Attributes:
        reference: the text: ``env:NAME``.
        place: the field that it was passed for, for error messages.
        hint: the type inside the field's ``Secret[...]``; None for any.
    """

    _secret_value: Any
    reference: str
    place: str
    hint: object

    def get_secret_value(self) -> object:
        """Return the secret.

        Raises:
            ReferenceUnresolved: it can't be resolved, or the value does not fit the field.
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
            fitting = self._fit(text)
            if fitting:
                return fitting[0]
        problem = "it is not UTF-8 text" if text is None else "the value is not valid for the field"
        # So that tools that show local variables in tracebacks don't reveal the secret.
        del raw, text
        remedy = "Store a valid value there, or refer to another secret."
        raise ReferenceUnresolved(self.reference, problem, remedy, self.place)

    @property
    def form(self) -> str:
        """The field's content: ``str``, ``bytes``, or ``json`` for the content of a `Secret`."""
        base = get_masked_type(type(self))
        if issubclass(base, SecretStr):
            return "str"
        return "bytes" if issubclass(base, SecretBytes) else "json"

    def _fit(self, text: str) -> tuple[object, ...]:
        """Return the content for ``Secret[...]`` in a tuple, as JSON if it can't be text; or ()."""
        if self.hint in {None, Any, str}:
            return (text,)
        adapter = _adapter(self.hint)
        for read in (adapter.validate_json, adapter.validate_python):
            try:
                return (read(text),)
            except ValidationError:
                continue
        return ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.reference == other.reference

    def __hash__(self) -> int:
        return hash(self.reference)

    def __len__(self) -> int:
        return len(self.reference)

    def _display(self) -> str:
        return self.reference

    def __reduce__(self) -> tuple[object, ...]:
        return make_reference, (get_masked_type(type(self)), self.reference, self.place, self.hint)


class PartialSecret:
    """A container of secret values of which some are `Reference`s."""

    _secret_value: Any

    def get_secret_value(self) -> object:
        """Return the container with each reference resolved.

        Raises:
            ReferenceUnresolved: one can't be resolved.
        """
        return _resolve(self._secret_value)

    def tree(self) -> object:
        """Return the container with the references in it."""
        return self._secret_value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartialSecret) and self._secret_value == other.tree()

    __hash__ = None  # type: ignore[assignment]

    def _display(self) -> str:
        return "**********"

    def __reduce__(self) -> tuple[object, ...]:
        return make_partial, (get_masked_type(type(self)), self._secret_value)


class LiteralSecret:
    """A secret text that looks like a reference but is not one."""

    _secret_value: Any

    def get_secret_value(self) -> object:
        """Return the text; to a validator, as it was written."""
        value = self._secret_value
        if not _as_text.get():
            return value
        return LITERAL.encode() + value if isinstance(value, bytes) else LITERAL + value

    def literal(self) -> object:
        """Return the text, even to a validator."""
        return self._secret_value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, get_masked_type(type(self))):
            return NotImplemented
        if isinstance(other, (Reference, PartialSecret)):
            return False
        # Not `get_secret_value`, which for a validator returns the text as it was written.
        return bool(self._secret_value == vars(other)["_secret_value"])

    def __hash__(self) -> int:
        return hash(self._secret_value)

    def __reduce__(self) -> tuple[object, ...]:
        return make_literal, (get_masked_type(type(self)), self._secret_value)


Masked = SecretStr | SecretBytes | pydantic.Secret[Any] | Reference | PartialSecret | LiteralSecret


@lru_cache(maxsize=256)
def _adapter(hint: Any) -> TypeAdapter[object]:
    return TypeAdapter(hint)


@cache
def _mix(mark: type, base: type) -> type[Any]:
    """Return a type that is both and has the name of pydantic's type, so that checks find it."""
    return type(base.__name__, (mark, base), {"__module__": base.__module__})


def get_masked_type(kind: type) -> type:
    """Return pydantic's type of the two that `_mix` has combined."""
    return kind.__bases__[1]


def make_reference(base: type, reference: str, place: str = "", hint: object = None) -> Masked:
    """Return a reference in place of a secret of that type.

    Args:
        base: pydantic's secret type.
        reference: the text.
        place: the field that it is passed for, for error messages.
        hint: the type inside ``Secret[...]``; None for any.
    """
    value = reference.encode() if issubclass(base, SecretBytes) else reference
    made: Reference = _mix(Reference, base)(value)
    made.reference, made.place, made.hint = reference, place, hint
    return made


def make_partial(base: type, tree: object) -> Masked:
    """Return a secret container with references in it."""
    made: PartialSecret = _mix(PartialSecret, base)(tree)
    return made


def make_literal(base: Callable[[Any], Masked], value: object) -> Masked:
    """Return a secret that is not a reference, even if it looks like one."""
    text = read_text(value)
    looks = text is not None and escape(text) != text
    return _mix(LiteralSecret, base)(value) if looks else base(value)


def read_text(value: object) -> str | None:
    """Return a possible reference as text; None if the value can't be one."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace") if len(value) < 4096 else None
    return value if isinstance(value, str) else None


def _resolve(tree: object) -> object:
    if isinstance(tree, Reference):
        return tree.get_secret_value()
    if isinstance(tree, dict):
        return {key: _resolve(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_resolve(item) for item in tree]
    return escape(tree) if isinstance(tree, str) and _as_text.get() else tree
