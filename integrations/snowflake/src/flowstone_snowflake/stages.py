"""Stages: upload, load, unload and download files; rejected rows are returned."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flowstone.blocks.databases.cancellation import make_stoppable
from flowstone.blocks.databases.queries import Queries
from flowstone.errors import QueryInvalid
from flowstone_snowflake.loads import copy_rows, read_answer
from flowstone_snowflake.names import quote_path, quote_text
from flowstone_snowflake.parts import ResultPart
from flowstone_snowflake.staging import PARQUET, copy_fitting

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.blocks.databases.placeholders import Parameters
    from flowstone_snowflake.driver import SnowflakeDriver
    from flowstone_snowflake.loads import CopyResult, OnError
    from flowstone_snowflake.sessions import SnowflakeSession

T = TypeVar("T")


class StageMethods(Queries):
    """Features that other databases lack: stages, and results in parts."""

    def load_rows(self, table: str, rows: object, *, on_error: OnError = "continue") -> CopyResult:
        """Add the rows that fit to a table, and return the others.

        `insert` adds all rows or none.

        Args:
            table: its name, or ``schema.name``.
            rows: an Arrow table, a pandas or polars DataFrame, or dicts.
            on_error: what to do with a row that does not fit.

        Raises:
            TableMissing: there is no such table.
            QueryInvalid: the table lacks one of the columns.
            MissingExtra: pyarrow is not installed.
        """
        return self._use(
            lambda driver, session: copy_fitting(driver, session, table, rows, on_error)
        )

    def put_files(self, files: str | Path, stage: str, *, overwrite: bool = False) -> list[str]:
        """Upload local files to a stage, compressed, and return their names there.

        Args:
            files: a path, or a pattern: ``exports/*.csv``.
            stage: the target: ``@stage/folder``, or ``@~`` for the user's own stage.
            overwrite: whether files of the same name are replaced; otherwise they are skipped.
        """
        source = quote_text(f"file://{Path(files).expanduser().absolute()}")
        statement = f"PUT {source} {check_location(stage)} OVERWRITE = {str(overwrite).upper()}"
        return [row["target"] for row in self._read(statement)]

    def get_files(self, stage: str, folder: str | Path) -> list[str]:
        """Download the files of a stage to a local folder, and return their names.

        Args:
            stage: the source: ``@stage/folder``.
            folder: a directory, which is created if it does not exist.
        """
        target = Path(folder).expanduser().absolute()
        target.mkdir(parents=True, exist_ok=True)
        statement = f"GET {check_location(stage)} {quote_text(f'file://{target}')}"
        return [row["file"] for row in self._read(statement)]

    def load_staged(
        self,
        table: str,
        stage: str,
        *,
        file_format: str = PARQUET,
        pattern: str | None = None,
        on_error: OnError = "abort_statement",
        purge: bool = False,
    ) -> CopyResult:
        """Add the rows of staged files to a table, with COPY INTO.

        Columns of Parquet are matched by name. A file that was loaded before is skipped.

        Args:
            table: its name, or ``schema.name``.
            stage: the files: ``@stage/folder``.
            file_format: the format, as SQL: ``(TYPE = CSV SKIP_HEADER = 1)``.
            pattern: a regular expression for the files' paths.
            on_error: what to do with a row that does not fit; unless it aborts, these rows are
                returned as `rejected`.
            purge: whether the files are removed after they are loaded.

        Raises:
            TableMissing: there is no such table.
            QueryInvalid: a row does not fit, or there is no such stage.
        """
        name = quote_path(table)
        options = [f"FILE_FORMAT = {file_format}", f"ON_ERROR = {on_error.upper()}"]
        if "PARQUET" in file_format.upper():
            options.append("MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE")
        options += [f"PATTERN = {quote_text(pattern)}"] if pattern else []
        options += ["PURGE = TRUE"] if purge else []
        statement = f"COPY INTO {name} FROM {check_location(stage)} {' '.join(options)}"
        return self._use(lambda driver, session: copy_rows(driver, session, name, statement))

    def unload_to_stage(
        self, operation: str, stage: str, *, file_format: str = "(TYPE = PARQUET)"
    ) -> list[str]:
        """Write the rows of a query to files on a stage, and return their names.

        Args:
            operation: the query; parameters can't be bound in it.
            stage: the target: ``@stage/folder/``. Existing files are not overwritten.
            file_format: the format, as SQL.
        """
        statement = (
            f"COPY INTO {check_location(stage)} FROM ({operation}) FILE_FORMAT = {file_format} "
            "HEADER = TRUE DETAILED_OUTPUT = TRUE"
        )
        return [row["file_name"] for row in self._read(statement)]

    def fetch_parts(self, operation: str, parameters: Parameters = None) -> list[ResultPart]:
        """Run a query, and return its result in parts that can be read anywhere.

        A part is small, can be sent to another process, and downloads its rows when it is read. So
        a large result can be spread over tasks: ``work.map(sales.fetch_parts(query))``. Parts can
        be read for a few hours, by anyone who has them.

        Args:
            operation: the query.
            parameters: the values: a sequence for ``?``, a mapping for ``:name``.
        """
        with self.use_connection() as (calls, connection):
            driver: Any = calls.driver
            with closing(calls.run(connection, operation, parameters, driver.run)) as cursor:
                columns = cursor.description or ()
                return [ResultPart(part, columns) for part in cursor.get_result_batches() or ()]

    def _use(self, work: Callable[[SnowflakeDriver, SnowflakeSession], T]) -> T:
        with self.use_connection() as (calls, connection):
            driver: Any = calls.driver
            return calls.call(connection, partial(work, driver, connection.raw))

    def _read(self, statement: str) -> list[dict[str, Any]]:
        """Return the result of a statement, by the names of the columns."""
        return self._use(lambda driver, session: read_answer(driver, session, statement))

    aload_rows = make_stoppable(load_rows)
    aput_files = make_stoppable(put_files)
    aget_files = make_stoppable(get_files)
    aload_staged = make_stoppable(load_staged)
    aunload_to_stage = make_stoppable(unload_to_stage)
    afetch_parts = make_stoppable(fetch_parts)


def check_location(stage: str) -> str:
    """Return a location on a stage for a statement.

    Raises:
        QueryInvalid: it is not a location on a stage.
    """
    if not stage.startswith("@"):
        remedy = "Write '@stage/folder', or '@~' for the user's own stage."
        raise QueryInvalid("Snowflake", f"{stage!r} is not a location on a stage", remedy)
    return quote_text(stage) if any(sign in stage for sign in " ;'()\n") else stage
