"""Tests of a shared block: threads, mapped tasks, other processes, saved and loaded."""

# ruff: noqa: TRY301 - errors that leave a transaction

from __future__ import annotations

import asyncio
import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from flowstone import flow, task
from flowstone.errors import TableMissing
from flowstone_testing.conformance.database.base import DatabaseBase, names
from flowstone_testing.conformance.suite import capability, needs

if TYPE_CHECKING:
    from flowstone.blocks import Database


class SharingTests(DatabaseBase):
    """Threads, tasks, copies, and closed blocks."""

    def test_fifty_mapped_tasks_share_it(self, items: Database) -> None:
        """Look at `connect`, as any thread may use a connection, and at busy locks."""

        @task
        def add(number: int) -> int:
            items.execute("INSERT INTO items VALUES (?, ?)", (number, f"n{number}"))
            found = items.fetch_one("SELECT name FROM items WHERE id = ?", [number])
            assert found == (f"n{number}",)
            return number

        @flow
        def fill() -> list[int]:
            return [future.result() for future in add.map(range(50))]

        assert fill() == list(range(50))
        assert names(items) == [f"n{number}" for number in range(50)]

    @needs("transactions")
    def test_transactions_of_threads_do_not_mix(self, items: Database) -> None:
        """Look at `connect` and `begin`: a transaction belongs to the thread that began it."""

        def work(number: int) -> bool:
            try:
                with items.transaction():
                    items.execute("INSERT INTO items VALUES (?, 'x')", [number])
                    if number % 2:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(work, range(40)))
        assert done == [number % 2 == 0 for number in range(40)]
        found = items.fetch_all("SELECT id FROM items ORDER BY id")
        assert found == [(number,) for number in range(0, 40, 2)]

    def test_it_travels_as_its_fields(self, items: Database) -> None:
        """Look for connections in fields: they belong in private attributes."""
        items.execute("INSERT INTO items VALUES (1, 'a')")
        for other in (pickle.loads(pickle.dumps(items)), copy.copy(items), copy.deepcopy(items)):  # noqa: S301 - our own
            assert other == items
            with other:
                if self.persists:
                    assert names(other) == ["a"]
                else:
                    assert other.fetch_one("SELECT 1") == (1,)
        assert names(items) == ["a"]

    def test_it_is_saved_and_loaded(self, items: Database) -> None:
        """Look at the fields: a loaded block has nothing else."""
        items.execute("INSERT INTO items VALUES (1, 'a')")
        items.save("database")
        with type(items).load("database") as loaded:
            assert loaded == items
            if self.persists:
                assert names(loaded) == ["a"]

    def test_a_closed_one_opens_again(self, items: Database) -> None:
        """Look at `disconnect`, and for connections that are stored elsewhere."""
        with items as same:
            same.execute("INSERT INTO items VALUES (1, 'a')")
        items.close()
        items.close()
        if self.persists:
            assert names(items) == ["a"]

        async def work() -> None:
            async with items as again:
                assert await again.afetch_one("SELECT 1") == (1,)
            await items.aclose()

        asyncio.run(work())

    @capability("persists", TableMissing)
    def test_a_database_that_is_shared_is_seen_at_once(self, items: Database) -> None:
        """Look at the isolation of connections: the next query must see what was committed.

        Set `persists` to False if each block has its own database.
        """
        with items.model_copy() as other:
            for number in range(5):
                items.execute("INSERT INTO items VALUES (?, 'x')", [number])
                assert other.fetch_one("SELECT count(*) FROM items") == (number + 1,)
