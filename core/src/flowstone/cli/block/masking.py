"""The fields of a saved block as they may be shown: no secret is ever opened for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from flowstone.blocks import registry
from flowstone.blocks.masked import hides
from flowstone.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping


def shown_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a block's body; secrets as ``{"set": …}``."""
    hints = _hints(str(body["type"]))
    return {name: _shown(value, hints.get(name)) for name, value in body["fields"].items()}


def _hints(slug: str) -> dict[str, Any]:
    """Return the type hints of a block type's fields; none where it can't be loaded."""
    try:
        fields = registry.block_type(slug).model_fields
    except PluginError:
        return {}
    return {name: field.annotation for name, field in fields.items()}


def _shown(value: Any, hint: Any) -> Any:
    if isinstance(value, list):
        return [_shown(item, None) for item in value]
    if not isinstance(value, dict):
        hidden = hint is not None and hides(hint) and _model(hint) is None
        return {"set": bool(value)} if hidden else value
    if "$secret" in value:
        return {"set": True}
    if "$block" in value:
        inner = value["$block"]
        if isinstance(inner, str):
            return {"block": inner}
        return {"type": inner["type"], "fields": shown_fields(inner)}
    if "$bytes" in value:
        return value
    model = _model(hint)
    hints = {} if model is None else {n: f.annotation for n, f in model.model_fields.items()}
    return {name: _shown(item, hints.get(name)) for name, item in value.get("$dict", value).items()}


def _model(hint: Any) -> type[BaseModel] | None:
    """Return the model that a type hint allows, if it does."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    found = (_model(part) for part in getattr(hint, "__args__", ()))
    return next((model for model in found if model is not None), None)
