"""Validation of block fields: accept references, refuse masks, register secrets.

Error messages don't contain the values that were passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from flowstone.records.redaction import MASK, redact, register
from flowstone.secrets.fields import hides
from flowstone.secrets.walk import leaf_texts, parse_references

if TYPE_CHECKING:
    from collections.abc import Iterable

    Place = tuple[int | str, ...]

#: Shorter texts are not masked in messages: hiding every "a" would be useless.
SHORTEST = 3
#: Pydantic's mask has ten asterisks, and that of log lines eight.
SHORTEST_MASK = 8
#: Pydantic adds this to the location for each block of a union; it means nothing to a user.
_WRAPPED = "function-wrap["
_MASK_GIVEN = "it is the mask that a secret is shown as: pass the secret, or omit the field"


def validate_fields(value: object, title: str, field: str = "") -> object:
    """Return a block, or the value of one field, with references in it converted.

    From now on, its secrets are masked in everything that leaves the process.

    Args:
        value: the value that pydantic has validated.
        title: the block type's name.
        field: the name of the field; empty for a whole block.

    Raises:
        ValidationError: a reference is malformed, or a secret is only a mask.
    """
    texts: list[str] = []
    masks: dict[str, None] = {}

    def visit(path: tuple[str, ...], secret: object) -> None:
        found = list(leaf_texts(secret))
        if _is_shown(secret) or any(map(_is_mask, found)):
            masks[field or (path[0] if path else "")] = None
        texts.extend(found)

    try:
        value = parse_references(value, f"{title}.{field}" if field else title, visit)
    except ValueError as error:
        problem = str(error)
    else:
        if masks:
            raise _make_error(title, [(_place(name), _MASK_GIVEN) for name in masks])
        for text in texts:
            register(text)
        return value
    raise _make_error(title, [(_place(field), hide(problem, ()))])


def _is_mask(text: str) -> bool:
    return len(text) >= SHORTEST_MASK and not text.strip("*")


def _is_shown(secret: object) -> bool:
    """Return whether it is what `block show --json` prints in place of a secret."""
    return isinstance(secret, dict) and len(secret) == 1 and isinstance(secret.get("set"), bool)


def _place(field: str) -> Place:
    return (field,) if field else ()


def mask_inputs(model: type[BaseModel], data: object, error: Exception) -> ValidationError:
    """Mask every input in a validation error, so that no handler can show it."""
    clear = sorted(_secret_inputs(model, data), key=len, reverse=True)
    if not isinstance(error, ValidationError):
        return _make_error(model.__name__, [((), hide(str(error), clear))])
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [(_hide_in(each["loc"], clear), hide(each["msg"], clear)) for each in found]
    return _make_error(error.title, told)


def _make_error(title: str, found: list[tuple[Place, str]]) -> ValidationError:
    details = [
        InitErrorDetails(
            type=PydanticCustomError("block_field", "{problem}", {"problem": problem}),
            loc=place,
            input=MASK,
        )
        for place, problem in found
    ]
    return ValidationError.from_exception_data(title, details, hide_input=True)


def _hide_in(place: Place, clear: list[str]) -> Place:
    return tuple(hide(part, clear) if isinstance(part, str) else part for part in place)


def problems(error: ValidationError) -> dict[str, str]:
    """Return the problems by the dotted path of their field."""
    return {
        ".".join(part for part in map(str, found["loc"]) if not part.startswith(_WRAPPED))
        or "the whole block": found["msg"].removeprefix("Value error, ")
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    }


def hide(text: str, clear: Iterable[str]) -> str:
    """Return the text with these values, and all registered secrets, replaced by asterisks."""
    for value in clear:
        text = text.replace(value, MASK).replace(repr(value)[1:-1], MASK)
    return redact(text)


def _secret_inputs(model: type[BaseModel], data: object) -> set[str]:
    given = data if isinstance(data, dict) else getattr(data, "__dict__", {})
    return {
        text
        for name, field in model.model_fields.items()
        if hides(field.annotation)
        for key in (name, field.alias)
        for text in leaf_texts(given.get(key))
        if len(text) >= SHORTEST
    }
