from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.services.postgres_store import PostgresDatabase, PostgresStore
from tests.services.socket_store import FAULTS, Server, SocketStore

from flowstone.errors import ObjectAlreadyExists, StaleDocument
from flowstone.records.ids import new_id
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


class InPostgres:
    """The statements of `stores.sql` in the words of another database."""

    @pytest.fixture
    def store(self, postgres: str, clock: StoreClock) -> Iterator[PostgresStore]:
        store = PostgresStore(PostgresDatabase(postgres, f"store {new_id()}"), clock.time)
        yield store
        store.close()


class OverSocket:
    """In memory, behind a socket that loses, repeats and delays what passes."""

    @pytest.fixture
    def store(self, clock: StoreClock) -> Iterator[SocketStore]:
        store = SocketStore(MemoryStore(clock.time))
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


class TestPostgresRuns(InPostgres, RunStoreSuite):
    pass


class TestPostgresDocuments(InPostgres, DocumentStoreSuite):
    pass


class TestPostgresSlots(InPostgres, SlotStoreSuite):
    pass


class TestSocketRuns(OverSocket, RunStoreSuite):
    pass


class TestSocketDocuments(OverSocket, DocumentStoreSuite):
    pass


class TestSocketSlots(OverSocket, SlotStoreSuite):
    pass


def test_the_socket_loses_repeats_and_delays() -> None:
    store = SocketStore(MemoryStore())
    for number in range(2 * len(FAULTS)):
        assert store.put("variable", "a", {"n": number}, expected=number).version == number + 1
    assert store.server.fired == set(FAULTS)
    assert store.get("variable", "a").body == {"n": 2 * len(FAULTS) - 1}
    store.close()


class ForgetsItsAnswers(Server):
    def _is_answered(self, call_id: str) -> bool:
        return False


def test_a_server_that_does_a_call_twice_is_found_out() -> None:
    store = SocketStore(MemoryStore(), ForgetsItsAnswers)
    with pytest.raises((ObjectAlreadyExists, StaleDocument)):
        for number in range(2 * len(FAULTS)):
            store.put("variable", "a", {"n": number}, expected=number)
    store.close()
