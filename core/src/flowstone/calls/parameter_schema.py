"""The JSON schema of a function's parameters, derived from their type hints."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError, to_jsonable_python

if TYPE_CHECKING:
    from flowstone.calls.hints import Hint
    from flowstone.calls.parameters import Parameters
    from flowstone.records.codec import Json

#: A prefix, so that names of parameters don't collide with pydantic's own methods.
_PREFIX = "parameter_"


def make_parameter_schema(parameters: Parameters) -> dict[str, object]:
    """Return the JSON schema of a call's parameters.

    A parameter whose type hint has no JSON schema accepts any value. Variadic parameters are
    omitted: ``*args`` can't be passed by name, and ``**kwargs`` accepts any name.
    """
    fields: Json = {}
    takes_more = False
    for name, parameter in parameters.signature.parameters.items():
        takes_more |= parameter.kind is inspect.Parameter.VAR_KEYWORD
        if parameter.kind in {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}:
            continue
        hint = parameters.hints.get(name, object)
        hint = hint if _has_schema(hint) else object
        is_required = parameter.default is inspect.Parameter.empty
        default = ... if is_required else _find_json(parameter.default)
        fields[f"{_PREFIX}{name}"] = (hint, Field(default, alias=name, title=name))
    config = ConfigDict(arbitrary_types_allowed=True)
    model: type[BaseModel] = create_model(parameters.name, __config__=config, **fields)
    schema = model.model_json_schema()
    return {**schema, "additionalProperties": takes_more}


def _has_schema(hint: Hint) -> bool:
    try:
        TypeAdapter(hint).json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError):
        return False
    return True


def _find_json(default: object) -> object:
    """Return a default as a JSON value; None if JSON can't represent it."""
    try:
        return to_jsonable_python(default)
    except PydanticSerializationError:
        return None
