"""Migrate documents of older block types to the fields of the installed type."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from flowstone.errors import DocumentInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WHOLE = "the whole block"


def migrate_fields(
    body: Mapping[str, object],
    what: tuple[str, str],
    installed: int,
    migrations: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]],
) -> dict[str, Any]:
    """Return a document's fields, migrated to the installed version of its type.

    Args:
        body: the document's body.
        what: the slug and the name, for messages.
        installed: the installed version of the type.
        migrations: for each older version, a function that migrates to the next one.

    Raises:
        DocumentInvalid: it is not a block's document, it is newer, or a migration fails.
    """
    kind, name = f"{what[0]} block", what[1]
    fields, version = body.get("fields"), body.get("schema")
    if not isinstance(fields, dict) or not isinstance(version, int):
        raise DocumentInvalid(kind, name, {WHOLE: "it is not the document of a block"})
    if version > installed:
        problem = (
            f"the document has version {version}, and the installed type has {installed}: "
            "upgrade its package"
        )
        raise DocumentInvalid(kind, name, {"schema_version": problem})
    for old in range(version, installed):
        if old in migrations:
            problem = f"its migration from version {old}"
            try:
                # A deep copy: a store may hold the document itself in memory.
                found: object = migrations[old](deepcopy(fields))
            except Exception as error:
                told = f"{problem} failed ({type(error).__name__})"
                raise DocumentInvalid(kind, name, {WHOLE: told}) from error
            if not isinstance(found, dict):
                told = f"{problem} returned {type(found).__name__}, and no fields"
                raise DocumentInvalid(kind, name, {WHOLE: told})
            fields = found
    return dict(fields)
