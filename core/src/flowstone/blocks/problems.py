"""What does not fit in the fields of a block, told without the values that were given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from flowstone.blocks.masked import hides, leaves
from flowstone.redaction import MASK, redact

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Shorter texts are not searched for in messages: hiding every "a" says nothing.
SHORTEST = 3
#: Pydantic puts this in a place for each block of a union; it says nothing to a person.
_WRAPPED = "function-wrap["


def masked(model: type[BaseModel], data: object, error: ValidationError) -> ValidationError:
    """Return the same error with every input replaced by asterisks, whoever catches it."""
    clear = sorted(_secret_inputs(model, data), key=len, reverse=True)
    details = [
        InitErrorDetails(
            type=PydanticCustomError(
                "block_field", "{problem}", {"problem": hide(found["msg"], clear)}
            ),
            loc=tuple(
                hide(part, clear) if isinstance(part, str) else part for part in found["loc"]
            ),
            input=MASK,
        )
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return ValidationError.from_exception_data(error.title, details, hide_input=True)


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
