"""Checks whether a parameter can be restored from the record of its run.

This calls no validators of models, as they have already seen the value. A restart does call them,
and compares the restored value with the record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Union, get_type_hints

from flowstone.calls.hints import Check, Hint, Value, make_check, split_hint
from flowstone.records.encoding import is_exact

#: Takes the stored form of a value, and the value.
Restorer = Callable[[Value, Value], bool]


def make_restorer(hint: Hint) -> Restorer:
    """Return a function that returns whether a hint restores a value from its stored form."""
    restores = _make_restorer(hint)
    return lambda kept, value: kept == value if is_exact(value) else restores(kept, value)


def _make_restorer(hint: Hint) -> Restorer:
    origin, args = split_hint(hint)
    if origin is Annotated:
        return _make_restorer(args[0])
    if origin in {Union, UnionType}:
        choices = [each for each in args if each is not NoneType]
        if len(choices) == 1:
            return _make_restorer(choices[0])
    if not _calls_code(hint):
        return partial(_comes_back, make_check(hint))
    if isinstance(hint, type):
        return _make_fields_restorer(hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _make_values_restorer(args)
    if isinstance(origin, type) and issubclass(origin, Sequence) and len({*args, ...}) == 2:
        return _make_items_restorer(make_restorer(args[0]))
    return lambda _kept, _value: False


def _comes_back(check: Check, kept: Value, value: Value) -> bool:
    try:
        again = check(kept)
        return type(again) is type(value) and bool(again == value)
    except Exception:  # noqa: BLE001 - what can't be compared is not the same
        return False


def _make_fields_restorer(kind: Hint) -> Restorer:
    made: dict[str, Restorer] = {}  # created when needed: a class may refer to itself

    def restores(kept: Value, value: Value) -> bool:
        if type(value) is not kind or not isinstance(kept, dict) or value_has_more(value):
            return False
        if not made:
            hints = get_type_hints(kind, include_extras=True)
            made.update({name: make_restorer(hints[name]) for name in names})
        return kept.keys() == made.keys() and all(
            each(kept[name], getattr(value, name)) for name, each in made.items()
        )

    def value_has_more(value: Value) -> bool:
        return bool(
            getattr(value, "__pydantic_extra__", None)
            or getattr(value, "__pydantic_private__", None)
        )

    if is_dataclass(kind):
        names = {each.name for each in fields(kind) if each.init}
        return restores
    by_name = kind.model_config.get("populate_by_name") or kind.model_config.get("validate_by_name")
    named = kind.model_fields.items()
    names = {name for name, field in named if by_name or field.validation_alias is None}
    return restores


def _make_items_restorer(item: Restorer) -> Restorer:
    return lambda kept, value: (
        type(value) in {list, tuple}
        and len(kept) == len(value)
        and all(item(each, other) for each, other in zip(kept, value, strict=True))
    )


def _make_values_restorer(args: tuple[Hint, ...]) -> Restorer:
    item = make_restorer(args[-1])
    return lambda kept, value: (
        type(value) is dict
        and list(kept) == list(value)
        and all(item(each, value[name]) for name, each in kept.items())
    )


def _calls_code(hint: Hint) -> bool:
    """Return whether values of a hint are validated by user-defined functions."""
    if isinstance(hint, type) and not (is_dataclass(hint) or hasattr(hint, "model_fields")):
        return False
    # pydantic takes 40 ms to import; a flow with plain JSON arguments doesn't need it.
    from pydantic import PydanticUserError, TypeAdapter
    from pydantic_core import SchemaError

    try:
        return _has_functions(TypeAdapter(hint).core_schema)
    except (PydanticUserError, SchemaError, TypeError):
        return False


def _has_functions(schema: object) -> bool:
    if isinstance(schema, (list, tuple)):
        return any(map(_has_functions, schema))
    if not isinstance(schema, dict):
        return False
    function = schema.get("function")
    if isinstance(function, dict):
        function = function.get("function")
    called = [function, schema.get("custom_init")]
    if schema.get("post_init"):
        called.append(getattr(schema["cls"], "model_post_init", schema["cls"]))
    return any(each and not _is_of_pydantic(each) for each in called) or any(
        _has_functions(part)
        for key, part in schema.items()
        if key not in {"serialization", "metadata"}
    )


def _is_of_pydantic(function: Value) -> bool:
    function = getattr(function, "func", function)
    return str(getattr(function, "__module__", "")).partition(".")[0].startswith("pydantic")
