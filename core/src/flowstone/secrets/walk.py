"""Walk over all secrets in a value, including models, blocks and containers."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from operator import is_
from typing import TYPE_CHECKING

from pydantic import BaseModel, SecretStr

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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from flowstone.secrets.values import Masked

    Path = tuple[str, ...]


def map_secrets(value: object, change: Callable[[Path, Masked], object], path: Path = ()) -> object:
    """Return a value with each secret and reference replaced by ``change(path, secret)``.

    Models are changed in place; a container is only replaced if something in it has changed, since
    it may have another type.

    Args:
        value: the value.
        change: takes the keys that lead to a secret, and the secret; returns its replacement, or
            the secret itself.
        path: the keys that lead to the value.
    """
    if isinstance(value, MASKED):
        return change(path, value)
    if isinstance(value, BaseModel):
        fields = value.__dict__
        for name in type(value).model_fields:
            if name in fields:
                new = map_secrets(fields[name], change, (*path, name))
                if new is not fields[name]:
                    fields[name] = new
        extra = value.__pydantic_extra__ or {}
        for key, new in _map_items(extra.items(), change, path).items():
            extra[str(key)] = new
        return value
    if is_dataclass(value) and not isinstance(value, type):
        for each in dataclass_fields(value):
            old = getattr(value, each.name, None)
            new = map_secrets(old, change, (*path, each.name))
            if new is not old:
                object.__setattr__(value, each.name, new)  # works for frozen models, too
        return value
    if isinstance(value, dict):
        changed = _map_items(value.items(), change, path)
        return {**value, **changed} if changed else value
    if not isinstance(value, (list, tuple, set, frozenset)):
        return value
    changed = _map_items(enumerate(value), change, path)
    if not changed:
        return value
    items = [changed.get(at, item) for at, item in enumerate(value)]
    if isinstance(value, list):
        return items
    return getattr(value, "_make", type(value))(items)  # a named tuple takes them one by one


def _map_items(
    items: Iterable[tuple[object, object]], change: Callable[[Path, Masked], object], path: Path
) -> dict[object, object]:
    """Return the items of a container that have changed, with their new values."""
    changed = {}
    for key, item in items:
        new = map_secrets(item, change, (*path, str(key)))
        if new is not item:
            changed[key] = new
    return changed


def walk_secrets(value: object) -> list[tuple[Path, Masked]]:
    """Return every secret and every reference inside a value, with the keys that lead there."""
    found: list[tuple[Path, Masked]] = []

    def note(path: Path, secret: Masked) -> object:
        found.append((path, secret))
        return secret

    map_secrets(value, note)
    return found


def walk_clear(value: object) -> Iterator[tuple[Path, object]]:
    """Yield every secret inside a value, in plain text, with the keys that lead to it.

    References are skipped, and not resolved.
    """
    for path, secret in walk_secrets(value):
        if not isinstance(secret, Reference):
            yield path, clear_value(secret)


def clear_value(secret: Masked) -> object:
    """Return the content of a secret, with references in it unchanged; None for a reference."""
    if isinstance(secret, Reference):
        return None
    if isinstance(secret, PartialSecret):
        return secret.tree()
    if isinstance(secret, LiteralSecret):
        return secret.literal()
    return secret.get_secret_value()


def secret_texts(value: object) -> Iterator[str]:
    """Yield every secret text inside a value, including models and containers."""
    for _, secret in walk_clear(value):
        yield from leaf_texts(secret)


def leaf_texts(value: object) -> Iterator[str]:
    """Yield every text inside a value, masked or not; numbers as they are printed."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (bytes, bytearray)):
        yield bytes(value).decode("utf-8", "backslashreplace")
    elif isinstance(value, MASKED):
        yield from leaf_texts(clear_value(value))
    elif isinstance(value, BaseModel):
        yield from leaf_texts(value.__dict__)
    elif isinstance(value, dict):
        for item in value.values():
            yield from leaf_texts(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from leaf_texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def find_references(value: object) -> Iterator[Reference]:
    """Yield every reference inside a value, including models, blocks and containers."""
    for _, secret in walk_secrets(value):
        if isinstance(secret, Reference):
            yield secret
        elif isinstance(secret, PartialSecret):
            yield from find_references(secret.tree())


def parse_references(value: object, place: str, visit: Callable[[Path, object], None]) -> object:
    """Return a validated value with the texts of references in it converted to references.

    Args:
        value: a block, or the value of one field.
        place: its name, for error messages.
        visit: called with every secret that is not a reference, in plain text, and the keys that
            lead to it.

    Raises:
        ValueError: a reference is misspelled.
    """

    def parse(path: Path, secret: Masked) -> object:
        parsed = _parse(secret, ".".join((place, *path)))
        if not isinstance(parsed, Reference):
            visit(path, clear_value(parsed))
        return parsed

    return map_secrets(value, parse)


def _parse(secret: Masked, place: str) -> Masked:
    if isinstance(secret, (Reference, PartialSecret, LiteralSecret)):
        return secret
    inside = secret.get_secret_value()
    text = read_text(inside)
    if text is not None:
        if is_reference(text):
            return make_reference(type(secret), text, place)
        return make_literal(type(secret), inside[len(LITERAL) :]) if is_literal(text) else secret
    tree = _parse_tree(inside, place)
    return secret if tree is inside else make_partial(type(secret), tree)


def _parse_tree(value: object, place: str) -> object:
    """Return the content of a secret container with its references converted."""
    if isinstance(value, str):
        if is_reference(value):
            return make_reference(SecretStr, value, place)
        return value.removeprefix(LITERAL)
    if isinstance(value, dict):
        new = {key: _parse_tree(item, f"{place}.{key}") for key, item in value.items()}
        return value if all(new[key] is item for key, item in value.items()) else new
    if isinstance(value, list):
        items = [_parse_tree(item, f"{place}.{at}") for at, item in enumerate(value)]
        return value if all(map(is_, items, value)) else items
    return value
