from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone.stores.memory import MemoryStore
from flowstone.stores.sqlite import SqliteStore, open_sqlite
from flowstone_testing.conformance import DocumentStoreSuite, RunStoreSuite, SlotStoreSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowstone_testing.conformance import StoreClock


class InMemory:
    @pytest.fixture
    def store(self, clock: StoreClock) -> Iterator[MemoryStore]:
        store = MemoryStore(clock.time)
        yield store
        store.close()


class InSqlite:
    @pytest.fixture
    def store(self, tmp_path: Path, clock: StoreClock) -> Iterator[SqliteStore]:
        store = open_sqlite(tmp_path / "home" / "flowstone.db", now=clock.time)
        yield store
        store.close()


class TestMemoryRuns(InMemory, RunStoreSuite):
    pass


class TestSqliteRuns(InSqlite, RunStoreSuite):
    pass


class TestMemoryDocuments(InMemory, DocumentStoreSuite):
    pass


class TestSqliteDocuments(InSqlite, DocumentStoreSuite):
    pass


class TestMemorySlots(InMemory, SlotStoreSuite):
    pass


class TestSqliteSlots(InSqlite, SlotStoreSuite):
    pass
