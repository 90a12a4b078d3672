"""Bulk loads: Arrow is written as Parquet to a stage, and loaded with COPY INTO."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from flowstone.errors import MissingExtra, QueryInvalid, RowsInvalid
from flowstone_snowflake.loads import CopyResult, copy_rows
from flowstone_snowflake.names import quote_name, quote_path, quote_text, unfold_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from flowstone_snowflake.driver import SnowflakeDriver
    from flowstone_snowflake.sessions import SnowflakeSession

#: The stage that every user has; files remain there until they are removed.
USER_STAGE = "@~"
PARQUET = "(TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE)"


def copy_table(
    driver: SnowflakeDriver, session: SnowflakeSession, table: str, data: pa.Table
) -> None:
    """Add the rows of an Arrow table to a table, all or none.

    Args:
        driver: runs the statements.
        session: the session.
        table: its name, quoted.
        data: the rows.
    """
    if not data.num_rows:
        return
    renamed = data.rename_columns([f"c{place}" for place in range(data.num_columns)])
    folder = put_parquet(driver, session, renamed)
    names = ", ".join(map(quote_name, data.schema.names))
    picked = ", ".join(
        # In a VARIANT, Snowflake casts every type implicitly except this one.
        f"$1:c{place}::BINARY" if str(field.type).endswith("binary") else f"$1:c{place}"
        for place, field in enumerate(data.schema)
    )
    statement = (
        f"COPY INTO {table} ({names}) FROM (SELECT {picked} FROM {folder}) "  # noqa: S608 - quoted
        f"FILE_FORMAT = {PARQUET} ON_ERROR = ABORT_STATEMENT PURGE = TRUE"
    )
    try:
        driver.execute(session, statement, ())
    except BaseException:
        remove(driver, session, folder)
        raise


def put_parquet(driver: SnowflakeDriver, session: SnowflakeSession, data: pa.Table) -> str:
    """Write a table to a stage as one file, and return the folder."""
    import pyarrow.parquet as pq  # an optional dependency

    buffer = io.BytesIO()
    pq.write_table(data, buffer, compression="zstd")
    buffer.seek(0)
    folder = f"{find_stage(driver, session)}/{uuid4().hex}"
    put = f"PUT {quote_text('file://data.parquet')} {folder} AUTO_COMPRESS = FALSE"
    with session.raw.cursor() as cursor:
        cursor.execute(put, file_stream=buffer)
    return folder


def find_stage(driver: SnowflakeDriver, session: SnowflakeSession) -> str:
    """Return the stage for uploads: a temporary one of the session, or the user's stage.

    Creating a stage ends a transaction. So the user's stage is used if something was written in the
    transaction, or if the role may not create a stage.
    """
    if session.stage is None and not session.has_written:
        name = f"FLOWSTONE_{uuid4().hex.upper()}"
        was_open, create = session.in_transaction, f"CREATE TEMPORARY STAGE {name}"
        with suppress(Exception), closing(driver.run(session, create)):
            session.stage = f"@{name}"
        if was_open:
            driver.begin(session, None)
    return session.stage or USER_STAGE


def remove(driver: SnowflakeDriver, session: SnowflakeSession, folder: str) -> None:
    """Remove uploaded files that were not loaded."""
    with suppress(Exception), closing(driver.run(session, f"REMOVE {folder}")):
        pass


def copy_fitting(
    driver: SnowflakeDriver,
    session: SnowflakeSession,
    table: str,
    rows: object,
    on_error: str,
) -> CopyResult:
    """Add the rows that fit to a table; see `StageMethods.load_rows`."""
    data = to_arrow(rows)
    if not data.num_rows:
        return CopyResult(0, [], [])
    name, folded = quote_path(table), [unfold_name(each) for each in data.schema.names]
    _check_columns(driver, session, name, folded)
    folder = put_parquet(driver, session, data.rename_columns(folded))
    statement = (
        f"COPY INTO {name} FROM {folder} FILE_FORMAT = {PARQUET} "
        f"MATCH_BY_COLUMN_NAME = CASE_SENSITIVE ON_ERROR = {on_error.upper()}"
    )
    try:
        return copy_rows(driver, session, name, statement)
    finally:
        remove(driver, session, folder)


def _check_columns(
    driver: SnowflakeDriver, session: SnowflakeSession, table: str, names: Sequence[str]
) -> None:
    """Refuse columns that the table lacks: COPY INTO would skip them."""
    statement = f"SELECT * FROM {table} LIMIT 0"  # noqa: S608 - the name is quoted
    with closing(driver.run(session, statement)) as cursor:
        there = {each[0] for each in cursor.description or ()}
    if missing := [name for name in names if name not in there]:
        problem = f"table {table} has no column {', '.join(map(repr, missing))}"
        raise QueryInvalid(driver.where, problem, "Add the column, or remove it; see `names`.")


def to_arrow(rows: object) -> pa.Table:
    """Return rows as an Arrow table.

    Raises:
        MissingExtra: pyarrow is not installed.
        RowsInvalid: it is not a supported kind of rows.
    """
    try:
        import pyarrow as pa  # an optional dependency
    except ImportError as error:
        raise MissingExtra("`load_rows`", "flowstone-snowflake[arrow]") from error
    if type(rows).__module__.partition(".")[0] == "pandas":
        return pa.Table.from_pandas(rows, preserve_index=False)
    if hasattr(rows, "__arrow_c_stream__") or isinstance(rows, pa.RecordBatch):
        return pa.table(rows)
    if isinstance(rows, Iterable) and not isinstance(rows, (Mapping, str, bytes)):
        found = list(rows)
        if all(isinstance(row, Mapping) for row in found):
            return pa.Table.from_pylist(found)
    problem = f"a {type(rows).__name__} can't be used as rows"
    raise RowsInvalid("Snowflake", problem, "Pass dicts, an Arrow table or a DataFrame.")
