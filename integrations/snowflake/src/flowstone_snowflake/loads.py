"""Results of COPY INTO: the rows that were loaded, and those that were rejected."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from flowstone_snowflake.names import fold_name, quote_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone_snowflake.driver import SnowflakeDriver
    from flowstone_snowflake.sessions import SnowflakeSession

OnError = Literal["abort_statement", "continue", "skip_file"]


@dataclass(frozen=True)
class RejectedRow:
    """A row that a load has rejected.

    Attributes:
        file: the file.
        row: its number in the file, from 1; None if Snowflake does not report it.
        column: the column that it does not fit; None for other problems.
        error: Snowflake's message, which may quote values of the row.
        record: the row as text; None if Snowflake does not report it.
    """

    file: str
    row: int | None
    column: str | None
    error: str
    record: str | None


@dataclass(frozen=True)
class CopyResult:
    """The result of a load.

    Attributes:
        rows_loaded: number of rows added to the table.
        files: Snowflake's report on each file, by the names of its columns: ``status``,
            ``rows_parsed``, ``errors_seen`` …
        rejected: the rejected rows.
    """

    rows_loaded: int
    files: list[dict[str, Any]]
    rejected: list[RejectedRow]


def read_answer(
    driver: SnowflakeDriver, session: SnowflakeSession, statement: str
) -> list[dict[str, Any]]:
    """Return the result of a statement, by the names of the columns in lower case."""
    with closing(driver.run(session, statement)) as cursor:
        names = [each[0].lower() for each in cursor.description or ()]
        rows: Sequence[Any] = cursor.fetchall()
        return [dict(zip(names, row, strict=True)) for row in rows]


def copy_rows(
    driver: SnowflakeDriver, session: SnowflakeSession, table: str, statement: str
) -> CopyResult:
    """Run a COPY INTO a table, and find the rows that it has rejected."""
    with closing(driver.run(session, statement)) as cursor:
        query_id = cursor.sfqid
        names = [each[0].lower() for each in cursor.description or ()]
        rows: Sequence[Any] = cursor.fetchall()
        files = [dict(zip(names, row, strict=True)) for row in rows]
    loaded = sum(int(file.get("rows_loaded") or 0) for file in files)
    rejected = []
    if any(int(file.get("errors_seen") or 0) for file in files):
        # https://docs.snowflake.com/en/sql-reference/functions/validate
        job = quote_text(query_id or "")
        validate = f"SELECT * FROM TABLE(VALIDATE({table}, JOB_ID => {job}))"  # noqa: S608 - quoted
        rejected = [_read_rejected(row) for row in read_answer(driver, session, validate)]
    return CopyResult(loaded, files, rejected)


def _read_rejected(row: dict[str, Any]) -> RejectedRow:
    number = row.get("row_number")
    # As in "ITEMS"["PRICE":2].
    column = re.search(r'\["(.+)":\d+\]$', str(row.get("column_name") or ""))
    return RejectedRow(
        file=str(row.get("file") or ""),
        row=int(number) if number is not None else None,
        column=fold_name(column[1]) if column else row.get("column_name"),
        error=str(row.get("error") or ""),
        record=row.get("rejected_record"),
    )
