"""The fields of a saved block for display, and how displayed fields are applied again.

Of a secret, only whether it is set is displayed; a reference to one is displayed as it is. When
applied, that means: keep the secret. So applying what was displayed changes nothing, and a mask
never replaces a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from flowstone.blocks import codec
from flowstone.blocks.base import Block
from flowstone.errors import BlockInvalid, ConfigurationError, FlowstoneError, PluginError
from flowstone.plugins import registry
from flowstone.secrets.fields import hides
from flowstone.secrets.reference import escape
from flowstone.secrets.values import PartialSecret
from flowstone.secrets.walk import leaf_texts, secret_texts, walk_clear

if TYPE_CHECKING:
    from collections.abc import Mapping


#: Keys with a meaning in displayed fields; a user's own dict with one of them is under ``$dict``.
_SPECIAL = ({"set"}, {"block"}, {"type", "fields"}, {"$bytes"}, {"$dict"})


def redact_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a block's body; secrets as ``{"set": …}``."""
    hints = _hints(str(body["type"]))
    return {name: _redact(value, hints.get(name)) for name, value in body["fields"].items()}


def _hints(slug: str) -> dict[str, object]:
    """Return the type hints of a block type's fields; none if the type can't be loaded."""
    try:
        fields = registry.find_block_type(slug).model_fields
    except (PluginError, ConfigurationError):
        return {}
    return {name: field.annotation for name, field in fields.items()}


def _redact(value: object, hint: object) -> object:
    if isinstance(value, list):
        return [_redact(item, None) for item in value]
    if not isinstance(value, dict):
        hidden = hint is not None and hides(hint) and _model(hint) is None
        return {"set": bool(value)} if hidden else value
    if "$secret" in value:
        return {"set": True}
    if "$ref" in value:
        return value["$ref"]
    if "$secrets" in value:
        return _redact_partial(value["$secrets"])
    if "$block" in value:
        inner = value["$block"]
        if isinstance(inner, str):
            return {"block": inner}
        return {"type": inner["type"], "fields": redact_fields(inner)}
    if "$bytes" in value:
        return value
    model = _model(hint)
    hints = {} if model is None else {n: f.annotation for n, f in model.model_fields.items()}
    plain = value.get("$dict", value)
    shown = {name: _redact(item, hints.get(name)) for name, item in plain.items()}
    return {"$dict": shown} if set(shown) in _SPECIAL else shown


def _redact_partial(tree: Any) -> Any:
    """Return a container of secrets, with its references unchanged."""
    if isinstance(tree, list):
        return [_redact_partial(item) for item in tree]
    if "$ref" in tree or "$secret" in tree:
        return tree.get("$ref", {"set": True})
    return {key: _redact_partial(item) for key, item in tree.items()}


def _model(hint: object) -> type[BaseModel] | None:
    """Return the model that a type hint allows, or None."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    found = (_model(part) for part in getattr(hint, "__args__", ()))
    return next((model for model in found if model is not None), None)


def apply_redacted(block: Block, body: Mapping[str, Any], fields: Mapping[str, Any]) -> Block:
    """Return a saved block with displayed fields applied, some of which may have been changed.

    Args:
        block: the block as loaded.
        body: the body of its document, which was displayed.
        fields: as `redact_fields` returns them; fields that are missing keep their values.

    Raises:
        BlockInvalid: a field is not valid, or says that a secret is set when none is.
    """
    kind = type(block)
    was = redact_fields(body)
    wrong: dict[str, str] = {}
    values = {**block.__dict__, **(block.__pydantic_extra__ or {})}
    for name, value in fields.items():
        if name not in values:
            wrong[name] = "there is no such field"
            continue
        try:
            values[name] = _value(value, was.get(name), values[name])
        except _Refused as refused:
            wrong[".".join((name, *refused.path))] = refused.problem
    if wrong:
        raise BlockInvalid(kind.__name__, wrong)
    changed = kind(**values)
    changed._name = block._name  # noqa: SLF001 - it is the same one, with other fields
    return block if changed == block else changed


def from_redacted(
    kind: type[Block],
    fields: Mapping[str, object],
    old: Block | None,
    body: Mapping[str, object] | None,
) -> Block:
    """Return a block made of displayed fields alone.

    Args:
        kind: its type.
        fields: as `redact_fields` returns them; fields that are missing get their defaults.
        old: the block saved under its name; None if there is none.
        body: the body of its document.

    Raises:
        BlockInvalid: a field is not valid, or says that a secret is set when none is.
    """
    same = old if type(old) is kind else None
    was = redact_fields(body) if same is not None and body is not None else {}
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, value in fields.items():
        try:
            values[name] = _value(value, was.get(name), same.__dict__.get(name) if same else None)
        except _Refused as refused:
            wrong[".".join((name, *refused.path))] = refused.problem
    if wrong:
        raise BlockInvalid(kind.__name__, wrong)
    return kind(**(_keep_unmentioned(fields, was, same) | values))


def _keep_unmentioned(shown: Mapping[str, Any], was: Any, old: Any) -> dict[str, Any]:
    """Return the secrets that are saved and not mentioned, which the user could not enter again."""
    kept = was.items() if isinstance(was, dict) else ()
    return {
        key: _look_up(old, key) for key, each in kept if each == {"set": True} and key not in shown
    }


def find_new_secrets(block: Block, old: Block | None) -> list[str]:
    """Return the dotted paths of the secrets that differ from those of the old block."""
    kept = set(secret_texts(old)) if old is not None else set()
    return [
        ".".join(path)
        for path, secret in walk_clear(block)
        if any(text and text not in kept for text in leaf_texts(secret))
    ]


class _Refused(Exception):
    """A displayed value that can't be applied."""

    def __init__(self, problem: str, *path: str) -> None:
        self.problem, self.path = problem, path


def _value(shown: Any, was: Any, old: Any) -> Any:
    """Return the value that a displayed value stands for, given the old value it was made from."""
    if shown == was:
        return old
    if isinstance(shown, list):
        return [
            _below(str(place), item, _look_up(was, place), _look_up(old, place))
            for place, item in enumerate(shown)
        ]
    if not isinstance(shown, dict):
        return shown
    keys = set(shown)
    if keys == {"set"}:
        return _unset(shown["set"])
    if keys == {"block"}:
        return _load(shown["block"])
    if keys == {"type", "fields"}:
        return _rebuild_block(shown, was, old)
    if keys == {"$bytes"}:
        return codec.decode(shown, lambda _: b"", lambda _: None)
    if keys == {"$dict"}:
        shown, was = shown["$dict"], _look_up(was, "$dict")
    values = {
        key: _below(key, item, _look_up(was, key), _look_up(old, key))
        for key, item in shown.items()
    }
    return _keep_unmentioned(shown, was, old) | values


def _below(key: str, shown: object, was: object, old: object) -> object:
    try:
        return _value(shown, was, old)
    except _Refused as refused:
        raise _Refused(refused.problem, key, *refused.path) from None


def _unset(is_set: object) -> None:
    if is_set:
        raise _Refused("it says that a secret is set, but none is: pass its value")


def _load(reference: object) -> Block:
    try:
        return Block.load(str(reference))
    except FlowstoneError as error:
        raise _Refused(str(error)) from error


def _rebuild_block(shown: dict[str, Any], was: Any, old: Any) -> Block:
    """Return a block that is nested in another one."""
    kind = registry.find_block_type(str(shown["type"]))
    same = type(old) is kind and isinstance(was, dict) and was.get("type") == shown["type"]
    before = was["fields"] if same else {}
    values = {name: old.__dict__[name] for name in kind.model_fields} if same else {}
    for name, value in shown["fields"].items():
        values[name] = _below(name, value, before.get(name), values.get(name))
    found: Block = kind(**values)
    return found


def _look_up(container: Any, key: Any) -> Any:
    """Return the item of a dict or list, or the field of a model."""
    if isinstance(container, PartialSecret):
        found = _look_up(container.tree(), key)
        return escape(found) if isinstance(found, str) else found
    if isinstance(container, BaseModel):
        return container.__dict__.get(key)
    if isinstance(container, dict):
        return container.get(key)
    is_there = (
        isinstance(container, (list, tuple)) and isinstance(key, int) and key < len(container)
    )
    return container[key] if is_there else None
