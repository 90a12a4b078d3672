"""Block: typed fields with a name, saved as a document and loaded as what they were."""

# ruff: noqa: SLF001 - the names of this file's own classes

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from pydantic_core import PydanticSerializationError, core_schema

from flowstone.blocks import codec
from flowstone.blocks.admission import admitted
from flowstone.blocks.migrations import migrated
from flowstone.blocks.validation import masked, problems
from flowstone.context.current import services
from flowstone.errors import (
    BlockInvalid,
    ConfigurationError,
    DocumentInvalid,
    InvalidName,
    ObjectAlreadyExists,
    ObjectNotFound,
    SecretKeyInvalid,
    SecretUnreadable,
)
from flowstone.plugins import registry
from flowstone.secrets.fields import opened, unresolved
from flowstone.secrets.renewal import renew_in
from flowstone.secrets.vault import sealed_with

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

    Json = dict[str, Any]

Migration = Callable[[dict[str, Any]], dict[str, Any]]


class Block(BaseModel):
    """Typed fields that are saved by name, secrets sealed; subclass it to make a block type.

    A block type needs no registration: a class is known where it is defined, and a package lists
    its types in its plugin's `Collection`.
    """

    model_config = ConfigDict(
        extra="forbid",
        validate_assignment=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )

    #: Shown to people; the class name where it is None.
    _block_type_name: ClassVar[str | None] = None
    #: What documents know the type by; made from the name of the type where it is None.
    _block_type_slug: ClassVar[str | None] = None
    _description: ClassVar[str | None] = None
    _logo_url: ClassVar[str | None] = None
    _documentation_url: ClassVar[str | None] = None
    _code_example: ClassVar[str | None] = None
    #: An interface names here what a refused login ends: it is tried again where a secret that is
    #: given by reference may have been changed meanwhile.
    _tried_again: ClassVar[tuple[str, ...]] = ()
    #: One more whenever saved documents would not fit any longer.
    schema_version: ClassVar[int] = 1
    #: ``migrations[n]`` takes the fields as version n saved them, and returns those of n + 1.
    #: Sealed secrets are opaque in them: they may be moved, not read.
    migrations: ClassVar[Mapping[int, Migration]] = {}

    _name: str | None = PrivateAttr(default=None)
    _changed: bool = PrivateAttr(default=False)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
            return
        except ValidationError as error:
            found = problems(error)
        # Outside the `except`, and rid of the inputs: reports show contexts, and frames' variables.
        del fields
        raise BlockInvalid(type(self).__name__, found)

    # Pydantic's mark for an `__init__` like its own: without it, errors of a block in another
    # model would lose their place.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        renew_in(cls, cls._tried_again)
        registry.define(cls.block_type_slug(), cls)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        # Around everything, a subclass's own validators too.
        schema = opened(handler(source), cls)
        return core_schema.no_info_wrap_validator_function(cls._validate, schema)

    @classmethod
    def _validate(cls, data: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            with unresolved():
                block = handler(data)
            if block is not data or not isinstance(block, Block):
                block = admitted(block, cls.__name__)
                if isinstance(block, Block) and not isinstance(data, Block):
                    with unresolved(False):
                        block.block_initialization()
            return block
        except (ValueError, AssertionError) as error:  # pydantic's own is a ValueError
            told = masked(cls, data, error)
        raise told

    def block_initialization(self) -> None:
        """Override to prepare a block whose fields are set, made or loaded."""

    if not TYPE_CHECKING:
        # Not a property, so that a block type may have a field called `name`.
        def __getattr__(self, item):
            return self._name if item == "name" else super().__getattr__(item)
    else:

        @property
        def name(self) -> str | None:
            """The name that the block was saved or loaded under; None till then."""

    def __setattr__(self, name: str, value: Any) -> None:
        before = self.__dict__.get(name)
        try:
            super().__setattr__(name, value)
            if name not in type(self).model_fields:
                return
            given, self.__dict__[name] = self.__dict__[name], before
            self.__dict__[name] = admitted(given, type(self).__name__, name)
        except ValidationError as error:
            found = problems(masked(type(self), {name: value}, error))
        else:
            self._changed = True
            return
        del value, before
        raise BlockInvalid(type(self).__name__, found)

    @model_serializer(mode="wrap")
    def _dumped(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Pydantic asks each secret for its value, be it only to mask it.
        with unresolved():
            fields: dict[str, Any] = handler(self)
        return fields

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; unlike in pydantic, what is updated is validated: secrets stay masked."""
        copied = super().model_copy(deep=deep)
        left, update = [*(update or {}).items()][::-1], None
        while left:  # so that no frame of a traceback has what is wrong
            setattr(copied, *left.pop())
        return copied

    def __eq__(self, other: object) -> bool:
        # A name, and what a subclass keeps in private attributes, are no part of a block's value.
        if type(self) is not type(other):
            return NotImplemented
        return all(self.__dict__[f] == other.__dict__[f] for f in type(self).model_fields)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle carries what a document would: secrets sealed with this process's key.
        types: dict[str, type[Block]] = {}
        body = _encode(self, inline=True, types=types)
        return _unpickle, (types, body, self._name)

    @classmethod
    def block_type_name(cls) -> str:
        """Return the name of the type, for people."""
        return cls.__dict__.get("_block_type_name") or cls.__name__

    @classmethod
    def block_type_slug(cls) -> str:
        """Return what documents know the type by: ``local-directory``."""
        own = cls.__dict__
        title = own.get("_block_type_name")
        named = registry.slugify(title) if title else registry.kebab(cls.__name__)
        return own.get("_block_type_slug") or named

    def save(self, name: str | None = None, overwrite: bool = False) -> int:
        """Save under a name, and return the version: 1 at first, one more with each save.

        A nested block that was itself saved, and not changed since, is kept as a reference.

        Args:
            name: None saves under the name that the block has.
            overwrite: whether something saved under that name may be replaced.

        Raises:
            InvalidName: there are other characters than letters, digits and ``-_.`` in it.
            ObjectAlreadyExists: the name is taken.
            SecretKeyInvalid: the key that seals secrets can't be used.
        """
        return self._save_over(None if overwrite else 0, name)

    def _save_over(self, expected: int | None, name: str | None = None) -> int:
        """Save over the version that is expected; None is any, 0 is none."""
        slug = self.block_type_slug()
        name = registry.check_name("block", self._name if name is None else name)
        body = _encode(self)
        try:
            document = services().documents.put(f"block:{slug}", name, body, expected=expected)
        except ObjectAlreadyExists:
            remedy = "Pass overwrite=True to replace it, or choose another name."
            raise ObjectAlreadyExists(f"{slug} block", name, remedy) from None
        self._name, self._changed = name, False
        return document.version

    @classmethod
    def load(cls, name: str) -> Self:
        """Load what was saved under a name, or under ``"slug/name"``.

        Raises:
            ObjectNotFound: nothing of this type is saved under the name; near ones are named.
            DocumentInvalid: the document does not fit the type, nor does a migration help.
            SecretUnreadable: it was sealed with another key; all blocks it sealed are named.
            UnknownName: no installed package has that type.
        """
        slug, name = _reference(cls, name)
        kind = cls if slug == cls.block_type_slug() else registry.block_type(slug)
        if not issubclass(kind, cls):
            raise ConfigurationError(
                f"{cls.__name__}.load({f'{slug}/{name}'!r})",
                f"it is a {kind.__name__}, not a {cls.__name__}",
                "Load it with Block.load, or name another.",
            )
        loaded = _load(kind, slug, name, ())
        assert isinstance(loaded, cls)
        return loaded

    @classmethod
    def delete(cls, name: str) -> None:
        """Delete what is saved under a name, or under ``"slug/name"``.

        Raises:
            ObjectNotFound: nothing of this type is saved under the name.
        """
        slug, name = _reference(cls, name)
        try:
            services().documents.delete(f"block:{slug}", name)
        except ObjectNotFound:
            raise _missing(slug, name) from None

    async def asave(self, name: str | None = None, overwrite: bool = False) -> int:
        """Do as `save`, and let other coroutines run meanwhile."""
        return await asyncio.to_thread(self.save, name, overwrite)

    @classmethod
    async def aload(cls, name: str) -> Self:
        """Do as `load`, and let other coroutines run meanwhile."""
        return await asyncio.to_thread(cls.load, name)

    @classmethod
    async def adelete(cls, name: str) -> None:
        """Do as `delete`, and let other coroutines run meanwhile."""
        await asyncio.to_thread(cls.delete, name)


def _reference(cls: type[Block], name: str) -> tuple[str, str]:
    slug, slash, rest = str(name).rpartition("/")
    if slash:
        return slug, registry.check_name("block", rest)
    if cls is Block:
        raise InvalidName("block", name, "Block.load wants 'type-slug/name', as 'secret/token'")
    return cls.block_type_slug(), registry.check_name("block", name)


def _missing(slug: str, name: str) -> ObjectNotFound:
    known = [d.name for d in services().documents.find(f"block:{slug}") if d.kind[6:] == slug]
    return ObjectNotFound(f"{slug} block", name, known)


def _encode(
    block: Block, *, inline: bool = False, types: dict[str, type[Block]] | None = None
) -> Json:
    """Return a block's body; `types` collects the classes that are in it."""
    slug, secrets = block.block_type_slug(), services().secrets
    if types is not None:
        types[slug] = type(block)

    def nested(value: Any) -> Json | None:
        if not isinstance(value, Block):
            return None
        if not inline and (reference := _saved(value)):
            return {"$block": reference}
        return {"$block": _encode(value, inline=inline, types=types)}

    def seal(clear: bytes) -> str:
        return secrets.seal(clear, f"block:{slug}")

    fields = {}
    for field in type(block).model_fields:
        try:
            fields[field] = codec.encode(block.__dict__[field], seal, nested)
        except PydanticSerializationError:
            problem = f"a {type(block.__dict__[field]).__name__} has no JSON form"
        else:
            continue
        raise BlockInvalid(type(block).__name__, {field: problem})
    return {"type": slug, "schema": block.schema_version, "fields": fields}


def _saved(block: Block) -> str | None:
    """Return the reference of a block that is in the store as it is here."""
    name, slug = block._name, block.block_type_slug()
    if name is None or block._changed:
        return None
    try:
        services().documents.get(f"block:{slug}", name)
    except ObjectNotFound:
        return None
    return f"{slug}/{name}"


def _load(kind: type[Block], slug: str, name: str, path: tuple[str, ...]) -> Block:
    try:
        document = services().documents.get(f"block:{slug}", name)
    except ObjectNotFound:
        raise _missing(slug, name) from None
    reference = f"{slug}/{name}"
    if reference in path:
        ring = " → ".join((*path, reference))
        raise DocumentInvalid(
            f"{slug} block", name, {"the whole block": f"it is in itself: {ring}"}
        )
    try:
        block = _decode(kind, document.body, name, (*path, reference))
    except SecretKeyInvalid as error:
        affected = _sealed(lambda _: True)
        raise SecretKeyInvalid(error.source, error.problem, affected) from error
    except SecretUnreadable as error:
        if error.affected:
            raise
        problem, key = error.problem, error.key
        same = _sealed(lambda token: sealed_with(token) == key)
        affected = same if key else [reference]
        raise SecretUnreadable(f"of block {reference!r}", problem, affected, key) from error
    block._name = name
    return block


def _sealed(fits: Callable[[str], bool]) -> list[str]:
    return [
        f"{document.kind[6:]}/{document.name}"
        for document in services().documents.find("block:")
        if any(fits(token) for token in codec.tokens(document.body))
    ]


def _decode(
    kind: type[Block],
    body: Mapping[str, Any],
    name: str,
    path: tuple[str, ...] = (),
    types: Mapping[str, type[Block]] | None = None,
) -> Block:
    slug = kind.block_type_slug()
    fields = migrated(body, (slug, name), kind.schema_version, kind.migrations)

    def unseal(token: str) -> bytes:
        return services().secrets.open(token, f"block:{slug}")

    def nested(value: str | Json) -> Block:
        if isinstance(value, str):
            inner, _, inner_name = value.rpartition("/")
            return _load(registry.block_type(inner), inner, inner_name, path)
        inner = value["type"]
        found = (types or {}).get(inner) or registry.block_type(inner)
        return _decode(found, value, name, path, types)

    clear = {field: codec.decode(value, unseal, nested) for field, value in fields.items()}
    try:
        return kind(**clear)
    except BlockInvalid as error:
        found = error.problems
    raise DocumentInvalid(f"{slug} block", name, found)


def _unpickle(types: Mapping[str, type[Block]], body: Mapping[str, Any], name: str | None) -> Block:
    block = _decode(types[body["type"]], body, name or "(pickled)", types=types)
    block._name = name
    return block
