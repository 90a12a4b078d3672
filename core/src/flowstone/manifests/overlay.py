"""An overlay: documents as they would be after changes that are not written yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.errors import ObjectNotFound
from flowstone.records.documents import Document, choose_documents

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from flowstone.ports import DocumentStore


class Overlay:
    """Implements the `DocumentStore` port: reads from a store, and keeps changes in memory."""

    def __init__(self, below: DocumentStore) -> None:
        self._below = below
        self.put_here: dict[tuple[str, str], Document] = {}

    def put(
        self,
        kind: str,
        name: str,
        body: Mapping[str, Any],
        *,
        expected: int | None = None,  # noqa: ARG002 - what it goes over is checked when it is done
    ) -> Document:
        document = Document(kind, name, dict(body), 0, 0.0, 0.0)
        self.put_here[kind, name] = document
        return document

    def get(self, kind: str, name: str) -> Document:
        return self.put_here.get((kind, name)) or self._below.get(kind, name)

    def find(
        self,
        kind: str,
        *,
        prefix: bool = False,
        names: Collection[str] | None = None,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> list[Document]:
        below = self._below.find(kind, prefix=prefix, names=names, after=after, limit=limit)
        every = [*below, *self.put_here.values()]  # of several with one name, the last counts
        return choose_documents(every, kind, prefix=prefix, names=names, after=after, limit=limit)

    def delete(self, kind: str, name: str) -> None:
        if self.put_here.pop((kind, name), None) is None:
            raise ObjectNotFound(kind, name, [])

    def close(self) -> None:
        """Do nothing: nothing is open."""
