"""Variable: a small JSON value that is no secret, kept by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowstone.blocks.async_twins import run_in_thread
from flowstone.context.current import services
from flowstone.errors import BlockInvalid, ObjectAlreadyExists, ObjectNotFound
from flowstone.plugins.registry import check_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.records.documents import Document

KIND = "variable"


@dataclass(frozen=True, slots=True)
class Variable:
    """A value with a name, for settings that change without a change of code.

    Attributes:
        name: letters, digits and ``-_.``.
        value: any JSON value; it comes back as the type it was.
        tags: words to find it by.
    """

    name: str
    value: Any
    tags: tuple[str, ...] = ()

    @classmethod
    def get(cls, name: str, default: object = None) -> Any:
        """Return the value kept under a name, or the default where there is none."""
        try:
            return cls.load(name).value
        except ObjectNotFound:
            return default

    @classmethod
    def load(cls, name: str) -> Variable:
        """Return the variable itself, with its tags.

        Raises:
            ObjectNotFound: there is none of that name; near ones are named.
        """
        return _make_variable(services().documents.get(KIND, check_name(KIND, name)))

    @classmethod
    def set(
        cls, name: str, value: object, tags: Sequence[str] | None = None, overwrite: bool = False
    ) -> Variable:
        """Keep a value under a name.

        Raises:
            ObjectAlreadyExists: the name is taken, and `overwrite` is false.
            BlockInvalid: the value has no JSON form.
        """
        # 20 ms of start-up, which a program that only reads variables saves.
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        check_name(KIND, name)
        try:
            body = {"value": to_jsonable_python(value), "tags": list(tags or ())}
        except PydanticSerializationError:
            problem = f"a {type(value).__name__} has no JSON form"
            raise BlockInvalid(f"variable {name!r}", {"value": problem}) from None
        expected = None if overwrite else 0
        try:
            return _make_variable(services().documents.put(KIND, name, body, expected=expected))
        except ObjectAlreadyExists:
            remedy = "Pass overwrite=True to replace it."
            raise ObjectAlreadyExists(KIND, name, remedy) from None

    @classmethod
    def unset(cls, name: str) -> bool:
        """Forget a variable; return whether there was one."""
        try:
            services().documents.delete(KIND, check_name(KIND, name))
        except ObjectNotFound:
            return False
        return True

    @classmethod
    async def aget(cls, name: str, default: object = None) -> Any:
        """Do as `get`, and let other coroutines run meanwhile."""
        return await run_in_thread(cls.get, name, default)

    @classmethod
    async def aset(
        cls, name: str, value: object, tags: Sequence[str] | None = None, overwrite: bool = False
    ) -> Variable:
        """Do as `set`, and let other coroutines run meanwhile."""
        return await run_in_thread(cls.set, name, value, tags, overwrite)

    @classmethod
    async def aunset(cls, name: str) -> bool:
        """Do as `unset`, and let other coroutines run meanwhile."""
        return await run_in_thread(cls.unset, name)


def _make_variable(document: Document) -> Variable:
    return Variable(document.name, document.body["value"], tuple(document.body["tags"]))
