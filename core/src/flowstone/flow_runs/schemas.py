"""Input of runs as JSON schemas, which can be filled in and validated without the model's class."""

from __future__ import annotations

import datetime as dt
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import pydantic
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, create_model
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import to_jsonable_python

from flowstone.blocks.validation import mask_inputs, problems
from flowstone.errors import ConfigurationError, suggest_names
from flowstone.flow_runs.requests import Schema, is_secret, resolve_reference
from flowstone.records.redaction import register_secrets
from flowstone.secrets.values import MASKED

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMATS: dict[str, Any] = {
    "date": dt.date,
    "date-time": dt.datetime,
    "time": dt.time,
    "duration": dt.timedelta,
    "uuid": UUID,
    "password": SecretStr,
}
_TYPES: dict[str, Any] = {"integer": int, "number": float, "boolean": bool, "null": None}
#: The names of pydantic's constraints in JSON schema.
_LIMITS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "pattern": "pattern",
}


def make_model(wanted: Any) -> type[BaseModel]:
    """Return the model of the requested input; for any other type, one with the field ``value``."""
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        return wanted
    return create_model("Input", value=(wanted, ...))


def make_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a model.

    Raises:
        ConfigurationError: one of its fields has none.
    """
    try:
        return model.model_json_schema()
    except PydanticInvalidForJsonSchema as error:
        raise ConfigurationError(
            f"wait_for_input={model.__name__}",
            f"one of its fields has no JSON schema: {error}",
            "Use strings, numbers, dates, choices, lists, and models of these.",
        ) from error


def make_form(schema: Schema) -> type[BaseModel]:
    """Return a model that validates by a schema; unknown keywords are ignored."""
    return _make_model(schema, schema.get("$defs", {}), schema.get("title", "Input"), 0)


def find_misfits(
    schema: Schema, given: Mapping[str, object], what: str = "field"
) -> dict[str, str]:
    """Return what is wrong with the input, by field, without any values.

    Args:
        schema: the JSON schema of the input.
        given: the input.
        what: what a name of the input stands for: a field, or a parameter.
    """
    known = schema.get("properties", {})
    strange = {
        name: f"there is no such {what}.{suggest_names(name, known)}"
        for name in given
        if name not in known and not schema.get("additionalProperties")
    }
    form = make_form(schema)
    try:
        form.model_validate(given)
    except ValidationError as error:
        return {**strange, **problems(mask_inputs(form, given, error))}
    return strange


def fill_in(model: type[BaseModel], given: Mapping[str, object]) -> BaseModel | dict[str, str]:
    """Return the input as the flow's own model, or its validation errors, by field."""
    try:
        found = model.model_validate(given)
    except ValidationError as error:
        return problems(mask_inputs(model, given, error))
    register_secrets(found)
    return found


def dump_plain(value: object) -> Any:
    """Return input as JSON values, with secrets in plain text: it is sealed before it is stored."""
    if isinstance(value, MASKED):
        return dump_plain(value.get_secret_value())
    if isinstance(value, BaseModel):
        return {name: dump_plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {str(key): dump_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [dump_plain(item) for item in value]
    return to_jsonable_python(value)


def _make_model(schema: Schema, definitions: Schema, name: str, depth: int) -> type[BaseModel]:
    required = schema.get("required", ())
    fields: dict[str, Any] = {}
    for key, part in schema.get("properties", {}).items():
        hint = _make_hint(part, definitions, depth + 1)
        default: Any = ...
        if key not in required:
            hint = hint | None if hint is not None and part.get("default", ...) is None else hint
            default = "" if is_secret(part, definitions) else part.get("default")
        description = part.get("description")
        fields[f"f{len(fields)}"] = (
            hint,
            pydantic.Field(default, alias=key, description=description),
        )
    return create_model(name, __config__=ConfigDict(extra="allow"), **fields)


def _make_hint(part: Schema, definitions: Schema, depth: int) -> Any:
    """Return the type hint of a part of a schema."""
    part = resolve_reference(part, definitions)
    if depth > 20:  # it may be recursive
        return Any
    if "enum" in part or "const" in part:
        return Literal[tuple(part.get("enum", (part.get("const"),)))]
    if "anyOf" in part:
        hints = [_make_hint(each, definitions, depth + 1) for each in part["anyOf"]]
        return Any if Any in hints else reduce(or_, hints)
    limits = {_LIMITS[key]: value for key, value in part.items() if key in _LIMITS}
    hint = _make_bare_hint(part, definitions, depth)
    return Annotated[hint, pydantic.Field(**limits)] if limits else hint


def _make_bare_hint(part: Schema, definitions: Schema, depth: int) -> object:
    match part.get("type"):
        case "string":
            return _FORMATS.get(part.get("format", ""), str)
        case "array" if "items" in part:
            return list[_make_hint(part["items"], definitions, depth + 1)]  # type: ignore[misc]
        case "array":
            return list[Any]
        case "object" if "properties" in part:
            return _make_model(part, definitions, part.get("title", "Input"), depth)
        case "object":
            values = part.get("additionalProperties")
            of = _make_hint(values, definitions, depth + 1) if isinstance(values, dict) else Any
            return dict[str, of]  # type: ignore[valid-type]
        case str() as kind if kind in _TYPES:
            return _TYPES[kind]
    return Any


__all__ = ["dump_plain", "fill_in", "find_misfits", "make_form", "make_model", "make_schema"]
