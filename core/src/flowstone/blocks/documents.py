"""Blocks as documents: encode a block as a body, and decode a body to a block."""

# ruff: noqa: SLF001 - a block has its name, and whether it was changed, from here

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeGuard, TypeVar, cast

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from flowstone.blocks import codec
from flowstone.blocks.exact import (
    ExactDecoder,
    ExactEncoder,
    NotExact,
    construct,
    is_equal,
    is_same,
)
from flowstone.blocks.fitting import make_fitting_block
from flowstone.blocks.migrations import migrate_fields
from flowstone.blocks.validation import validate_fields
from flowstone.context.current import services
from flowstone.errors import (
    BlockInvalid,
    DocumentInvalid,
    FlowstoneError,
    ObjectNotFound,
    SecretKeyInvalid,
    SecretUnreadable,
)
from flowstone.plugins import registry
from flowstone.ports.paging import iterate_documents
from flowstone.secrets.fields import SecretField
from flowstone.secrets.values import PartialSecret, Reference, leave_unresolved
from flowstone.secrets.vault import read_key_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Json = dict[str, Any]

    class Documented(Protocol):
        """The attributes of a block that its document needs."""

        schema_version: ClassVar[int]
        migrations: ClassVar[Mapping[int, Callable[[Json], Json]]]
        _name: str | None
        _changed: bool

        _unfit: set[str]

        def __init__(self, **fields: object) -> None: ...
        def block_initialization(self) -> None: ...
        @classmethod
        def block_type_slug(cls) -> str: ...

    B = TypeVar("B", bound=Documented)

_trial: ContextVar[bool] = ContextVar("flowstone.blocks.is_trial", default=False)

#: The prefix of the kinds of blocks' documents.
PREFIX = "block:"
_UNSET = "it has no valid value: set it before you save the block"


def is_trial() -> bool:
    """Whether a block is only created to test whether it can be decoded: nothing is initialized."""
    return _trial.get()


def encode_block(block: Documented, types: dict[str, type] | None = None) -> Json:
    """Return a block's body.

    Args:
        block: the block to save or pickle.
        types: collects the classes for a pickle, by slug; nested blocks are encoded in full in
            a pickle. None for a document, in which nested blocks that are saved are references.

    Raises:
        BlockInvalid: a field has no JSON form, or no value since it was loaded without validation.
        SecretKeyInvalid: the key that seals secrets can't be used.
    """
    if block._unfit:
        raise BlockInvalid(type(block).__name__, dict.fromkeys(sorted(block._unfit), _UNSET))
    return _BlockEncoder(block, types).encode()


class _BlockEncoder:
    """Encodes the body of one block; see `encode_block`."""

    def __init__(self, block: Documented, types: dict[str, type] | None) -> None:
        self._block: Any = block
        self._kind, self._types = type(self._block), types
        self._slug = self._kind.block_type_slug()
        self._sealer = services().sealer
        self._nested: list[Documented] = []
        self._bodies: dict[int, Json] = {}

    def encode(self) -> Json:
        block = self._block
        if self._types is not None:
            self._types[self._slug] = self._kind
        values = {**block.__dict__, **(block.__pydantic_extra__ or {})}
        fields, unfit = self._encode_plain(values)
        body = {"type": self._slug, "schema": block.schema_version, "fields": fields}
        again = None if unfit or self._types is not None else self._decode_again(fields)
        if again is not None and is_same(again, block) and is_equal(again, block):
            return body
        exact = ExactEncoder(self._seal, self._encode_nested, as_pickle=self._types is not None)
        problems = {}
        found = {}
        for name, value in values.items():
            try:
                found[name] = exact.encode(value)
            except NotExact as error:
                problems[name] = str(error)
        if not problems:
            return {**body, "exact": found}
        if again is not None and is_same(again, block):
            return body  # except for what is not part of its value: its models' private attributes
        raise BlockInvalid(self._kind.__name__, problems)

    def _encode_plain(self, values: Mapping[str, object]) -> tuple[Json, bool]:
        """Return the fields as readable JSON, and whether some of them have no such form."""
        fields: Json = {}
        for name, value in values.items():
            with suppress(PydanticSerializationError):
                fields[name] = codec.encode(value, self._seal, self._encode_nested)
        return fields, len(fields) < len(values)

    def _decode_again(self, fields: Json) -> object:
        """Return the block as loading would; None if it can't be loaded."""
        nested = iter(self._nested)
        decoded = {
            name: codec.decode(value, self._unseal, lambda _: next(nested))
            for name, value in fields.items()
        }
        token = _trial.set(True)
        try:
            with suppress(Exception):  # whatever a user's validator raises
                return self._kind(**decoded)
            return None
        finally:
            _trial.reset(token)

    def _encode_nested(self, value: object) -> Json | None:
        if not _is_block(value):
            return None
        self._nested.append(value)
        if id(value) not in self._bodies:
            reference = _find_reference(value) if self._types is None else None
            self._bodies[id(value)] = {"$block": reference or encode_block(value, self._types)}
        return self._bodies[id(value)]

    def _seal(self, clear: bytes) -> str:
        return self._sealer.seal(clear, f"{PREFIX}{self._slug}")

    def _unseal(self, token: str) -> bytes:
        return self._sealer.open(token, f"{PREFIX}{self._slug}")


def _is_block(value: object) -> TypeGuard[Documented]:
    # By its mark: the class can't be imported here.
    return isinstance(value, BaseModel) and hasattr(value, "block_type_slug")


def _find_reference(block: Documented) -> str | None:
    """Return the reference of a block whose saved document is the same as this block."""
    name, slug = block._name, block.block_type_slug()
    if name is None or block._changed:
        return None
    try:
        services().documents.get(f"{PREFIX}{slug}", name)
    except ObjectNotFound:
        return None
    return f"{slug}/{name}"


def load_block(
    kind: type[B], slug: str, name: str, path: tuple[str, ...] = (), *, validate: bool = True
) -> B:
    """Return the block saved under a name.

    Args:
        kind: its class.
        slug: the name of the class in documents.
        name: the name that it is saved under.
        path: the references of the blocks that it is nested in.
        validate: whether its document must fit the class; if not, its valid fields are loaded.

    Raises:
        ObjectNotFound: there is none; the message lists similar names.
        DocumentInvalid: its document does not fit the class, or it is nested in itself.
        SecretKeyInvalid: the key can't be used; the message lists all blocks with secrets.
        SecretUnreadable: a secret can't be opened; the message lists all blocks that its key
            sealed.
    """
    try:
        document = services().documents.get(f"{PREFIX}{slug}", name)
    except ObjectNotFound:
        raise make_missing_error(slug, name) from None
    reference = f"{slug}/{name}"
    if reference in path:
        ring = " → ".join((*path, reference))
        raise DocumentInvalid(
            f"{slug} block", name, {"the whole block": f"it is nested in itself: {ring}"}
        )
    try:
        block = _decode(kind, dict(document.body), name, (*path, reference), validate=validate)
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
    """Return the error for a block that does not exist, with similar names."""
    kind = f"{PREFIX}{slug}"
    known = [found.name for found in iterate_documents(services().documents, kind)]
    return ObjectNotFound(f"{slug} block", name, known)


def _find_sealed(fits: Callable[[str], bool]) -> list[str]:
    """Return the references of the blocks with a matching sealed token."""
    return [
        f"{document.kind.removeprefix(PREFIX)}/{document.name}"
        for document in iterate_documents(services().documents, PREFIX, prefix=True)
        if any(fits(token) for token in codec.tokens(document.body))
    ]


def _decode(
    kind: type[B],
    body: Json,
    name: str,
    path: tuple[str, ...] = (),
    types: Mapping[str, type[Documented]] | None = None,
    *,
    validate: bool = True,
) -> B:
    """Return the block of a body; `types` are the classes that came with it in a pickle."""
    slug = kind.block_type_slug()
    try:
        fields = migrate_fields(body, (slug, name), kind.schema_version, kind.migrations)
    except DocumentInvalid:
        if validate or not isinstance(body.get("fields"), dict):
            raise
        fields = body["fields"]

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

    try:
        if "exact" in body and body["schema"] == kind.schema_version:
            exact = ExactDecoder(unseal, decode_nested, as_pickle=types is not None)
            return _revive(kind, _decode_exact(exact, body["exact"]))
        clear = {name: codec.decode(form, unseal, decode_nested) for name, form in fields.items()}
        return kind(**clear)
    except BlockInvalid as error:
        found = error.problems
    except NotExact as error:
        found = {"the whole block": str(error)}
    if not validate:
        clear = {name: codec.decode(form, unseal, decode_nested) for name, form in fields.items()}
        block, unfit = make_fitting_block(kind, clear, f"{slug}/{name}")
        block._unfit = unfit
        return block
    raise DocumentInvalid(f"{slug} block", name, found)


def _decode_exact(decoder: ExactDecoder, forms: Json) -> Json:
    try:
        return {name: decoder.decode(form) for name, form in forms.items()}
    except FlowstoneError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NotExact(f"its exact form is damaged ({type(error).__name__})") from error


def _revive(kind: type[B], values: Mapping[str, object]) -> B:
    """Return a block of values that were validated when it was created."""
    model = cast("type[BaseModel]", kind)
    known = model.model_fields
    extra = {name: value for name, value in values.items() if name not in known}
    if extra and model.model_config.get("extra") != "allow":
        raise BlockInvalid(kind.__name__, dict.fromkeys(extra, "there is no such field any more"))
    with leave_unresolved():
        made = construct(model, {n: values[n] for n in values if n in known}, extra)
    for name, field in known.items():
        value, mark = values.get(name), field.metadata[-1:]
        if isinstance(value, (Reference, PartialSecret)) and isinstance(mark[0], SecretField):
            # The mark has the field's location and type, which the encoded form lacks.
            made.__dict__[name] = mark[0].read(value, lambda value: value)
    block = cast("B", validate_fields(made, kind.__name__))
    block.block_initialization()
    return block


def unpickle_block(
    types: Mapping[str, type[Documented]], body: Json, name: str | None
) -> Documented:
    """Return the block of a pickle, from the result of `encode_block` and the block's name."""
    block = _decode(types[body["type"]], body, name or "(pickled)", types=types)
    block._name = name
    return block
