"""Blocks as documents: the body that a block is saved as, and the block that a body is of."""

# ruff: noqa: SLF001 - a block has its name, and whether it was changed, from here

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeGuard, TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from flowstone.blocks import codec
from flowstone.blocks.migrations import migrate_fields
from flowstone.context.current import services
from flowstone.errors import (
    BlockInvalid,
    DocumentInvalid,
    ObjectNotFound,
    SecretKeyInvalid,
    SecretUnreadable,
)
from flowstone.plugins import registry
from flowstone.secrets.vault import read_key_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Json = dict[str, Any]

    class Documented(Protocol):
        """What a block is to its document."""

        schema_version: ClassVar[int]
        migrations: ClassVar[Mapping[int, Callable[[Json], Json]]]
        _name: str | None
        _changed: bool

        def __init__(self, **fields: object) -> None: ...
        @classmethod
        def block_type_slug(cls) -> str: ...

    B = TypeVar("B", bound=Documented)

#: What the kinds of blocks' documents begin with.
PREFIX = "block:"


def encode_block(block: Documented, types: dict[str, type] | None = None) -> Json:
    """Return a block's body.

    Args:
        block: what is saved or pickled.
        types: collects the classes that are in a pickle, by slug; all blocks inside are whole in
            one. None for a document, in which those that are saved are references.

    Raises:
        BlockInvalid: a field has no JSON form.
        SecretKeyInvalid: the key that seals secrets can't be used.
    """
    kind: Any = type(block)
    slug, secrets = kind.block_type_slug(), services().sealer
    if types is not None:
        types[slug] = kind

    def encode_nested(value: object) -> Json | None:
        if not _is_block(value):
            return None
        if types is None and (reference := _find_reference(value)):
            return {"$block": reference}
        return {"$block": encode_block(value, types)}

    def seal(clear: bytes) -> str:
        return secrets.seal(clear, f"{PREFIX}{slug}")

    fields = {}
    for field in kind.model_fields:
        try:
            fields[field] = codec.encode(block.__dict__[field], seal, encode_nested)
        except PydanticSerializationError:
            problem = f"a {type(block.__dict__[field]).__name__} has no JSON form"
        else:
            continue
        raise BlockInvalid(kind.__name__, {field: problem})
    return {"type": slug, "schema": block.schema_version, "fields": fields}


def _is_block(value: object) -> TypeGuard[Documented]:
    # By its mark: the class stands above this module.
    return isinstance(value, BaseModel) and hasattr(value, "block_type_slug")


def _find_reference(block: Documented) -> str | None:
    """Return the reference of a block that is in the store as it is here."""
    name, slug = block._name, block.block_type_slug()
    if name is None or block._changed:
        return None
    try:
        services().documents.get(f"{PREFIX}{slug}", name)
    except ObjectNotFound:
        return None
    return f"{slug}/{name}"


def load_block(kind: type[B], slug: str, name: str, path: tuple[str, ...] = ()) -> B:
    """Return the block that is saved under a name.

    Args:
        kind: its class.
        slug: what documents know the class by.
        name: what it is saved under.
        path: the references of the blocks that it is in.

    Raises:
        ObjectNotFound: there is none; near names are told.
        DocumentInvalid: its document does not fit the class, or it is in itself.
        SecretKeyInvalid: the key can't be used; all blocks with secrets are named.
        SecretUnreadable: a secret can't be opened; all blocks that its key sealed are named.
    """
    try:
        document = services().documents.get(f"{PREFIX}{slug}", name)
    except ObjectNotFound:
        raise make_missing_error(slug, name) from None
    reference = f"{slug}/{name}"
    if reference in path:
        ring = " → ".join((*path, reference))
        raise DocumentInvalid(
            f"{slug} block", name, {"the whole block": f"it is in itself: {ring}"}
        )
    try:
        block = _decode(kind, document.body, name, (*path, reference))
    except SecretKeyInvalid as error:
        affected = _find_sealed(lambda _: True)
        raise SecretKeyInvalid(error.source, error.problem, affected) from error
    except SecretUnreadable as error:
        if error.affected:
            raise
        problem, key = error.problem, error.key
        same = _find_sealed(lambda token: read_key_id(token) == key)
        affected = same if key else [reference]
        raise SecretUnreadable(f"of block {reference!r}", problem, affected, key) from error
    block._name = name
    return block


def make_missing_error(slug: str, name: str) -> ObjectNotFound:
    """Return the error of a block that is not there, with near names."""
    kind = f"{PREFIX}{slug}"
    known = [found.name for found in services().documents.find(kind) if found.kind == kind]
    return ObjectNotFound(f"{slug} block", name, known)


def _find_sealed(fits: Callable[[str], bool]) -> list[str]:
    """Return the references of the blocks with a sealed token that fits."""
    return [
        f"{document.kind.removeprefix(PREFIX)}/{document.name}"
        for document in services().documents.find(PREFIX)
        if any(fits(token) for token in codec.tokens(document.body))
    ]


def _decode(
    kind: type[B],
    body: Mapping[str, object],
    name: str,
    path: tuple[str, ...] = (),
    types: Mapping[str, type[Documented]] | None = None,
) -> B:
    """Return the block of a body; `types` are the classes that came with it in a pickle."""
    slug = kind.block_type_slug()
    fields = migrate_fields(body, (slug, name), kind.schema_version, kind.migrations)

    def unseal(token: str) -> bytes:
        return services().sealer.open(token, f"{PREFIX}{slug}")

    def decode_nested(value: str | Json) -> object:
        if isinstance(value, str):
            inner, _, inner_name = value.rpartition("/")
            saved: object = load_block(registry.find_block_type(inner), inner, inner_name, path)
            return saved
        inner = value["type"]
        found = (types or {}).get(inner) or registry.find_block_type(inner)
        return _decode(found, value, name, path, types)

    clear = {field: codec.decode(value, unseal, decode_nested) for field, value in fields.items()}
    try:
        return kind(**clear)
    except BlockInvalid as error:
        found = error.problems
    raise DocumentInvalid(f"{slug} block", name, found)


def unpickle_block(
    types: Mapping[str, type[Documented]], body: Mapping[str, Any], name: str | None
) -> Documented:
    """Return the block of a pickle: of `encode_block`'s body and types, and the block's name."""
    block = _decode(types[body["type"]], body, name or "(pickled)", types=types)
    block._name = name
    return block
