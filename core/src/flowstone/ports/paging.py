"""Read all matching records in pages: no response of a store is longer than a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.records.record import evolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowstone.ports.stores import DocumentStore, RunStore
    from flowstone.records.documents import Document
    from flowstone.records.events import Event
    from flowstone.records.runs import Run, RunQuery

#: Number of records per page.
PAGE = 1000


def iterate_runs(store: RunStore, query: RunQuery, *, size: int = PAGE) -> Iterator[Run]:
    """Yield all runs that match a query, in its order; its limit is ignored.

    Raises:
        StoreError: the store can't be read.
    """
    page = store.runs(evolve(query, limit=size))
    while page:
        yield from page
        if len(page) < size:
            return
        page = store.runs(evolve(query, after=page[-1].id, limit=size))


def iterate_events(
    store: RunStore,
    *,
    root_id: str | None = None,
    run_id: str | None = None,
    kinds: Sequence[str] = (),
    size: int = PAGE,
) -> Iterator[Event]:
    """Yield all matching events, in the order they were stored.

    Raises:
        StoreError: the store can't be read.
    """
    cursor = 0
    while page := store.events(cursor, root_id=root_id, run_id=run_id, kinds=kinds, limit=size):
        yield from (event for _, event in page)
        cursor = page[-1][0]
        if len(page) < size:
            return


def iterate_documents(
    store: DocumentStore, kind: str, *, prefix: bool = False, size: int = PAGE
) -> Iterator[Document]:
    """Yield all documents of a kind, or of the kinds that start with it.

    Raises:
        StoreError: the store can't be read.
    """
    page = store.find(kind, prefix=prefix, limit=size)
    while page:
        yield from page
        if len(page) < size:
            return
        last = page[-1]
        page = store.find(kind, prefix=prefix, after=(last.kind, last.name), limit=size)
