"""Bulk loads: Arrow becomes Parquet on a stage, and rows of a table by COPY INTO."""

from __future__ import annotations

import io
from contextlib import closing, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from flowstone_snowflake.names import quote_name, quote_text

if TYPE_CHECKING:
    import pyarrow as pa

    from flowstone_snowflake.driver import SnowflakeDriver
    from flowstone_snowflake.sessions import SnowflakeSession

#: The stage that every user has; what is put there stays until it is removed.
USER_STAGE = "@~"
PARQUET = "(TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE)"


def copy_table(
    driver: SnowflakeDriver, session: SnowflakeSession, table: str, data: pa.Table
) -> None:
    """Add the rows of a table of Arrow to a table, or none of them.

    Args:
        driver: runs the statements.
        session: where.
        table: its name, quoted.
        data: the rows.
    """
    if not data.num_rows:
        return
    folder = put_parquet(driver, session, data)
    names = ", ".join(map(quote_name, data.schema.names))
    picked = ", ".join(f"$1:c{place}" for place in range(data.num_columns))
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
    """Put a table on a stage as one file, its columns named c0, c1 …; return the folder."""
    import pyarrow.parquet as pq  # an optional dependency

    buffer = io.BytesIO()
    renamed = data.rename_columns([f"c{place}" for place in range(data.num_columns)])
    pq.write_table(renamed, buffer, compression="zstd")
    buffer.seek(0)
    folder = f"{find_stage(driver, session)}/{uuid4().hex}"
    put = f"PUT {quote_text('file://data.parquet')} {folder} AUTO_COMPRESS = FALSE"
    with session.raw.cursor() as cursor:
        cursor.execute(put, file_stream=buffer)
    return folder


def find_stage(driver: SnowflakeDriver, session: SnowflakeSession) -> str:
    """Return where files are put: a temporary stage of the session's, or the user's stage.

    To make a stage ends a transaction. So where one has begun its work, and where the role may make
    no stage, it is the user's.
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
    """Remove what was put, where it was not loaded."""
    with suppress(Exception), closing(driver.run(session, f"REMOVE {folder}")):
        pass
