"""Block: typed fields with a name, saved as a document and loaded with the same types."""

from __future__ import annotations

import inspect
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
from pydantic_core import core_schema

from flowstone.blocks.async_twins import run_in_thread
from flowstone.blocks.documents import (
    PREFIX,
    encode_block,
    is_trial,
    load_block,
    make_missing_error,
)
from flowstone.blocks.documents import unpickle_block as _unpickle  # its name in older pickles
from flowstone.blocks.replacing import replace_abstract_methods
from flowstone.blocks.validation import mask_inputs, problems, validate_fields
from flowstone.context.current import services
from flowstone.errors import (
    BlockInvalid,
    ConfigurationError,
    InvalidName,
    ObjectAlreadyExists,
    ObjectNotFound,
)
from flowstone.plugins import registry
from flowstone.secrets.fields import accept_references, mark_secret_fields
from flowstone.secrets.renewal import renew_in
from flowstone.secrets.values import leave_unresolved

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

Migration = Callable[[dict[str, Any]], dict[str, Any]]

#: The remedy for a name without its type.
_ADD_TYPE = "Use 'type-slug/name', such as 'secret/token'; `flowstone block ls` lists them."


class Block(BaseModel):
    """Typed fields saved by name, with sealed secrets; subclass it to define a block type.

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

    #: The name shown to people; None for the class name.
    _block_type_name: ClassVar[str | None] = None
    #: The type's name in documents; None to derive it from the class name.
    _block_type_slug: ClassVar[str | None] = None
    _description: ClassVar[str | None] = None
    _logo_url: ClassVar[str | None] = None
    _documentation_url: ClassVar[str | None] = None
    _code_example: ClassVar[str | None] = None
    #: An interface sets this to the error of refused credentials: the operation is retried if a
    #: secret that is given by reference may have changed in the meantime.
    _tried_again: ClassVar[tuple[str, ...]] = ()
    #: The methods of an interface that a subclass can define, all of them, instead of the abstract
    #: ones; and default implementations for some of the abstract ones.
    _replaceable: ClassVar[tuple[str, ...]] = ()
    _substitutes: ClassVar[Mapping[str, Callable[..., object]]] = {}
    #: The version of the fields; increase it when saved documents would no longer be valid.
    schema_version: ClassVar[int] = 1
    #: ``migrations[n]`` takes the fields as saved by version n, and returns those of n + 1. Sealed
    #: secrets are opaque in them: they can be moved, but not read.
    migrations: ClassVar[Mapping[int, Migration]] = {}

    _name: str | None = PrivateAttr(default=None)
    _changed: bool = PrivateAttr(default=False)
    #: Fields without a value, because the one in the block's document is not valid.
    _unfit: set[str] = PrivateAttr(default_factory=set)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
            return
        except ValidationError as error:
            found = problems(error)
        # Outside of the `except`, and without the inputs: error reports show contexts and local
        # variables of frames.
        del fields
        raise BlockInvalid(type(self).__name__, found)

    # Pydantic's mark for an `__init__` like its own: without it, errors of a block in another model
    # would lose their location.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        replace_abstract_methods(cls)
        accept_references(cls)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: object) -> None:
        super().__pydantic_init_subclass__(**options)
        renew_in(cls, cls._tried_again)
        registry.define(cls.block_type_slug(), cls)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        if cls.__pydantic_complete__ and "__pydantic_core_schema__" in cls.__dict__:
            return handler(source)  # as a field of another model: all of this surrounds it already
        mark_secret_fields(cls)
        # Around everything, including a subclass's own validators.
        return core_schema.no_info_wrap_validator_function(cls._validate, handler(source))

    @classmethod
    def _validate(cls, data: object, handler: Callable[[Any], object]) -> object:
        try:
            with leave_unresolved():
                block = handler(data)
            if block is not data or not isinstance(block, Block):
                block = validate_fields(block, cls.__name__)
                is_new = not isinstance(data, Block) and not is_trial()
                if isinstance(block, Block) and is_new:
                    with leave_unresolved(False):
                        block.block_initialization()
            return block
        except (ValueError, AssertionError) as error:  # pydantic's own error is a ValueError
            told = mask_inputs(cls, data, error)
        raise told

    def block_initialization(self) -> None:
        """Override to prepare a block once its fields are set, whether it was created or loaded."""

    if not TYPE_CHECKING:
        # Not a property, so that a block type may have a field called `name`.
        def __getattr__(self, item):
            return self._name if item == "name" else super().__getattr__(item)
    else:

        @property
        def name(self) -> str | None:
            """The name that the block was saved or loaded under; None before that."""

    def __setattr__(self, name: str, value: object) -> None:
        before = self.__dict__.get(name)
        try:
            super().__setattr__(name, value)
            if name not in type(self).model_fields:
                return
            given, self.__dict__[name] = self.__dict__[name], before
            self.__dict__[name] = validate_fields(given, type(self).__name__, name)
        except ValidationError as error:
            found = problems(mask_inputs(type(self), {name: value}, error))
        else:
            self._changed = True
            self._unfit.discard(name)
            return
        del value, before
        raise BlockInvalid(type(self).__name__, found)

    @model_serializer(mode="wrap")
    def _dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        # Pydantic reads the value of each secret, if only to mask it.
        with leave_unresolved():
            fields: dict[str, Any] = handler(self)
        return fields

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy. Unlike in pydantic, updates are validated, so secrets stay masked."""
        copied = super().model_copy(deep=deep)
        left, update = [*(update or {}).items()][::-1], None
        while left:  # so that no frame of a traceback holds the invalid value
            setattr(copied, *left.pop())
        return copied

    def __eq__(self, other: object) -> bool:
        # The name, and what a subclass keeps in private attributes, are not part of a block's
        # value.
        if type(self) is not type(other):
            return NotImplemented
        mine, theirs = self.__pydantic_extra__, other.__pydantic_extra__
        fields = type(self).model_fields
        return mine == theirs and all(self.__dict__[f] == other.__dict__[f] for f in fields)

    if not TYPE_CHECKING:
        __hash__ = None  # credentials define one

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle carries what a document would: secrets sealed with this process's key.
        types: dict[str, type] = {}
        body = encode_block(self, types)
        return _unpickle, (types, body, self._name)

    @classmethod
    def block_type_name(cls) -> str:
        """Return the display name of the type."""
        return cls.__dict__.get("_block_type_name") or cls.__name__

    @classmethod
    def block_type_slug(cls) -> str:
        """Return the type's name in documents, such as ``local-directory``."""
        own = cls.__dict__
        title = own.get("_block_type_name")
        named = registry.slugify(title) if title else registry.to_kebab(cls.__name__)
        return own.get("_block_type_slug") or named

    @classmethod
    def get_block_type_name(cls) -> str:
        """Return the same as `block_type_name`; the name that Prefect has for it."""
        return cls.block_type_name()

    @classmethod
    def get_block_type_slug(cls) -> str:
        """Return the same as `block_type_slug`; the name that Prefect has for it."""
        return cls.block_type_slug()

    @classmethod
    def get_description(cls) -> str | None:
        """Return what the type is for: its description, or the first line of its docstring."""
        own = cls.__dict__
        written = inspect.cleandoc(own.get("__doc__") or "").partition("\n\n")[0]
        return own.get("_description") or written or None

    @classmethod
    def get_code_example(cls) -> str | None:
        """Return example code that creates and uses a block; None if its package has none."""
        found: str | None = cls.__dict__.get("_code_example")
        return found

    @classmethod
    def register_type_and_schema(cls) -> None:
        """Do nothing: a type is known where it is defined, and where its package is installed.

        It exists for programs written for Prefect, which call it.
        """

    def save(self, name: str | None = None, overwrite: bool = False) -> int:
        """Save under a name, and return the version: 1 at first, one more with each save.

        A nested block that was itself saved, and has not changed since, is saved as a reference.

        Args:
            name: the name; None for the name that the block already has.
            overwrite: whether to replace a block saved under that name.

        Raises:
            InvalidName: it has characters other than letters, digits and ``-_.``.
            ObjectAlreadyExists: the name is taken.
            BlockInvalid: it was loaded with ``validate=False``, and a field has no value yet.
            SecretKeyInvalid: the key that seals secrets can't be used.
        """
        return self._save_over(None if overwrite else 0, name)

    def _save_over(self, expected: int | None, name: str | None = None) -> int:
        """Save over the expected version; None matches any version, 0 means that there is none."""
        slug = self.block_type_slug()
        name = registry.check_name("block", self._name if name is None else name)
        body = encode_block(self)
        try:
            document = services().documents.put(f"{PREFIX}{slug}", name, body, expected=expected)
        except ObjectAlreadyExists:
            remedy = "Pass overwrite=True to replace it, or choose another name."
            raise ObjectAlreadyExists(f"{slug} block", name, remedy) from None
        self._name, self._changed = name, False
        return document.version

    @classmethod
    def load(cls, name: str, validate: bool = True) -> Self:
        """Load the block saved under a name, or under ``"slug/name"``.

        Args:
            name: the name.
            validate: False to load a document that no longer fits the type: a field whose value is
                not valid gets its default, or is None until you set it. Such fields are logged.
                Set them, and save the block again.

        Raises:
            ObjectNotFound: no block of this type has the name; the message lists similar names.
            DocumentInvalid: the document does not fit the type, even after migrations.
            SecretUnreadable: it was sealed with another key; the message lists all blocks that this
                key sealed.
            UnknownName: no installed package has that type.
        """
        slug, name = _split_name(cls, name)
        kind = cls if slug == cls.block_type_slug() else registry.find_block_type(slug)
        if not issubclass(kind, cls):
            raise ConfigurationError(
                f"{cls.__name__}.load({f'{slug}/{name}'!r})",
                f"it is a {kind.__name__}, not a {cls.__name__}",
                "Load it with Block.load, or name another.",
            )
        loaded = load_block(kind, slug, name, validate=validate)
        assert isinstance(loaded, cls)
        return loaded

    @classmethod
    def load_from_ref(cls, ref: str | Mapping[str, str], validate: bool = True) -> Self:
        """Load the block that a reference names.

        Args:
            ref: ``"slug/name"``, or ``{"block_document_slug": "slug/name"}``.
            validate: as for `load`.

        Raises:
            InvalidName: it is not such a reference; blocks have no ids.
            ObjectNotFound: as for `load`, which also lists the other errors.
        """
        name = ref.get("block_document_slug") if isinstance(ref, Mapping) else ref
        if not isinstance(name, str) or "/" not in name:
            raise InvalidName("block", str(ref), "blocks have no ids", _ADD_TYPE)
        return cls.load(name, validate)

    @classmethod
    def delete(cls, name: str) -> None:
        """Delete the block saved under a name, or under ``"slug/name"``.

        Raises:
            ObjectNotFound: no block of this type has the name.
        """
        slug, name = _split_name(cls, name)
        try:
            services().documents.delete(f"{PREFIX}{slug}", name)
        except ObjectNotFound:
            raise make_missing_error(slug, name) from None

    async def asave(self, name: str | None = None, overwrite: bool = False) -> int:
        """Async version of `save`."""
        return await run_in_thread(self.save, name, overwrite)

    @classmethod
    async def aload(cls, name: str, validate: bool = True) -> Self:
        """Async version of `load`."""
        return await run_in_thread(cls.load, name, validate)

    @classmethod
    async def aload_from_ref(cls, ref: str | Mapping[str, str], validate: bool = True) -> Self:
        """Async version of `load_from_ref`."""
        return await run_in_thread(cls.load_from_ref, ref, validate)

    @classmethod
    async def adelete(cls, name: str) -> None:
        """Async version of `delete`."""
        await run_in_thread(cls.delete, name)


def _split_name(cls: type[Block], name: str) -> tuple[str, str]:
    slug, slash, rest = str(name).rpartition("/")
    if slash:
        return slug, registry.check_name("block", rest)
    if cls is Block:
        raise InvalidName("block", name, "its type is missing", _ADD_TYPE)
    return cls.block_type_slug(), registry.check_name("block", name)
