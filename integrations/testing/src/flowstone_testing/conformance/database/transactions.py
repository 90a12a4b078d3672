"""Tests of transactions: all or nothing."""

# ruff: noqa: PT012 - an error has to leave a transaction

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import DatabaseError
from flowstone_testing.conformance.database.base import Aside, DatabaseBase, names
from flowstone_testing.conformance.suite import capability, needs

if TYPE_CHECKING:
    from flowstone.blocks import Database

ADD = "INSERT INTO items VALUES (?, ?)"


class TransactionTests(DatabaseBase):
    """Commit, roll back, nest."""

    @capability("transactions", DatabaseError, "it has no transactions")
    def test_a_transaction_is_committed(self, items: Database) -> None:
        """Look at `begin` and `commit`, and whether statements use the transaction's connection."""
        with items.transaction():
            items.execute(ADD, (1, "a"))
            items.insert("items", [{"id": 2, "name": "b"}])
            assert names(items) == ["a", "b"], "it sees what it wrote"
        assert names(items) == ["a", "b"]

    @needs("transactions")
    def test_an_error_rolls_back(self, items: Database) -> None:
        """Look at `rollback`, and whether `begin` ends the driver's autocommit."""
        items.execute(ADD, (1, "a"))
        with pytest.raises(ZeroDivisionError), items.transaction():
            items.execute(ADD, (2, "b"))
            items.execute_many(ADD, [(3, "c"), (4, "d")])
            raise ZeroDivisionError
        assert names(items) == ["a"]
        items.execute(ADD, (2, "e"))
        assert names(items) == ["a", "e"]

    @needs("transactions", "persists")
    def test_others_do_not_see_it_before_its_end(self, items: Database) -> None:
        """Look at `connect`: each call must open a new connection."""
        with items.transaction():
            items.execute(ADD, (1, "a"))
            seen = Aside(lambda: names(items)).join(self.patience)
            assert (seen.value, seen.error) == ([], None)
        assert names(items) == ["a"]

    @needs("transactions")
    @capability("savepoints", DatabaseError, "transactions inside a transaction")
    def test_one_inside_another_is_taken_back_alone(self, items: Database) -> None:
        """Look at the savepoints of `begin` and `rollback`, or set `savepoints` to False."""
        with items.transaction():
            items.execute(ADD, (1, "a"))
            with pytest.raises(ZeroDivisionError), items.transaction():
                items.execute(ADD, (2, "b"))
                raise ZeroDivisionError
            with items.transaction():
                items.execute(ADD, (3, "c"))
        assert names(items) == ["a", "c"]
        with pytest.raises(ZeroDivisionError), items.transaction():
            with items.transaction():
                items.execute(ADD, (4, "d"))
            raise ZeroDivisionError
        assert names(items) == ["a", "c"]

    @needs("transactions", "savepoints", "constraints")
    def test_an_error_of_a_statement_can_be_met_inside(self, items: Database) -> None:
        """Look at what the database does with a transaction after an error in it."""
        with items.transaction():
            items.execute(ADD, (1, "a"))
            with pytest.raises(DatabaseError), items.transaction():
                items.execute(ADD, (1, "again"))
            items.execute(ADD, (2, "b"))
        assert names(items) == ["a", "b"]

    @needs("transactions")
    def test_a_transaction_works_in_async_code(self, items: Database) -> None:
        """Look for connections that are bound to the thread that opened them."""

        async def work() -> None:
            async with items.transaction():
                await items.aexecute(ADD, (1, "a"))
                await asyncio.gather(*(items.aexecute(ADD, (n, "b")) for n in (2, 3)))
            with pytest.raises(ZeroDivisionError):
                async with items.transaction():
                    await items.aexecute(ADD, (4, "c"))
                    raise ZeroDivisionError

        asyncio.run(work())
        assert names(items) == ["a", "b", "b"]

    @needs("transactions")
    def test_an_insert_is_all_or_none(self, items: Database) -> None:
        """Look at the driver's `insert`: it must not commit by itself."""
        rows = ({"id": n if n < 1500 else 1, "name": "x"} for n in range(1501))
        if not self.constraints:
            rows = (
                {"id": n, "name": "x", **({"odd": 1} if n == 1500 else {})} for n in range(1501)
            )
        with pytest.raises(DatabaseError):
            items.insert("items", rows)
        assert names(items) == []
