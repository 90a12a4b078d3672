"""Tests of cancelling: no query outlives the run that waits for it."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import TYPE_CHECKING

import pytest

from flowstone import flow, task
from flowstone.errors import DatabaseError, QueryCancelled, RunTimeout
from flowstone_testing.conformance.database.base import Aside, DatabaseBase, until
from flowstone_testing.conformance.suite import capability, needs

if TYPE_CHECKING:
    from flowstone.blocks import Database


class StoppingTests(DatabaseBase):
    """Cancel, time out, and continue afterwards."""

    @capability("cancels", DatabaseError, "can't be stopped")
    def test_cancel_stops_what_runs(self, database: Database) -> None:
        """Look at `interrupt`: it is called from another thread and must stop the query.

        If that is impossible, set `cancels` of the driver and of the suite to False.
        """
        assert database.cancel() == 0
        query = Aside(lambda: database.fetch_all(self.endless))
        until(database.cancel, "a query runs, and `cancel` counts it", self.patience)
        assert isinstance(query.join(self.patience).error, QueryCancelled)
        assert database.cancel() == 0
        assert database.fetch_one("SELECT 1") == (1,)

    @needs("cancels")
    def test_a_cancelled_coroutine_stops_its_query(self, database: Database) -> None:
        """Look at `interrupt`: the coroutine must end after the query has ended."""

        async def ask() -> None:
            asking = asyncio.ensure_future(database.afetch_all(self.endless))
            while not database.driver_calls.pool.count_calls():  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert database.cancel() == 0

        Aside(lambda: asyncio.run(ask())).join(self.patience).check()
        assert database.fetch_one("SELECT 1") == (1,)

    @needs("cancels")
    def test_a_task_s_timeout_stops_its_query(self, database: Database) -> None:
        """Look at `interrupt`: the query of a task that timed out must be stopped."""

        @task(timeout_seconds=0.2)
        def slow() -> None:
            database.fetch_all(self.endless)

        @flow
        def timed() -> None:
            for future in [slow.submit(), slow.submit()]:
                with pytest.raises(RunTimeout):
                    future.result()

        Aside(timed).join(self.patience).check()
        assert database.cancel() == 0
        assert database.fetch_one("SELECT 1") == (1,)

    @needs("cancels", "transactions")
    def test_a_transaction_that_is_stopped_is_rolled_back(self, items: Database) -> None:
        """Look at `disconnect`: closing a connection must end its transaction."""
        written = Event()

        def work() -> None:
            with items.transaction():
                items.execute("INSERT INTO items VALUES (1, 'a')")
                written.set()
                items.fetch_all(self.endless)

        query = Aside(work)
        until(lambda: written.is_set() and items.cancel(), "a query runs", self.patience)
        assert isinstance(query.join(self.patience).error, QueryCancelled)
        assert items.fetch_all("SELECT * FROM items") == []
