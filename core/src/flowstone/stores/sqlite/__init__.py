"""Runs, documents and slots in one SQLite file, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.stores.sqlite.database import PATIENCE, Database
from flowstone.stores.sqlite.documents import SqliteDocuments
from flowstone.stores.sqlite.presence import holder
from flowstone.stores.sqlite.runs import SqliteRuns
from flowstone.stores.sqlite.slots import SqliteSlots

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PATIENCE", "SqliteStore", "open_sqlite"]


class SqliteStore(SqliteRuns, SqliteDocuments, SqliteSlots):
    """A `RunStore`, a `DocumentStore` and a `SlotStore` over one file."""

    def __init__(self, database: Database) -> None:
        SqliteRuns.__init__(self, database)
        SqliteDocuments.__init__(self, database)
        SqliteSlots.__init__(self, database)

    def holder(self) -> str:
        """Return who this process is, for `Lease.holder`; the first call leaves its mark."""
        return holder(self._presence)


def open_sqlite(path: Path, *, patience: float = PATIENCE) -> SqliteStore:
    """Open the store in a file, or make it.

    Args:
        path: the database file; signs of life of the processes that use it are kept beside it, in
            ``presence/``.
        patience: how many seconds other processes may keep us waiting.

    Raises:
        StoreForeign: the file is something else's, or is damaged.
        StoreTooNew: a newer Flowstone has written it.
        StoreUnusable: it can't be read or written.
        StoreBusy: it was held by others for longer than `patience`.
    """
    return SqliteStore(Database(path, patience=patience))
