"""Runs, documents and slots in one SQLite file, without a server."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from flowstone.stores.sql.documents import SqlDocuments
from flowstone.stores.sql.leases import SqlLeases
from flowstone.stores.sql.runs import SqlRuns
from flowstone.stores.sql.slots import SqlSlots
from flowstone.stores.sqlite.connection import PATIENCE, SqliteFile
from flowstone.stores.sqlite.liveness import LivenessFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["PATIENCE", "SqliteStore", "open_sqlite"]


class SqliteStore(SqlRuns, SqlDocuments, SqlSlots, SqlLeases):
    """A `RunStore`, a `DocumentStore` and a `SlotStore` over one file."""

    def __init__(
        self, database: SqliteFile, presence: LivenessFiles, now: Callable[[], float] = time
    ) -> None:
        SqlRuns.__init__(self, database, presence, now)
        SqlDocuments.__init__(self, database, now)
        SqlSlots.__init__(self, database, presence, now)
        SqlLeases.__init__(self, database, now)
        #: Returns who this process is, for `Lease.holder`; the first call leaves its mark.
        self.holder = presence.holder


def open_sqlite(
    path: Path, *, patience: float = PATIENCE, now: Callable[[], float] = time
) -> SqliteStore:
    """Open the store in a file, or make it.

    Args:
        path: the database file; signs of life of the processes that use it are kept beside it, in
            ``presence/``.
        patience: how many seconds other processes may keep us waiting.
        now: the store's clock, which decides which leases have expired.

    Raises:
        StoreForeign: the file is something else's, or is damaged.
        StoreTooNew: a newer Flowstone has written it.
        StoreUnusable: it can't be read or written.
        StoreBusy: it was held by others for longer than `patience`.
    """
    liveness = LivenessFiles(path.parent / "presence")
    return SqliteStore(SqliteFile(path, patience=patience), liveness, now)
