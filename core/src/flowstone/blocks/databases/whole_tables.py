"""Whole tables in and out of a database: Arrow, pandas, polars, dicts, and Parquet files."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from flowstone.blocks.databases import parquet, tables
from flowstone.blocks.databases.cancellation import make_stoppable, walk
from flowstone.blocks.databases.driver import ARROW_BATCH, ArrowDriver
from flowstone.blocks.databases.given_rows import GivenRows, NoRows, can_use_arrow
from flowstone.blocks.databases.queries import BATCH, Queries
from flowstone.blocks.databases.store_driver import StoreDriver
from flowstone.errors import DatabaseError, QueryInvalid, RowsInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    import pyarrow as pa

    from flowstone.blocks.databases.calls import DriverCalls
    from flowstone.blocks.databases.driver import Row
    from flowstone.blocks.databases.placeholders import Parameters
    from flowstone.blocks.databases.pool import PooledConnection
    from flowstone.blocks.object_stores.object_store import ObjectStore

_NAME_KEYS = "Name columns that the rows have as the key; nothing was added."


class WholeTables(Queries):
    """Queries that return tables, and tables whose rows are inserted."""

    # -- reading ---------------------------------------------------------------------------------

    def fetch_arrow(self, operation: str, parameters: Parameters = None) -> pa.Table:
        """Return all rows of a query as an Arrow table.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        found = self._fetch_native(operation, parameters)
        if found is not None:
            return found
        columns, rows = self._fetch_columns(operation, parameters)
        with self._explain_types(operation):
            return tables.arrow_table(columns, rows)

    def fetch_pandas(self, operation: str, parameters: Parameters = None) -> Any:
        """Return all rows of a query as a pandas DataFrame.

        Raises:
            MissingExtra: pandas is not installed.
        """
        found = self._fetch_native(operation, parameters)
        if found is not None:
            return tables.pandas_frame_of_arrow(found)
        return tables.pandas_frame(*self._fetch_columns(operation, parameters))

    def fetch_polars(self, operation: str, parameters: Parameters = None) -> Any:
        """Return all rows of a query as a polars DataFrame.

        Raises:
            MissingExtra: polars is not installed.
        """
        found = self._fetch_native(operation, parameters)
        if found is not None:
            return tables.polars_frame_of_arrow(found)
        return tables.polars_frame(*self._fetch_columns(operation, parameters))

    def stream_arrow(
        self, operation: str, parameters: Parameters = None, batch_rows: int = ARROW_BATCH
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query as Arrow record batches, of which only a few are in memory.

        All batches have the schema of the first one. A query without rows yields one empty batch.

        Args:
            operation: the query.
            parameters: the values: a sequence for ``?``, a mapping for ``:name``.
            batch_rows: the maximum number of rows per batch.

        Raises:
            MissingExtra: pyarrow is not installed.
            QueryInvalid: the database does not understand it, or a column of a database without
                types has values of different types.
        """
        arrow = tables.import_arrow("`stream_arrow`")
        self._check_size(batch_rows)
        with self.use_connection() as (calls, connection):
            if not isinstance(calls.driver, ArrowDriver):
                yield from self._stream_rows(operation, parameters, batch_rows)
                return
            open_arrow = calls.driver.open_arrow
            reader = calls.run(
                connection,
                operation,
                parameters,
                lambda raw, text, values: open_arrow(raw, text, values, batch_rows),
            )
            has_rows = False
            try:
                while batch := calls.call(connection, lambda: next(reader, None), operation):
                    for start in range(0, batch.num_rows, batch_rows):
                        has_rows = True
                        yield batch.slice(start, batch_rows)
                if not has_rows:
                    yield arrow.RecordBatch.from_pylist([], schema=reader.schema)
            finally:
                with connection.lock:
                    reader.close()

    # -- writing --------------------------------------------------------------------------------

    def insert(self, table: str, rows: object, *, create: bool = False) -> int:
        """Add rows to a table, all or none, and return their number.

        Args:
            table: its name, or ``schema.name``; it is quoted, so any other character is part of it.
            rows: dicts; or an Arrow table, a pandas or polars DataFrame, a DuckDB relation, or any
                other object that supports Arrow's PyCapsule protocol; or an iterator of such
                tables, which is read a batch at a time.
            create: whether to create a missing table, with types that fit the first batch.

        Raises:
            RowsInvalid: these are not rows, or one has other columns than the first one.
            TableMissing: there is no such table.
            IntegrityViolated: a row violates a constraint; none was added.
        """
        with (
            self._begin_whole() as (calls, connection),
            self._take_rows(calls, table, rows) as given,
        ):
            name = _quote(calls, table)
            if create and given.columns:
                _create_table(calls, connection, name, given.kinds)
            return _insert(calls, connection, name, given, whole=True)

    def upsert(
        self, table: str, rows: object, keys: Sequence[str] | str, *, create: bool = False
    ) -> int:
        """Add rows to a table, or update those with the same key, all or none; return their number.

        Other columns of an updated row are unchanged. The rows are inserted into a temporary table
        first, and merged from there by one statement.

        Args:
            table: its name, or ``schema.name``.
            rows: as for `insert`; no two may have the same key.
            keys: the columns of the key. Most databases need a unique index on them.
            create: whether to create a missing table, with a unique key.

        Raises:
            RowsInvalid: these are not rows, or a key is not among their columns, is NULL, or is a
                duplicate.
            TableMissing: there is no such table.
            QueryInvalid: the database has no unique index on the keys, and needs one.
        """
        wanted = [keys] if isinstance(keys, str) else list(keys)
        with (
            self._begin_whole() as (calls, connection),
            self._take_rows(calls, table, rows) as given,
        ):
            if not given.columns:
                return 0
            if not wanted:
                raise NoRows("no key column was named", _NAME_KEYS)
            if lacking := [name for name in wanted if name not in given.columns]:
                named = ", ".join(map(repr, lacking))
                raise NoRows(f"the rows lack the key columns {named}", _NAME_KEYS)
            driver, raw, target = calls.driver, connection.raw, _quote(calls, table)
            if create:
                _create_table(calls, connection, target, given.kinds)
                calls.call(connection, partial(driver.create_key, raw, target, wanted))
            with _stage(calls, connection, target) as staged:
                count = _insert(calls, connection, staged, given, whole=False)
                if count:
                    self._check_keys(calls, connection, staged, wanted, count)
                    merge = partial(driver.merge, raw, target, staged, given.columns, wanted)
                    calls.call(connection, merge, f"INSERT INTO {target}")
            return count

    # -- object stores ---------------------------------------------------------------------------

    def copy_into(
        self, table: str, store: ObjectStore, pattern: str = "*.parquet", *, create: bool = False
    ) -> int:
        """Add the rows of Parquet files in an object store to a table; return their number.

        If the database can read from the store itself, as BigQuery from Cloud Storage, it does;
        otherwise the files are streamed through this process. All rows are added, or none.

        Args:
            table: its name, or ``schema.name``.
            store: the object store.
            pattern: a .gitignore pattern of the paths, relative to the store's folder.
            create: whether to create a missing table, with types that fit the files.

        Raises:
            RowsInvalid: no file matches, or one of those that are streamed is not a Parquet file or
                has other columns than the first one.
            TableMissing: there is no such table.
            StorageError: the store reported an error.
        """
        where = self.driver_calls.driver.where
        paths = parquet.find_files(store, pattern, where)
        count = None if create else self._copy_natively(table, store, paths)
        if count is None:
            count = self.insert(table, parquet.read_files(store, paths, where), create=create)
        return count

    def unload(
        self, operation: str, store: ObjectStore, folder: str, parameters: Parameters = None
    ) -> list[str]:
        """Write the rows of a query to Parquet files in an object store; return their paths.

        If the database can write to the store itself, it does; otherwise the rows are streamed
        through this process, into ``part-00000.parquet`` and so on. No file is overwritten.

        Args:
            operation: the query.
            store: the object store.
            folder: the folder to write to, relative to the store's folder.
            parameters: the values: a sequence for ``?``, a mapping for ``:name``.

        Raises:
            QueryInvalid: the database does not understand the query.
            ObjectExists: one of the files exists already.
            StorageError: the store reported an error.
        """
        paths = self._unload_natively(operation, store, folder, parameters)
        if paths is None:
            paths = parquet.write_files(store, folder, self.stream_arrow(operation, parameters))
        return paths

    # -- implementation --------------------------------------------------------------------------

    def _copy_natively(self, table: str, store: ObjectStore, paths: list[str]) -> int | None:
        """Load the files in the database itself; return None if it can't."""
        access = parquet.find_access(store)
        if access is None or not isinstance(self.driver_calls.driver, StoreDriver):
            return None
        with self._begin_whole() as (calls, connection):
            assert isinstance(calls.driver, StoreDriver)
            name = _quote(calls, table)
            load = partial(calls.driver.copy_from, connection.raw, name, access, paths)
            return calls.call(connection, load, f"INSERT INTO {name}")

    def _unload_natively(
        self, operation: str, store: ObjectStore, folder: str, parameters: Parameters
    ) -> list[str] | None:
        """Write the files from the database itself; return None if it can't."""
        access = parquet.find_access(store)
        if access is None or not isinstance(self.driver_calls.driver, StoreDriver):
            return None
        with self.use_connection() as (calls, connection):
            assert isinstance(calls.driver, StoreDriver)
            write = partial(calls.driver.unload_to, access=access, folder=folder)
            return calls.run(connection, operation, parameters, write)

    @contextmanager
    def _take_rows(self, calls: DriverCalls, table: str, rows: object) -> Iterator[GivenRows]:
        try:
            size = BATCH if calls.driver.transactions else ARROW_BATCH
            yield GivenRows(rows, size, use_arrow=isinstance(calls.driver, ArrowDriver))
        except NoRows as error:
            problem, remedy = str(error), error.remedy
        else:
            return
        raise RowsInvalid(calls.driver.where, f"into {table!r}: {problem}", remedy)

    def _check_keys(
        self,
        calls: DriverCalls,
        connection: PooledConnection,
        staged: str,
        keys: Sequence[str],
        count: int,
    ) -> None:
        """Refuse rows whose key is NULL or a duplicate, which databases would accept."""
        names = [calls.driver.quote_name(key) for key in keys]
        present = " AND ".join(f"{name} IS NOT NULL" for name in names)
        query = (
            f"SELECT count(*) FROM (SELECT DISTINCT {', '.join(names)} FROM {staged} "
            f"WHERE {present}) flowstone_keys"
        )
        cursor = calls.run(connection, query, None, calls.driver.query)
        try:
            [(different,)] = calls.call(connection, partial(cursor.fetchmany, 2), query)
        finally:
            with connection.lock:
                cursor.close()
        if different != count:
            extra = count - different
            problem = f"in {extra} of {count} rows, the key is NULL or that of another row"
            raise NoRows(problem, "Make the keys unique; nothing was added.")

    def _stream_rows(
        self, operation: str, parameters: Parameters, size: int
    ) -> Iterator[pa.RecordBatch]:
        with (
            self._open_cursor(operation, parameters) as (names, batches),
            self._explain_types(operation),
        ):
            yield from tables.record_batches(names, batches(size))

    @contextmanager
    def _explain_types(self, operation: str) -> Iterator[None]:
        try:
            yield
        except tables.MixedTypes as error:
            problem = str(error)
        else:
            return
        where, remedy = self.driver_calls.driver.where, "Convert it to one type: CAST(x AS TEXT)."
        raise QueryInvalid(where, problem, remedy, operation)

    def _fetch_columns(self, operation: str, parameters: Parameters) -> tuple[list[str], list[Row]]:
        with self._open_cursor(operation, parameters) as (names, batches):
            return names, [row for rows in batches(BATCH) for row in rows]

    def _fetch_native(self, operation: str, parameters: Parameters) -> pa.Table | None:
        """Return all rows in the driver's own Arrow form; None if it has none."""
        with self.use_connection() as (calls, connection):
            if not isinstance(calls.driver, ArrowDriver) or not can_use_arrow():
                return None
            return calls.run(connection, operation, parameters, calls.driver.fetch_arrow)

    # -- async versions --------------------------------------------------------------------------

    afetch_arrow = make_stoppable(fetch_arrow)
    afetch_pandas = make_stoppable(fetch_pandas)
    afetch_polars = make_stoppable(fetch_polars)
    ainsert = make_stoppable(insert)
    aupsert = make_stoppable(upsert)
    acopy_into = make_stoppable(copy_into)
    aunload = make_stoppable(unload)

    def astream_arrow(
        self, operation: str, parameters: Parameters = None, batch_rows: int = ARROW_BATCH
    ) -> AsyncIterator[pa.RecordBatch]:
        """Async version of `stream_arrow`, for an `async for`."""
        return walk([batch] for batch in self.stream_arrow(operation, parameters, batch_rows))


def _quote(calls: DriverCalls, table: str) -> str:
    return ".".join(map(calls.driver.quote_name, table.split(".")))


@contextmanager
def _stage(calls: DriverCalls, connection: PooledConnection, target: str) -> Iterator[str]:
    """Yield the quoted name of an empty table like another one, and drop it at the end."""
    driver = calls.driver
    make = partial(driver.stage, connection.raw, target)
    staged = calls.call(connection, make, f"INSERT INTO {target}")
    drop = partial(driver.unstage, connection.raw, staged)
    try:
        yield staged
    except BaseException:
        if not driver.transactions:  # a transaction drops it by itself
            with suppress(DatabaseError):
                calls.call(connection, drop)
        raise
    calls.call(connection, drop)


def _create_table(
    calls: DriverCalls, connection: PooledConnection, name: str, columns: dict[str, type]
) -> None:
    create = partial(calls.driver.create_table, connection.raw, name, columns)
    calls.call(connection, create)


def _insert(
    calls: DriverCalls, connection: PooledConnection, name: str, given: GivenRows, *, whole: bool
) -> int:
    """Add rows to the table with a quoted name, and return their number.

    Args:
        calls: the calls of the driver.
        connection: the connection to use.
        name: the name of the table, quoted.
        given: the rows.
        whole: whether to add all or none, even if there are no transactions.
    """
    driver, text = calls.driver, f"INSERT INTO {name}"
    hidden: list[object] = []  # values of the current part, which no error may show

    def adapt() -> Iterator[pa.Table | list[Row]]:
        for part in given.parts():
            adapted = part
            if isinstance(part, list):
                adapted = hidden[:] = [tuple(map(driver.adapt, row)) for row in part]
            yield adapted

    if whole and not driver.transactions:
        add = partial(driver.insert_whole, connection.raw, name, given.columns, adapt())
        return calls.call(connection, add, text, hidden)
    add_part = partial(driver.insert_part, connection.raw, name, given.columns)
    return sum(calls.call(connection, partial(add_part, part), text, hidden) for part in adapt())
