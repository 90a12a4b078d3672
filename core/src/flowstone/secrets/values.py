"""Secret values in fields: the types that mask them, and a walk that finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pydantic
from pydantic import BaseModel

from flowstone.secrets.fields import MASKED, Partly, Reference, placed

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Pydantic's has ten asterisks, and that of log lines eight.
SHORTEST_MASK = 8


class SecretDict(pydantic.Secret[dict[str, Any]]):
    """A dict whose values are all secret; `get_secret_value` returns it."""


def texts(value: object) -> Iterator[str]:
    """Yield every secret text inside a value, models and containers included."""
    for secret in secrets(value):
        yield from leaves(secret)


def secrets(value: object) -> Iterator[object]:
    """Yield every secret inside a value, in clear; a reference is none, and is not resolved."""
    return (secret for _, secret in secrets_placed(value))


def secrets_placed(value: object) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield every secret inside a value, in clear, with the keys that lead to it."""
    for path, each in placed(value):
        if isinstance(each, Partly):
            yield path, each.tree()
        elif not isinstance(each, Reference):
            yield path, each.get_secret_value()


def masks(value: object) -> list[str]:
    """Return the fields whose secret is only the mask that secrets are shown as.

    Somebody has read a block, and gives it back as it was shown.
    """
    fields = value.__dict__ if isinstance(value, BaseModel) else {"": value}
    return [name for name, each in fields.items() if any(map(_is_mask, secrets(each)))]


def _is_mask(secret: object) -> bool:
    if isinstance(secret, dict) and set(secret) == {"set"} and isinstance(secret["set"], bool):
        return True  # as `block show --json` has it
    return any(len(text) >= SHORTEST_MASK and not text.strip("*") for text in leaves(secret))


def leaves(value: object) -> Iterator[str]:
    """Yield every text inside a value, masked or not; numbers as they are printed."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (bytes, bytearray)):
        yield bytes(value).decode("utf-8", "backslashreplace")
    elif isinstance(value, MASKED):
        yield from leaves(next(secrets(value), None))
    elif isinstance(value, BaseModel):
        yield from leaves(value.__dict__)
    elif isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def hides(annotation: object, seen: frozenset[object] = frozenset()) -> bool:
    """Whether a type hint has a secret type in it, at any depth."""
    if isinstance(annotation, type):
        if issubclass(annotation, MASKED):
            return True
        if issubclass(annotation, BaseModel) and annotation not in seen:
            fields = annotation.model_fields.values()
            return any(hides(field.annotation, seen | {annotation}) for field in fields)
    origin = getattr(annotation, "__origin__", None)  # `Secret[int]` is an alias of its type
    if isinstance(origin, type) and issubclass(origin, MASKED):
        return True
    return any(hides(part, seen) for part in getattr(annotation, "__args__", ()))
