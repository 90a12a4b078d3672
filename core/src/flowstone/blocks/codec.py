"""Field values as JSON and back: sealed secrets, and a ``$`` key for types that JSON lacks."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, PydanticUserError, Secret, SecretBytes, SecretStr, TypeAdapter
from pydantic_core import PydanticSerializationError, from_json, to_json, to_jsonable_python

from flowstone.secrets.reference import escape
from flowstone.secrets.values import (
    MASKED,
    PartialSecret,
    Reference,
    make_literal,
    make_partial,
    make_reference,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowstone.secrets.values import Masked

    Json = dict[str, Any]


_KINDS: dict[str, Any] = {"str": SecretStr, "bytes": SecretBytes, "json": Secret}


def encode(value: Any, seal: Callable[[bytes], str], special: Callable[[Any], Json | None]) -> Any:
    """Return the JSON form of a value; `special` returns that of blocks, and None for the rest."""
    if (own := special(value)) is not None:
        return own
    if isinstance(value, Reference):
        return _encode_reference(value)
    if isinstance(value, PartialSecret):
        return {"$secrets": encode_partial(value.tree(), seal)}
    if isinstance(value, MASKED):
        return _seal(value, seal)
    if isinstance(value, BaseModel):
        extra = value.__pydantic_extra__ or {}
        value = {name: value.__dict__[name] for name in type(value).model_fields} | extra
    if is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, dict):
        keys = to_jsonable_python(dict.fromkeys(value))
        items = (encode(item, seal, special) for item in value.values())
        body = dict(zip(keys, items, strict=True))
        return {"$dict": body} if any(key.startswith("$") for key in body) else body
    if isinstance(value, (list, tuple, set, frozenset)):
        return [encode(item, seal, special) for item in value]
    if isinstance(value, bytes):
        return {"$bytes": b64encode(value).decode()}
    try:
        return to_jsonable_python(value)
    except PydanticSerializationError:
        return _dump_by_type(type(value), value)


def _dump_by_type(kind: type, value: object) -> object:
    """Return the JSON form that pydantic has for a type, but not for its values by themselves."""
    try:
        return make_adapter(kind).dump_python(value, mode="json")
    except PydanticUserError as error:
        raise PydanticSerializationError(str(error)) from None


def make_adapter(kind: type) -> TypeAdapter[object]:
    """Return a type adapter that converts a type's values to JSON."""
    return TypeAdapter(kind)


def _seal(value: Masked, seal: Callable[[bytes], str]) -> Json:
    if isinstance(value, SecretBytes):
        return {"$secret": seal(value.get_secret_value()), "as": "bytes"}
    kind = "str" if isinstance(value, SecretStr) else "json"
    return {"$secret": seal(to_json(value.get_secret_value(), bytes_mode="base64")), "as": kind}


def _encode_reference(value: Reference) -> Json:
    """Return a reference in plain text: it is not secret."""
    body = {"$ref": value.reference}
    return body if value.form == "str" else {**body, "as": value.form}


def encode_partial(tree: object, seal: Callable[[bytes], str]) -> object:
    """Return a container of secrets with each of them sealed, and its references in plain text."""
    if isinstance(tree, Reference):
        return _encode_reference(tree)
    if isinstance(tree, dict):
        return {key: encode_partial(item, seal) for key, item in tree.items()}
    if isinstance(tree, list):
        return [encode_partial(item, seal) for item in tree]
    return {"$secret": seal(to_json(tree, bytes_mode="base64")), "as": "json"}


def decode(value: object, unseal: Callable[[str], bytes], block: Callable[[Any], object]) -> Any:
    """Return the encoded value; pydantic then converts models, paths and dates."""
    if isinstance(value, list):
        return [decode(item, unseal, block) for item in value]
    if not isinstance(value, dict):
        return value
    if "$block" in value:
        return block(value["$block"])
    if "$bytes" in value:
        return b64decode(value["$bytes"])
    if "$ref" in value:
        return make_reference(_KINDS[value.get("as", "str")], value["$ref"])
    if "$secrets" in value:
        return make_partial(Secret, decode_partial(value["$secrets"], unseal))
    if "$secret" in value:
        clear = unseal(value["$secret"])
        if value["as"] == "bytes":
            return make_literal(SecretBytes, clear)
        if value["as"] == "str":
            return make_literal(SecretStr, from_json(clear))
        return _escape_all(from_json(clear))
    body = value.get("$dict", value)
    return {key: decode(item, unseal, block) for key, item in body.items()}


def decode_partial(value: Any, unseal: Callable[[str], bytes]) -> Any:
    """Return the container that was passed to `encode_partial`."""
    if isinstance(value, list):
        return [decode_partial(item, unseal) for item in value]
    if "$ref" in value:
        return make_reference(SecretStr, value["$ref"])
    if "$secret" in value:
        return from_json(unseal(value["$secret"]))
    return {key: decode_partial(item, unseal) for key, item in value.items()}


def _escape_all(value: object) -> object:
    """Return a plain value whose strings are not mistaken for references."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {key: _escape_all(item) for key, item in value.items()}
    return [_escape_all(item) for item in value] if isinstance(value, list) else value


def reseal(value: object, purpose: str, again: Callable[[str, str], str]) -> Any:
    """Return a document's body with each token replaced by ``again(token, purpose)``."""
    if isinstance(value, list):
        return [reseal(item, purpose, again) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("$secret"), str):
        return {**value, "$secret": again(value["$secret"], purpose)}
    if isinstance(value.get("$dict"), dict):  # a user's own keys, whatever their names
        inner = {key: reseal(item, purpose, again) for key, item in value["$dict"].items()}
        return {"$dict": inner}
    if "fields" in value and isinstance(value.get("type"), str):
        purpose = f"block:{value['type']}"
    return {key: reseal(item, purpose, again) for key, item in value.items()}


def tokens(value: object) -> Iterator[str]:
    """Yield every sealed token in a document's body."""
    if isinstance(value, dict):
        if isinstance(value.get("$secret"), str):
            yield value["$secret"]
            return
        own = value.get("$dict")  # a user's own keys, whatever their names
        for item in (own if isinstance(own, dict) else value).values():
            yield from tokens(item)
    elif isinstance(value, list):
        for item in value:
            yield from tokens(item)
