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
        #: Returns the name of this process, for `Lease.holder`; the first call creates its mark.
        self.holder = presence.holder


def open_sqlite(
    path: Path, *, patience: float = PATIENCE, now: Callable[[], float] = time
) -> SqliteStore:
    """Open the store in a file, which is created if it does not exist.

    Args:
        path: the database file; files that show which processes use it are beside it, in
            ``presence/``.
        patience: maximum number of seconds to wait for other processes.
        now: the store's clock, which determines which leases have expired.

    Raises:
        StoreForeign: the file is not a Flowstone store, or is damaged.
        StoreTooNew: a newer version of Flowstone has written it.
        StoreUnusable: it can't be read or written.
        StoreBusy: other processes locked it for longer than `patience`.
    """
    liveness = LivenessFiles(path.parent / "presence")
    return SqliteStore(SqliteFile(path, patience=patience), liveness, now)
