"""Documents: data saved by kind and name, with a version; and references between blocks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from flowstone.records.record import record


@record
class Document:
    """Data saved by name: a block, a variable, a deployment, a limit.

    Attributes:
        kind: its kind: ``block:local-directory``, ``variable``.
        name: its name, unique within the kind.
        body: JSON values only; secrets in it are sealed.
        version: 1 when it is first saved, one more with each save.
        created, updated: seconds since the epoch.
    """

    kind: str
    name: str
    body: Mapping[str, Any]
    version: int
    created: float
    updated: float


def choose_documents(
    documents: Iterable[Document],
    kind: str,
    *,
    prefix: bool = False,
    names: Collection[str] | None = None,
    after: tuple[str, str] | None = None,
    limit: int | None = None,
) -> list[Document]:
    """Return a page of documents; arguments as for `DocumentStore.find`."""
    found = {
        (each.kind, each.name): each
        for each in documents
        if (each.kind.startswith(kind) if prefix else each.kind == kind)
        and (names is None or each.name in names)
        and (after is None or (each.kind, each.name) > after)
    }
    return [found[key] for key in sorted(found)][:limit]


def find_references(body: object) -> Iterator[str]:
    """Yield the blocks that a block's body refers to, as ``type/name``."""
    if isinstance(body, Mapping):
        if isinstance(body.get("$block"), str):
            yield body["$block"]
        # A user's own keys, whatever their names, are under "$dict".
        own = body.get("$dict")
        for item in (own if isinstance(own, Mapping) else body).values():
            yield from find_references(item)
    elif isinstance(body, list):
        for item in body:
            yield from find_references(item)
