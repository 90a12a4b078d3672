"""Saved blocks, read as documents, without importing their types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.cli.wording import format_iso
from flowstone.context.current import services
from flowstone.errors import ConfigurationError, ObjectNotFound, SecretKeyInvalid, SecretUnreadable
from flowstone.ports.paging import iterate_documents
from flowstone.records.documents import find_references

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.records.documents import Document

PREFIX = "block:"
#: Why a block whose type is unknown can't be loaded.
ABSENT = "its type is not installed"


def format_reference(document: Document) -> str:
    """Return ``slug/name``."""
    return f"{document.kind.removeprefix(PREFIX)}/{document.name}"


def find(ref: str) -> Document:
    """Return the document of ``slug/name``, or of a name that is unique.

    Raises:
        ConfigurationError: several blocks have that name.
        ObjectNotFound: there is no such block; the error suggests similar names.
    """
    saved = list(iterate_documents(services().documents, PREFIX, prefix=True))
    fits = [each for each in saved if ref in {format_reference(each), each.name}]
    exact = [each for each in fits if format_reference(each) == ref]
    if len(fits) == 1 or exact:
        return (exact or fits)[0]
    if fits:
        told = ", ".join(map(format_reference, fits))
        problem = f"{len(fits)} blocks have that name: {told}"
        raise ConfigurationError(repr(ref), problem, "Name its type too.")
    raise ObjectNotFound("block", ref, [format_reference(each) for each in saved])


def find_referrers(ref: str) -> list[str]:
    """Return the blocks that refer to this one."""
    return [
        format_reference(each)
        for each in iterate_documents(services().documents, PREFIX, prefix=True)
        if ref in set(find_references(each.body))
    ]


def diagnose(document: Document, known: set[str], saved: set[str]) -> str:
    """Return ``ok``, or why the block can't be loaded here.

    Args:
        document: the saved block.
        known: the slugs of the installed types.
        saved: the references of all saved blocks.
    """
    if gone := sorted(set(find_references(document.body)) - saved):
        return f"it refers to {', '.join(gone)}, which is not saved"
    if document.body.get("type") not in known:
        return ABSENT
    for purpose, token in _find_sealed(document.body):
        try:
            services().sealer.open(token, purpose)
        except SecretUnreadable as error:
            return error.problem
        except SecretKeyInvalid as error:
            return f"the key from {error.source} can't be used: {error.problem}"
    return "ok"


def _find_sealed(value: object, purpose: str = "") -> Iterator[tuple[str, str]]:
    """Yield the encrypted tokens in a block's body, each with the purpose of its encryption."""
    if isinstance(value, dict):
        if "fields" in value and "type" in value:
            purpose = f"{PREFIX}{value['type']}"
        if isinstance(value.get("$secret"), str):
            yield purpose, value["$secret"]
        for item in value.values():
            yield from _find_sealed(item, purpose)
    elif isinstance(value, list):
        for item in value:
            yield from _find_sealed(item, purpose)


def describe(document: Document) -> dict[str, object]:
    """Return the JSON values of a saved block that all commands print."""
    return {
        "block": format_reference(document),
        "type": document.kind.removeprefix(PREFIX),
        "name": document.name,
        "version": document.version,
        "created": format_iso(document.created),
        "updated": format_iso(document.updated),
    }
