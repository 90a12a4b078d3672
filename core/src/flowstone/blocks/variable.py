"""Variable: a small JSON value that is not secret, saved by name."""

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
    """A named value, for configuration that changes without a change of code.

    Attributes:
        name: letters, digits and ``-_.``.
        value: any JSON value; its type is preserved.
        tags: tags to filter by.
    """

    name: str
    value: Any
    tags: tuple[str, ...] = ()

    @classmethod
    def get(cls, name: str, default: object = None) -> Any:
        """Return the value saved under a name, or the default if there is none."""
        try:
            return cls.load(name).value
        except ObjectNotFound:
            return default

    @classmethod
    def load(cls, name: str) -> Variable:
        """Return the variable itself, with its tags.

        Raises:
            ObjectNotFound: there is no such variable; the message lists similar names.
        """
        return _make_variable(services().documents.get(KIND, check_name(KIND, name)))

    @classmethod
    def set(
        cls, name: str, value: object, tags: Sequence[str] | None = None, overwrite: bool = False
    ) -> Variable:
        """Save a value under a name.

        Raises:
            ObjectAlreadyExists: the name is taken, and `overwrite` is false.
            BlockInvalid: the value has no JSON form.
        """
        # Saves programs that only read variables 20 ms of start-up time.
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
        """Delete a variable; return whether it existed."""
        try:
            services().documents.delete(KIND, check_name(KIND, name))
        except ObjectNotFound:
            return False
        return True

    @classmethod
    async def aget(cls, name: str, default: object = None) -> Any:
        """Async version of `get`."""
        return await run_in_thread(cls.get, name, default)

    @classmethod
    async def aset(
        cls, name: str, value: object, tags: Sequence[str] | None = None, overwrite: bool = False
    ) -> Variable:
        """Async version of `set`."""
        return await run_in_thread(cls.set, name, value, tags, overwrite)

    @classmethod
    async def aunset(cls, name: str) -> bool:
        """Async version of `unset`."""
        return await run_in_thread(cls.unset, name)


def _make_variable(document: Document) -> Variable:
    return Variable(document.name, document.body["value"], tuple(document.body["tags"]))
