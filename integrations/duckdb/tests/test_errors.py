"""Each of DuckDB's exceptions becomes an error of Flowstone, without values in its message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from flowstone.errors import (
    DatabaseBusy,
    DatabaseDenied,
    DatabaseError,
    DatabaseUnreachable,
    IntegrityViolated,
    QueryCancelled,
    QueryInvalid,
    TableMissing,
)
from flowstone_duckdb import DuckDBDatabase
from flowstone_duckdb.errors import BY_EXCEPTION, QUOTING, translate

#: What is no `QueryInvalid`.
OTHERS: dict[str, type[DatabaseError]] = {
    "ConnectionException": DatabaseUnreachable,
    "ConstraintException": IntegrityViolated,
    "FatalException": DatabaseError,
    "HTTPException": DatabaseUnreachable,
    "IOException": DatabaseUnreachable,
    "InternalException": DatabaseError,
    "InterruptException": QueryCancelled,
    "OutOfMemoryException": DatabaseError,
    "PermissionException": DatabaseDenied,
    "TransactionException": DatabaseBusy,
}
EXCEPTIONS = {
    name: kind
    for name, kind in vars(duckdb).items()
    if isinstance(kind, type) and issubclass(kind, duckdb.Error)
}


@pytest.mark.parametrize("name", sorted(EXCEPTIONS))
def test_each_exception_is_one_of_ours(name: str) -> None:
    error = EXCEPTIONS[name]("Some Error: it went wrong.")
    told = translate("DuckDB x", error, "SELECT 1")
    assert type(told) is OTHERS.get(name, QueryInvalid)
    assert str(told).startswith("DuckDB x: it went wrong.")
    assert "Some Error" not in str(told)


def test_the_table_has_no_other_names() -> None:
    assert BY_EXCEPTION.keys() <= EXCEPTIONS.keys()
    assert EXCEPTIONS.keys() >= QUOTING


def test_errors_of_others_are_theirs() -> None:
    assert translate("DuckDB x", ValueError("no"), None) is None


@pytest.mark.parametrize(
    ("statement", "kind", "words"),
    [
        ("SELEC 1", QueryInvalid, "syntax error"),
        ("SELECT a FROM nowhere", TableMissing, "nowhere"),
        ("SELECT nope FROM t", QueryInvalid, "nope"),
        ("INSERT INTO t VALUES (1, 'b')", IntegrityViolated, "Fix the row"),
        ("INSERT INTO t VALUES ('canary-4711', 'b')", QueryInvalid, "INT32"),
        ("SELECT 1; SELECT 2", QueryInvalid, "2 statements, and only one can be run"),
        ("-- nothing", QueryInvalid, "0 statements, and only one can be run"),
    ],
)
def test_real_errors(
    database: DuckDBDatabase, statement: str, kind: type[DatabaseError], words: str
) -> None:
    database.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b VARCHAR)")
    database.execute("INSERT INTO t VALUES (1, 'a')")
    runs: list[Any] = [database.execute, database.fetch_all, database.fetch_arrow]
    for run in runs:
        with pytest.raises(kind, match=words) as caught:
            run(statement)
        assert type(caught.value) is kind
        assert "canary" not in caught.value.problem


def test_a_file_that_another_process_writes_is_busy(tmp_path: Path) -> None:
    error = duckdb.IOException(f"IO Error: Could not set lock on file {tmp_path}: Conflicting")
    assert type(translate("DuckDB x", error, None)) is DatabaseBusy


def test_positions_are_told(database: DuckDBDatabase) -> None:
    with pytest.raises(QueryInvalid) as caught:
        database.fetch_all("SELECT 1,\n  2 FROM WHERE x")
    statement, position = caught.value.statement, caught.value.position
    assert statement is not None
    assert position == statement.index("WHERE")
    assert "line 2, column 10" in str(caught.value)
