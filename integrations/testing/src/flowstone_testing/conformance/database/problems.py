"""Tests of errors: one hierarchy, without values in messages."""

# ruff: noqa: PT017 - what one database refuses, another may accept

from __future__ import annotations

import secrets
from traceback import format_exception
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import DatabaseError, IntegrityViolated, QueryInvalid, TableMissing
from flowstone_testing.conformance.database.base import DatabaseBase, names
from flowstone_testing.conformance.suite import capability

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.blocks import Database


class ProblemTests(DatabaseBase):
    """The classes and messages of errors."""

    def test_a_wrong_statement_is_told_with_itself(self, items: Database) -> None:
        """Look at `translate_error`: a syntax error is a `QueryInvalid`."""
        for wrong in ("SELEC 1", "SELECT id FRM items", "", "   "):
            for run in (items.execute, items.fetch_all):
                with pytest.raises(QueryInvalid) as caught:
                    run(wrong)
                assert wrong.strip() in str(caught.value)
        with pytest.raises(QueryInvalid, match="SELECT nope"):
            items.fetch_all("SELECT nope\nFROM items -- second line")
        with pytest.raises(QueryInvalid) as caught:
            items.fetch_all("SELECT nope\nFROM items -- second line")
        assert "second line" not in str(caught.value)

    def test_a_missing_table_is_told(self, database: Database) -> None:
        """Look at `translate_error`: what does the driver raise for a missing table?"""
        for wrong in ("SELECT * FROM nowhere", "INSERT INTO nowhere VALUES (1)"):
            with pytest.raises(TableMissing, match="nowhere"):
                database.execute(wrong)
        with pytest.raises(LookupError):
            database.fetch_all("SELECT * FROM nowhere")

    @capability("constraints", pytest.fail.Exception, "DID NOT RAISE")
    def test_a_broken_constraint_is_told(self, items: Database) -> None:
        """Look at `translate_error`: a duplicate key is a broken constraint.

        Set `constraints` to False if the database accepts two rows with the same key.
        """
        items.execute("INSERT INTO items VALUES (1, 'a')")
        with pytest.raises(IntegrityViolated):
            items.execute("INSERT INTO items VALUES (?, ?)", (1, "b"))
        with pytest.raises(IntegrityViolated):
            items.insert("items", [{"id": 1, "name": "d"}, {"id": 2, "name": "c"}])
        assert names(items) == ["a"]

    def test_values_are_in_no_error(self, database: Database) -> None:
        """Look at `translate_error`: drivers quote invalid values."""
        import pyarrow as pa  # an optional dependency

        canary = f"canary-{secrets.token_hex(12)}"
        database.execute("CREATE TABLE guarded (id INTEGER, code VARCHAR(100) PRIMARY KEY)")
        database.execute("INSERT INTO guarded VALUES (1, ?)", [canary])
        row = {"id": 1, "code": canary}
        attempts: list[Callable[[], object]] = [
            lambda: database.execute("INSERT INTO guarded VALUES (?, ?)", (1, canary)),
            lambda: database.execute_many(
                "INSERT INTO guarded VALUES (?, ?)", [(2, "x"), (1, canary)]
            ),
            lambda: database.insert("guarded", [{"id": 2, "code": "x"}, row]),
            lambda: database.execute("INSERT INTO guarded VALUES (:id, :code, 3)", row),
            lambda: database.execute("INSERT INTO guarded VALUES (?)", (1, canary)),
            lambda: database.fetch_all("SELECT CAST(? AS DATE) FROM nowhere", [canary]),
            lambda: database.fetch_all("SELECT abs(?) + id FROM guarded WHERE nope = 1", [canary]),
            lambda: database.insert("guarded", [{"id": canary, "code": {1, 2}}]),
            lambda: database.insert("guarded", pa.table({"id": [2], "code": [canary]})),
            lambda: database.insert("guarded", pa.table({"id": [canary], "code": ["y"]})),
            lambda: database.fetch_arrow("SELECT CAST(code AS INTEGER) FROM guarded"),
            lambda: database.execute("UPDATE guarded SET id = CAST(code AS INTEGER) + ?", [canary]),
            lambda: database.fetch_all("SELECT CAST(code AS INTEGER) FROM guarded"),
            lambda: database.execute("INSERT INTO guarded SELECT 3, code FROM guarded"),
        ]
        for number, attempt in enumerate(attempts):
            try:
                attempt()
            except DatabaseError as error:
                text = "".join(format_exception(error))
                assert canary not in text, f"attempt {number} shows a value"
                assert canary not in repr(vars(error)), f"attempt {number} keeps a value"

    def test_errors_leave_it_usable(self, items: Database) -> None:
        """Look at connections after an error: none may stay in a transaction."""
        for _ in range(12):
            with pytest.raises(DatabaseError):
                items.execute("INSERT INTO nowhere VALUES (1)")
            with pytest.raises(DatabaseError):
                items.insert("items", [{"id": 1, "nope": 2}])
        with pytest.raises(DatabaseError):
            items.execute("INSERT INTO nowhere VALUES (1)")
        assert items.execute("INSERT INTO items VALUES (1, 'a')") == 1
        if self.persists:
            items.close()
        assert names(items) == ["a"]
