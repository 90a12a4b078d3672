"""Databases that evaluate expectations themselves, and those that are read into memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from flowstone.errors import MissingExtra, QueryInvalid
from flowstone_great_expectations.batches import DataBatch, FrameBatch, SplitRows, add_reasons
from flowstone_great_expectations.errors import ValidationInvalid
from flowstone_great_expectations.frames import take_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL, Engine

    from flowstone.blocks import Database
    from flowstone.records.access import DatabaseAccess
    from flowstone_great_expectations.results import Evaluated
    from flowstone_great_expectations.sources import DatabaseSource
    from flowstone_great_expectations.suites import Expectations

Key = tuple[object, ...]


class _Dialect(NamedTuple):
    """How SQLAlchemy connects to a kind of database.

    Attributes:
        driver: the required module; empty for one of the standard library.
        name: the name of SQLAlchemy's dialect with the driver.
        extra: the extra of this package that installs both.
    """

    driver: str
    name: str
    extra: str


_DIALECTS = {
    "mariadb": _Dialect("pymysql", "mysql+pymysql", "mysql"),
    "mysql": _Dialect("pymysql", "mysql+pymysql", "mysql"),
    "postgresql": _Dialect("psycopg", "postgresql+psycopg", "postgresql"),
    "sqlite": _Dialect("", "sqlite", "sqlite"),
}


def open_source(source: DatabaseSource, keys: Sequence[str], *, sets_aside: bool) -> DataBatch:
    """Return the batch for a table or a query.

    Servers and SQLite files evaluate the expectations themselves. Databases inside this process,
    such as DuckDB and in-memory SQLite, are read into memory.

    Args:
        source: the table or query.
        keys: columns that identify a row.
        sets_aside: whether failing rows are quarantined.

    Raises:
        DatabaseError: there is no such table, or the query is wrong.
        MissingExtra: the driver is not installed.
        ValidationInvalid: Great Expectations can't validate such a database in place, or the key
            columns are wrong.
    """
    access = _find_access(source.database)
    if access is None:
        if keys:
            problem = "rows of an in-process database are identified by their position"
            raise ValidationInvalid("key_columns", problem, "Remove it.")
        table = source.database.fetch_arrow(_select(source, _quote))
        return FrameBatch(take_frame(table))
    if sets_aside and not keys:
        problem = f"a quarantine needs columns that identify the rows of a {access.dialect} table"
        raise ValidationInvalid("key_columns", problem, "Pass the columns of its primary key.")
    return TableBatch(source, access, keys)


def _find_access(database: Database) -> DatabaseAccess | None:
    """Return how other tools connect to a database; None for one that runs in this process."""
    try:
        access = database.access()
    except QueryInvalid:
        return None
    if access.dialect == "duckdb":
        return None
    if access.dialect not in _DIALECTS:
        known = ", ".join(sorted({*_DIALECTS, "duckdb"}))
        problem = f"{access.dialect} can't be validated in place; these can: {known}"
        remedy = "Fetch the rows with `database.fetch_arrow(...)`, and pass the result."
        raise ValidationInvalid("the data", problem, remedy)
    return access


class TableBatch(DataBatch):
    """A table or query that its database evaluates."""

    def __init__(self, source: DatabaseSource, access: DatabaseAccess, keys: Sequence[str]) -> None:
        self._source, self._access, self._keys = source, access, tuple(keys)
        with _open_engine(access) as engine:
            self._quoted = engine.dialect.identifier_preparer.quote_identifier
        # The block's own error for a missing table is clearer.
        columns = source.database.fetch_arrow(_select_nothing(self._select())).column_names
        if missing := [name for name in self._keys if name not in columns]:
            problem = f"there is no column {missing[0]!r}"
            raise ValidationInvalid("key_columns", problem, "Pass columns of the table.")

    def _select(self) -> str:
        return _select(self._source, self._quoted)

    def evaluate(
        self, expectations: Expectations, parameters: Mapping[str, Any], *, include_values: bool
    ) -> list[Evaluated]:
        # Great Expectations takes 3 s to load.
        from flowstone_great_expectations.engine import evaluate_table

        schema, _, name = (self._source.table or "").rpartition(".")
        table: dict[str, Any] = {"query": self._select()}
        if self._source.table is not None:
            table = {"schema_name": schema or None, "table_name": name}
        with _open_engine(self._access) as engine:
            return evaluate_table(
                engine, table, self._keys, expectations, parameters, include_values=include_values
            )

    def count_failing(self, failed: Sequence[Evaluated]) -> int:
        return len(set[Key]().union(*map(self._find_keys, failed)))

    def split(self, failed: Sequence[Evaluated]) -> SplitRows:
        wanted = [self._find_keys(each) for each in failed]
        labels = [each.outcome.label for each in failed]
        failing, passing, found = [], [], set[Key]()
        count = 0
        for batch in self._source.database.stream_arrow(self._select()):
            columns = [batch.column(name).to_pylist() for name in self._keys]
            keys = [tuple(map(_normalize, key)) for key in zip(*columns, strict=True)]
            marks = np.array([[key in each for key in keys] for each in wanted], dtype=bool)
            rows = np.any(marks.reshape(len(wanted), -1), axis=0)
            found.update(key for key, fails in zip(keys, rows, strict=True) if fails)
            count += int(rows.sum())
            table = pa.Table.from_batches([batch])
            failing.append(add_reasons(table.filter(pa.array(rows)), labels, marks[:, rows]))
            passing.append(table.filter(pa.array(~rows)))
        self._check(set[Key]().union(*wanted), found, count)
        order = [(name, "ascending") for name in self._keys]
        return SplitRows(pa.concat_tables(failing).sort_by(order), pa.concat_tables(passing))

    def _check(self, wanted: set[Key], found: set[Key], count: int) -> None:
        if count > len(found):
            problem = (
                f"they are not unique: {count:,} rows have the {len(found):,} keys of failing rows"
            )
            remedy = "Pass columns that identify each row, like the primary key."
            raise ValidationInvalid("key_columns", problem, remedy)
        if wanted != found:
            problem = f"{len(wanted - found):,} failing rows were not found again by their keys"
            remedy = "The table has changed in the meantime; validate it again."
            raise ValidationInvalid("the data", problem, remedy)

    def _find_keys(self, evaluated: Evaluated) -> set[Key]:
        return {tuple(_normalize(row[name]) for name in self._keys) for row in evaluated.rows}


def _select(source: DatabaseSource, quote: Callable[[str], str]) -> str:
    if source.query is not None:
        return source.query.strip().rstrip(";")
    name = ".".join(map(quote, str(source.table).split(".")))
    return f"SELECT * FROM {name}"


def _select_nothing(query: str) -> str:
    return f"SELECT * FROM ({query}) AS checked WHERE 1 = 0"


def _quote(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _normalize(value: object) -> object:
    """Return a key's value in a form that both drivers share."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else str(value.normalize())
    if isinstance(value, (datetime, date, time)):
        return value.isoformat().replace("T", " ")
    return value if value is None or isinstance(value, (bool, int, float, bytes)) else str(value)


@contextmanager
def _open_engine(access: DatabaseAccess) -> Iterator[Engine]:
    """Open an SQLAlchemy engine for a database, and close its connections at the end."""
    dialect = _DIALECTS[access.dialect]
    if find_spec("sqlalchemy") is None or (dialect.driver and find_spec(dialect.driver) is None):
        what = f"validating tables of {access.dialect}"
        raise MissingExtra(what, f"flowstone-great-expectations[{dialect.extra}]")
    # Installed with an extra.
    from sqlalchemy import create_engine

    engine = create_engine(_make_url(access, dialect), hide_parameters=True)
    try:
        yield engine
    finally:
        engine.dispose()


def _make_url(access: DatabaseAccess, dialect: _Dialect) -> URL:
    # The same.
    from sqlalchemy import URL

    if access.dialect == "sqlite":
        if access.options.get("mode") == "ro":
            query = {"mode": "ro", "uri": "true"}
            return URL.create("sqlite", database=f"file:{access.database}", query=query)
        return URL.create("sqlite", database=access.database)
    return URL.create(
        dialect.name,
        username=access.user,
        password=access.reveal("password"),
        host=access.host,
        port=access.port,
        database=access.database,
        query=dict(access.options),
    )
