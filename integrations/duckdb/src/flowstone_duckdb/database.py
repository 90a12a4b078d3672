"""DuckDBDatabase: an analytical database, in a local file or in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import Field, field_validator

from flowstone.blocks import Database, ObjectStore
from flowstone.blocks.databases import ArrowDriver, AwareDatetime, SqlSyntax
from flowstone.records.access import DatabaseAccess
from flowstone_duckdb.errors import SeveralStatements, translate

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from flowstone.blocks.databases import Row
    from flowstone.errors import DatabaseError

MEMORY = ":memory:"
_SCHEME = re.compile(r"[a-z][a-z0-9]*")
#: Schemes that DuckDB, or one of its extensions, reads itself.
_TAKEN = frozenset({"file", "http", "https", "s3", "gs", "gcs", "az", "azure", "abfss", "hf"})
#: The name of an Arrow table on a connection while its rows are inserted.
VIEW = "flowstone_arrow"
#: Casts of types that some versions return as raw bytes.
_CASTS = {"BIT": "::VARCHAR", "UHUGEINT": "::HUGEINT"}


class DuckDBDatabase(Database):
    """A DuckDB database.

    One process at a time may write to a file; its threads share it. An in-memory database belongs
    to one block, and is discarded when the block is closed. DuckDB has no nested transactions.
    """

    _block_type_name: ClassVar[str | None] = "DuckDB Database"
    _block_type_slug: ClassVar[str | None] = "duckdb-database"
    _description: ClassVar[str | None] = "A DuckDB database, in a file or in memory."
    _code_example: ClassVar[str | None] = (
        'DuckDBDatabase(path="sales.duckdb").save("sales")\n'
        'with DuckDBDatabase.load("sales") as sales:\n'
        '    sales.insert("orders", [{"item": "tea", "price": 3}], create=True)\n'
        '    print(sales.fetch_arrow("SELECT item, sum(price) FROM orders GROUP BY item"))'
    )

    schema_version: ClassVar[int] = 2
    #: 2: `stores` was added.
    migrations: ClassVar[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {1: dict}

    path: str = Field(
        default=MEMORY,
        description="The file, which is created if it does not exist; ~ is your home directory. "
        "':memory:' is a database in memory.",
    )
    read_only: bool = Field(default=False, description="Whether to open the file read-only.")
    config: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Settings of DuckDB, such as memory_limit and threads. They are displayed: "
        "do not put secrets here.",
    )

    stores: dict[str, ObjectStore] = Field(
        default_factory=dict,
        description="Object stores that SQL statements can read and write, by name: "
        "with {'raw': bucket}, use FROM 'raw://2026/*.parquet'.",
    )

    @field_validator("stores")
    @classmethod
    def _are_schemes(cls, value: dict[str, ObjectStore]) -> dict[str, ObjectStore]:
        for name in value:
            if not _SCHEME.fullmatch(name) or name in _TAKEN:
                raise ValueError(
                    f"{name!r} is not a valid store name: use lower-case letters and digits, and "
                    f"none of DuckDB's schemes: {', '.join(sorted(_TAKEN))}"
                )
        return value

    def make_driver(self) -> DuckDBDriver:
        """Return a driver for the file, or for a new database in memory."""
        return DuckDBDriver(
            self.path, read_only=self.read_only, config=self.config, stores=self.stores
        )


class DuckDBDriver(ArrowDriver["DuckDBConnection"]):
    """DuckDB, with one file or one database in memory."""

    placeholder_style = "dollar"
    savepoints = False
    syntax = SqlSyntax(nested_comments=True)
    column_types: Mapping[type, str] = {
        bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR", bytes: "BLOB",
        Decimal: "DECIMAL(38, 10)", AwareDatetime: "TIMESTAMPTZ", datetime: "TIMESTAMP",
        date: "DATE", list: "JSON", dict: "JSON",
    }  # fmt: skip

    def __init__(
        self,
        path: str,
        *,
        read_only: bool = False,
        config: Mapping[str, str | int | float | bool] | None = None,
        stores: Mapping[str, ObjectStore] | None = None,
    ) -> None:
        super().__init__(f"DuckDB {path}")
        in_memory = path == MEMORY
        self._path = MEMORY if in_memory else str(Path(path).expanduser().absolute())
        self._read_only = read_only and not in_memory
        self._config: dict[str, str | bool | int | float | list[str]] = {**(config or {})}
        self._stores = stores or {}
        self._database: duckdb.DuckDBPyConnection | None = None

    def open(self) -> None:
        """Open the file, or a database in memory."""
        import duckdb  # a block is created, saved and loaded without it

        filesystems = [store.filesystem(name) for name, store in self._stores.items()]
        self._database = duckdb.connect(self._path, read_only=self._read_only, config=self._config)
        for filesystem in filesystems:
            self._database.register_filesystem(filesystem)

    def make_access(self) -> DatabaseAccess:
        if self._path == MEMORY:
            return super().make_access()
        options = {name: _write_setting(value) for name, value in self._config.items()}
        if self._read_only:
            options["access_mode"] = "READ_ONLY"
        return DatabaseAccess("duckdb", self._path, options=options)

    def close(self) -> None:
        """Close the file, or discard the database in memory."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def connect(self) -> DuckDBConnection:
        """Open a connection, with its own transaction."""
        assert self._database is not None
        return DuckDBConnection(self._database.cursor())

    def disconnect(self, connection: DuckDBConnection) -> None:
        """Close a connection; its open transaction is rolled back."""
        connection.raw.close()

    def interrupt(self, connection: DuckDBConnection) -> None:
        """Interrupt the statement of a connection."""
        connection.raw.interrupt()

    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return Flowstone's error for one of DuckDB's; None for other errors."""
        return translate(self.where, error, statement)

    def adapt(self, value: object) -> object:
        """Return a value in the form that DuckDB accepts: a dict as JSON."""
        return dumps(value) if isinstance(value, dict) else value

    def execute(
        self, connection: DuckDBConnection, operation: str, values: Sequence[object]
    ) -> int:
        """Run one statement, and return the number of changed rows; 0 if that is unknown."""
        return connection.execute(operation, values).count_changes()

    def query(
        self, connection: DuckDBConnection, operation: str, values: Sequence[object]
    ) -> DuckDBResult:
        """Run one statement, and return its rows."""
        return connection.execute(operation, values)

    def insert(
        self,
        connection: DuckDBConnection,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Row],
    ) -> None:
        """Add rows to a table, as a list per column: eight times as fast as by single values."""
        names = ", ".join(map(self.quote_name, columns))
        lists = ", ".join(f"unnest(${place})" for place in range(1, len(columns) + 1))
        values = [[_encode_list(value) for value in column] for column in zip(*rows, strict=True)]
        connection.execute(f"INSERT INTO {table} ({names}) SELECT {lists}", values)

    def open_arrow(
        self,
        connection: DuckDBConnection,
        operation: str,
        values: Sequence[object],
        batch_rows: int,
    ) -> pa.RecordBatchReader:
        """Run one statement, and return a reader of its rows.

        Integers of 128 bits are returned as decimals, and bits as text.
        """
        return connection.read_arrow(_cast(connection.relate(operation, values)), batch_rows)

    def fetch_arrow(
        self, connection: DuckDBConnection, operation: str, values: Sequence[object]
    ) -> pa.Table:
        """Run one statement, and return all its rows.

        Integers of 128 bits are returned as 64-bit integers if all of a column fit, otherwise as
        decimals; bits as text.
        """
        relation = connection.relate(operation, values)
        types = [str(kind) for kind in relation.types]
        table = _cast(relation).to_arrow_table()
        for place, kind in enumerate(types):
            if kind in {"HUGEINT", "UHUGEINT"}:
                with suppress(ValueError):
                    column = table.column(place).cast("int64")
                    table = table.set_column(place, table.schema.names[place], column)
        return table

    def insert_arrow(self, connection: DuckDBConnection, table: str, data: pa.Table) -> None:
        """Add the rows of an Arrow table to a table."""
        names = ", ".join(map(self.quote_name, data.schema.names))
        connection.end_result()
        connection.raw.register(VIEW, data)
        try:
            connection.execute(f"INSERT INTO {table} ({names}) FROM {VIEW}", ())
        finally:
            with suppress(Exception):  # fails in a failed transaction; the view is replaced
                connection.raw.unregister(VIEW)


class DuckDBConnection:
    """A connection of DuckDB that allows several open results; DuckDB's own has one at a time."""

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        self.raw = raw
        self._reading: DuckDBResult | DuckDBBatches | None = None

    def execute(self, operation: str, values: Sequence[object]) -> DuckDBResult:
        """Run one statement, and return its rows."""
        statement = self._prepare(operation)
        self.raw.execute(statement, list(values))
        self._reading = DuckDBResult(self.raw)
        return self._reading

    def relate(self, operation: str, values: Sequence[object]) -> duckdb.DuckDBPyRelation:
        """Run one statement as a relation, which becomes Arrow without intermediate Python rows."""
        statement = self._prepare(operation)
        self.end_result()
        made = self.raw.sql(statement, params=list(values) or None)
        # In some versions, a statement that is not a query has no relation.
        relation = cast("duckdb.DuckDBPyRelation | None", made)
        if relation is None:
            return self.raw.sql('SELECT 0 AS "Count" WHERE false')
        return relation

    def read_arrow(
        self, relation: duckdb.DuckDBPyRelation, batch_rows: int
    ) -> pa.RecordBatchReader:
        """Return a reader of a relation's rows; other statements may run while it is open."""
        import pyarrow as pa  # an optional dependency

        # The method was renamed in DuckDB 2.0.
        read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
        raw: pa.RecordBatchReader = read(batch_rows)
        self._reading = batches = DuckDBBatches(raw)
        return pa.RecordBatchReader.from_batches(raw.schema, batches)

    def end_result(self) -> None:
        """Release the last result: a half-read one blocks everything except statements."""
        self._finish_reading()
        self.raw.execute("SELECT NULL").fetchall()

    def _finish_reading(self) -> None:
        if self._reading is not None:
            self._reading.finish()  # the next result would end it
            self._reading = None

    def _prepare(self, operation: str) -> duckdb.Statement:
        self._finish_reading()
        statements = self.raw.extract_statements(operation)
        if len(statements) != 1:
            raise SeveralStatements(len(statements))
        return statements[0]


class DuckDBBatches:
    """Arrow batches that stay in DuckDB until another statement runs on the connection."""

    def __init__(self, raw: pa.RecordBatchReader) -> None:
        self._batches: Iterator[pa.RecordBatch] = iter(raw)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (batch := next(self._batches, None)) is not None:
            yield batch

    def finish(self) -> None:
        """Read the remaining batches into memory."""
        self._batches = iter(list(self._batches))


class DuckDBResult:
    """The rows of a statement, which stay in DuckDB until another one runs on the connection."""

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        self._raw: duckdb.DuckDBPyConnection | None = raw
        self._rest: list[Any] = []
        self.description: Any = raw.description

    def count_changes(self) -> int:
        """Return the number of changed rows, if the result consists of it."""
        counts = self.description and len(self.description) == 1
        if not counts or self.description[0][0] != "Count":
            return 0
        rows = self.fetchmany(2)
        return int(rows[0][0]) if len(rows) == 1 and isinstance(rows[0][0], int) else 0

    def fetchmany(self, size: int, /) -> Sequence[Any]:
        """Return up to `size` rows."""
        if self._raw is not None:
            return self._raw.fetchmany(size)
        rows, self._rest = self._rest[:size], self._rest[size:]
        return rows

    def finish(self) -> None:
        """Read the remaining rows into memory."""
        if self._raw is not None:
            raw, self._raw = self._raw, None
            self._rest = raw.fetchall() if self.description else []

    def close(self) -> None:
        """Discard the remaining rows."""
        self._raw, self._rest = None, []


def _cast(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Return a relation without types that have no counterpart in Arrow."""
    types = [str(kind) for kind in relation.types]
    if not _CASTS.keys() & types:
        return relation
    parts = (
        f"#{place}{_CASTS.get(kind, '')} AS {_quote_name(name)}"
        for place, (kind, name) in enumerate(zip(types, relation.columns, strict=True), 1)
    )
    return relation.project(", ".join(parts))


def _write_setting(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quote_name(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _encode_list(value: object) -> object:
    # DuckDB's lists have items of one type; text is cast to a list or JSON, as the column requires.
    return dumps(value) if isinstance(value, list) else value
