"""Tests of statements: parameters, rows, and the types of values."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Generator
from datetime import UTC, date, datetime
from decimal import Decimal
from inspect import isfunction
from itertools import islice
from json import loads
from typing import TYPE_CHECKING, Any

import pytest

from flowstone.blocks import Database
from flowstone.blocks.databases import AwareDatetime
from flowstone.blocks.databases.queries import Queries
from flowstone.blocks.databases.whole_tables import WholeTables
from flowstone.errors import QueryInvalid
from flowstone_testing.conformance.database.base import DatabaseBase, names
from flowstone_testing.conformance.suite import capability, needs

if TYPE_CHECKING:
    from collections.abc import Callable

NASTY = [
    "x'); DROP TABLE items; --",
    "' OR '1'='1",
    '"; DELETE FROM items; "',
    "? :name %s %(x)s $1 {0} \\",
    "\u00e4\u00f6\u00fc \u65e5\u672c\u8a9e \U0001f600 e\u0301",
    "line\nbreak\r\n\ttab",
    "",
    " ",
]
VALUES: dict[type, tuple[Any, Callable[[Any], Any]]] = {
    bool: (True, bool),
    Decimal: (Decimal("12345.67"), lambda text: Decimal(str(text))),
    date: (date(2024, 2, 29), date.fromisoformat),
    datetime: (datetime(2024, 2, 29, 23, 59, 58, 123456), datetime.fromisoformat),  # noqa: DTZ001 - a column without a zone
    AwareDatetime: (datetime(2024, 2, 29, 23, 59, 58, 123456, UTC), datetime.fromisoformat),
    list: ([1, None, 3], loads),
    dict: ({"a": [1.5, {"b": None}], "c": "\u00e4"}, loads),
}


class QueryTests(DatabaseBase):
    """Execute, fetch, stream."""

    def test_rows_are_changed_and_counted(self, items: Database) -> None:
        """Look at the driver's `execute`: it returns the number of changed rows, else 0."""
        assert items.execute("INSERT INTO items VALUES (1, 'a')") == 1
        assert items.execute("INSERT INTO items VALUES (2, 'b'), (3, 'c')") == 2
        assert items.execute("UPDATE items SET name = 'x' WHERE id > 1") == 2
        assert items.execute("UPDATE items SET name = 'x' WHERE id > 9") == 0
        assert items.execute("DELETE FROM items WHERE id = 2") == 1
        assert items.execute("CREATE TABLE others (id INTEGER)") == 0
        assert items.fetch_all("SELECT * FROM items ORDER BY id") == [(1, "a"), (3, "x")]

    def test_rows_are_tuples_in_order(self, items: Database) -> None:
        """Look at the driver's `query`: `fetchmany` returns the next rows, fewer, then none."""
        items.insert("items", [{"id": n, "name": f"n{n}"} for n in range(2500)])
        query = "SELECT id, name FROM items ORDER BY id"
        rows = [(n, f"n{n}") for n in range(2500)]
        assert items.fetch_all(query) == rows
        assert list(items.stream(query)) == rows
        assert list(items.stream(query, batch=7)) == rows
        assert items.fetch_many(query, size=3) == rows[:3]
        assert items.fetch_many(query, size=3) == rows[:3], "each call begins anew"
        assert items.fetch_one(query) == rows[0]
        assert type(items.fetch_one(query)) is tuple

    def test_nothing_found_is_nothing(self, items: Database) -> None:
        """Look at the driver's `query` without rows: None, or an empty list."""
        query = "SELECT id, name FROM items WHERE id = ?"
        assert items.fetch_one(query, [1]) is None
        assert items.fetch_many(query, [1], 5) == []
        assert items.fetch_all(query, [1]) == []
        assert list(items.stream(query, [1])) == []

    def test_parameters_go_by_place_and_by_name(self, items: Database) -> None:
        """Look at `placeholder_style`: which placeholders does the driver use?"""
        items.execute("INSERT INTO items VALUES (?, ?)", (1, "a"))
        items.execute("INSERT INTO items VALUES (?, ?)", [2, None])
        items.execute("INSERT INTO items VALUES (:id, :name)", {"name": "c", "id": 3, "more": 0})
        assert items.fetch_all("SELECT * FROM items ORDER BY id") == [(1, "a"), (2, None), (3, "c")]
        query = "SELECT id FROM items WHERE id = :x OR id = :y OR id = :x + 2 ORDER BY id"
        assert items.fetch_all(query, {"x": 1, "y": 2}) == [(1,), (2,), (3,)]

    @capability("standard_quotes", QueryInvalid)
    def test_text_in_quotes_and_comments_is_left_alone(self, items: Database) -> None:
        """Look at `placeholder_style`, and at `%` for drivers that take `%s`."""
        found = items.fetch_one(
            "SELECT '?', ':a', '100%s %', 'it''s :a?', ? -- what? :a %s 'open\n"
            ', 7 % 4 /* ? :a \' */ AS "odd?:a%s"',
            ["x"],
        )
        assert found == ("?", ":a", "100%s %", "it's :a?", "x", 3)
        items.execute("INSERT INTO items VALUES (:id, ':id')", {"id": 1})
        assert names(items) == [":id"]

    def test_values_are_bound_whatever_is_in_them(self, items: Database) -> None:
        """Look for values that are inserted into the statement's text."""
        for number, text in enumerate(NASTY):
            items.execute("INSERT INTO items VALUES (?, ?)", (number, text))
            found = items.fetch_all("SELECT id FROM items WHERE name = :text", {"text": text})
            assert found == [(number,)]
        assert names(items) == NASTY
        items.execute("DELETE FROM items")
        rows = [{"id": number, "name": text} for number, text in enumerate(NASTY)]
        assert items.insert("items", rows) == len(NASTY)
        assert names(items) == NASTY

    def test_parameters_that_do_not_fit_are_refused(self, items: Database) -> None:
        """Look for an `execute` that the block defines: `Database` checks the parameters."""
        for wrong in ((), (1,), (1, "a", 2), {"id": 1}, "ab", 7):
            with pytest.raises(QueryInvalid) as caught:
                items.execute("INSERT INTO items VALUES (?, ?)", wrong)  # type: ignore[arg-type]
            assert "INSERT INTO items" in str(caught.value)
        with pytest.raises(QueryInvalid, match=":name"):
            items.execute("INSERT INTO items VALUES (:id, :name)", {"id": 1})
        assert names(items) == []

    @needs("transactions")
    def test_many_go_all_or_none(self, items: Database) -> None:
        """Look at the driver's `execute_many`: it must stay in its connection's transaction."""
        statement = "INSERT INTO items VALUES (?, ?)"
        assert items.execute_many(statement, ((n, f"n{n}") for n in range(2300))) == 2300
        assert items.execute_many("DELETE FROM items WHERE id = :i", [{"i": 1}, {"i": 2}]) == 2
        assert items.execute_many(statement, []) == 0
        before = names(items)
        with pytest.raises(QueryInvalid):
            items.execute_many(statement, [*((n, "a") for n in range(5000, 7500)), (7500,)])
        assert names(items) == before

    def test_common_types_come_back_as_they_went(self, database: Database) -> None:
        """Look at `adapt` and at the driver's conversions: type and value must not change."""
        values = [0, 1, -1, 2**63 - 1, -(2**63), 0.1, -1e300, "text", b"", bytes(range(256)), None]
        for value in values:
            database.execute("DROP TABLE IF EXISTS kept")
            database.insert("kept", [{"value": value}], create=True)
            [(found,)] = database.fetch_all("SELECT value FROM kept")
            assert (type(found), found) == (type(value), value)

    def test_declared_types_come_back_as_they_went(self, database: Database) -> None:
        """Look at `keeps`: a type is in it, or is read back as equivalent text."""
        for kind, (value, read) in VALUES.items():
            database.execute("DROP TABLE IF EXISTS kept")
            database.insert("kept", [{"value": value}], create=True)
            [(found,)] = database.fetch_all("SELECT value FROM kept")
            if kind in self.keeps:
                assert (type(found), found) == (type(value), value)
                assert kind is not AwareDatetime or found.utcoffset() is not None
            else:
                assert type(found) is not type(value), f"put {kind.__name__} into `keeps`"
                assert read(found) == value

    def test_a_number_too_big_is_refused_or_kept(self, database: Database) -> None:
        """Look at `translate_error`: a number out of range must not become another one."""
        database.insert("kept", [{"value": 1}], create=True)
        try:
            database.execute("INSERT INTO kept VALUES (?)", [2**63])
        except QueryInvalid:
            assert database.fetch_all("SELECT value FROM kept") == [(1,)]
        else:
            assert database.fetch_all("SELECT value FROM kept ORDER BY value") == [(1,), (2**63,)]

    def test_a_zero_byte_is_kept_or_refused(self, items: Database) -> None:
        """Look at the driver: text must not end at a zero byte."""
        text = "before\0after"
        try:
            items.execute("INSERT INTO items VALUES (?, ?)", (1, text))
        except QueryInvalid:
            assert names(items) == []
        else:
            assert names(items) == [text]

    def test_one_statement_at_a_time(self, items: Database) -> None:
        """Look at the driver's `execute`: a statement after a semicolon must not run."""
        items.execute("INSERT INTO items VALUES (1, 'a');")
        for run in (items.execute, items.fetch_all):
            with pytest.raises(QueryInvalid):
                run("SELECT 1; DELETE FROM items")
        assert names(items) == ["a"]

    @capability("streams", AssertionError, "were in memory")
    def test_many_rows_stream_in_little_memory(self, database: Database) -> None:
        """Look at the driver's `query`: fetch rows in batches, or set `streams` to False."""
        next(database.stream(self.series, {"count": 10}))
        tracemalloc.start()
        try:
            total = sum(number for (number,) in database.stream(self.series, {"count": self.count}))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert total == self.count * (self.count + 1) // 2
        assert peak < self.most_bytes, f"{peak} bytes were in memory"

    def test_a_stream_may_be_left(self, items: Database) -> None:
        """Look at the driver's `query`: closing its cursor must release locks."""
        items.insert("items", [{"id": n, "name": f"n{n}"} for n in range(50)])
        stream = items.stream("SELECT id FROM items ORDER BY id", batch=2)
        assert list(islice(stream, 3)) == [(0,), (1,), (2,)]
        assert isinstance(stream, Generator)
        stream.close()
        assert items.execute("DELETE FROM items") == 50

    def test_others_run_while_a_stream_is_open(self, items: Database) -> None:
        """Look at the driver's `query`: a second statement must not end the first one's rows."""
        items.insert("items", [{"id": n, "name": "old"} for n in range(30)])
        for (number,) in items.stream("SELECT id FROM items ORDER BY id", batch=2):
            items.execute("UPDATE items SET name = 'new' WHERE id = ?", [number])
        assert names(items) == ["new"] * 30
        if not self.transactions:
            return  # another test checks that it has none
        with items.transaction():
            for (number,) in items.stream("SELECT id FROM items ORDER BY id", batch=2):
                items.execute("UPDATE items SET name = 'newer' WHERE id = ?", [number])
        assert names(items) == ["newer"] * 30

    def test_twins_do_the_same(self, items: Database) -> None:
        """Look for async versions that the block defines: they must come from `Database`."""

        async def ask() -> None:
            assert await items.aexecute("INSERT INTO items VALUES (?, ?)", (1, "a")) == 1
            assert await items.aexecute_many("INSERT INTO items VALUES (?, 'b')", [(2,), (3,)]) == 2
            query = "SELECT id FROM items ORDER BY id"
            assert await items.afetch_one(query) == (1,)
            assert await items.afetch_many(query, None, 2) == [(1,), (2,)]
            assert await items.afetch_all(query) == [(1,), (2,), (3,)]
            assert [row async for row in items.astream(query, batch=2)] == [(1,), (2,), (3,)]
            assert await items.ainsert("items", [{"id": 4, "name": "d"}]) == 1
            assert (await items.afetch_arrow(query)).num_rows == 4

        asyncio.run(ask())
        assert names(items) == ["a", "b", "b", "d"]

    def test_public_methods_are_the_interface_s(self, database: Database) -> None:
        """Implement methods of the driver (`execute`, `query` …), not of the block."""
        kind = type(database)
        for home in (Database, WholeTables, Queries):
            for name, method in vars(home).items():
                ours = isfunction(method) and method.__module__ == home.__module__
                if ours and not name.startswith("_") and name != "make_driver":
                    assert getattr(kind, name) is method, f"{kind.__name__} replaces {name}"
