"""What does not fit in the fields of a block, told without the values that were given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from flowstone.records.redaction import MASK, redact
from flowstone.secrets.values import hides, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable

    Place = tuple[int | str, ...]

#: Shorter texts are not searched for in messages: hiding every "a" says nothing.
SHORTEST = 3
#: Pydantic puts this in a place for each block of a union; it says nothing to a person.
_WRAPPED = "function-wrap["


def masked(model: type[BaseModel], data: object, error: Exception) -> ValidationError:
    """Return the same error with every input replaced by asterisks, whoever catches it."""
    clear = sorted(_secret_inputs(model, data), key=len, reverse=True)
    if not isinstance(error, ValidationError):
        return _told(model.__name__, [((), hide(str(error), clear))])
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return _told(error.title, [(_hide_in(e["loc"], clear), hide(e["msg"], clear)) for e in found])


def refused(title: str, places: Iterable[str]) -> ValidationError:
    """Return the error of fields that were given the mask of a secret, by name."""
    problem = "it is the mask that a secret is shown as: give the secret, or leave the field out"
    return _told(title, [((place,) if place else (), problem) for place in places])


def misread(title: str, place: str, problem: str) -> ValidationError:
    """Return the error of a field that was given what can't be read, by name."""
    return _told(title, [((place,) if place else (), hide(problem, ()))])


def _told(title: str, found: list[tuple[Place, str]]) -> ValidationError:
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
        or "the whole block": found["msg"]
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    }


def hide(text: str, clear: Iterable[str]) -> str:
    """Return the text with these values, and all registered secrets, replaced by asterisks."""
    for value in clear:
        text = text.replace(value, MASK).replace(repr(value)[1:-1], MASK)
    return redact(text)


def _secret_inputs(model: type[BaseModel], data: Any) -> set[str]:
    given = data if isinstance(data, dict) else getattr(data, "__dict__", {})
    return {
        text
        for name, field in model.model_fields.items()
        if hides(field.annotation)
        for key in (name, field.alias)
        for text in leaves(given.get(key))
        if len(text) >= SHORTEST
    }
