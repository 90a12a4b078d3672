"""Stages of the Snowflake of our tests: what fakesnow lacks of COPY INTO, GET and REMOVE.

By the pages of https://docs.snowflake.com/en/sql-reference/sql/: `copy-into-location`,
`copy-into-table` (ON_ERROR), `get`, `remove`, and of `functions/validate`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from fakesnow.transforms import stage

if TYPE_CHECKING:
    from fakesnow.conn import FakeSnowflakeConnection

#: The stage that every user has, which is written as ~.
OF_USER = "STAGE_OF_THE_USER"

Rows = tuple[list[str], list[tuple[object, ...]]]
UNLOAD = re.compile(
    r"COPY INTO (?P<to>@\S+) FROM \((?P<query>.*)\) FILE_FORMAT = \((?P<format>[^)]*)\)",
    re.IGNORECASE | re.DOTALL,
)
TOLERANT = re.compile(
    r"COPY INTO (?P<table>\S+) FROM (?P<of>@\S+) FILE_FORMAT = \((?P<format>[^)]*)\)"
    r"(?P<rest>.*ON_ERROR = (?:CONTINUE|SKIP_FILE).*)",
    re.IGNORECASE | re.DOTALL,
)
VALIDATE = re.compile(r"SELECT \* FROM TABLE\(VALIDATE\(\S+, JOB_ID => '([^']+)'\)\)")
REMOVE = re.compile(r"(?:REMOVE|RM) (?P<of>@\S+)", re.IGNORECASE)
GET = re.compile(r"GET (?P<of>@\S+) 'file://(?P<to>[^']+)'", re.IGNORECASE)
ELSEWHERE = re.compile(r"COPY INTO .*'(?:s3|azure)://", re.DOTALL)
#: What each COPY that left rows out has found, by the id of its query.
rejections: dict[str, list[tuple[object, ...]]] = {}


@dataclass
class Download:
    """What the connector fetches by itself."""

    data: dict[str, Any]


def answer(connection: FakeSnowflakeConnection, sql: str, query_id: str) -> Rows | Download | None:
    """Answer a statement about a stage; None where fakesnow does."""
    if found := UNLOAD.match(sql):
        return _unload(connection, found)
    if found := TOLERANT.match(sql):
        return _load(connection, found, query_id)
    if found := VALIDATE.match(sql):
        names = ["ERROR", "FILE", "COLUMN_NAME", "ROW_NUMBER", "REJECTED_RECORD"]
        return names, rejections.get(found[1], [])
    if found := REMOVE.match(sql):
        files = _list_files(connection, found["of"])
        for file in files:
            file.unlink()
        return ["name", "result"], [(file.name, "removed") for file in files]
    if found := GET.match(sql):
        return _tell_download(connection, found)
    if ELSEWHERE.match(sql):
        return _answer_elsewhere(sql)
    return None


def _find_folder(connection: FakeSnowflakeConnection, place: str) -> str:
    name, _, path = place.strip("@").partition("/")
    catalog, schema, found = stage.parts_from_var(name, connection.database, connection.schema)
    return stage.internal_dir(f"{catalog}.{schema}.{found}", path)


def _list_files(connection: FakeSnowflakeConnection, place: str) -> list[Path]:
    prefix = Path(_find_folder(connection, place))
    found = [*prefix.parent.glob(f"{prefix.name}*"), *prefix.rglob("*")]
    return sorted({file for file in found if file.is_file()})


def _unload(connection: FakeSnowflakeConnection, found: re.Match[str]) -> Rows:
    folder = Path(_find_folder(connection, found["to"]))
    folder.mkdir(parents=True, exist_ok=True)
    cursor = connection.cursor()
    cursor.execute(found["query"], server=True)
    table: Any = cursor._arrow_table
    kind = "CSV" if "CSV" in found["format"].upper() else "PARQUET"
    target = folder / f"data_0_0_0.{'csv' if kind == 'CSV' else 'snappy.parquet'}"
    connection._duck_conn.register("unloaded", table)
    connection._duck_conn.execute(f"COPY (FROM unloaded) TO '{target}' (FORMAT {kind})")
    connection._duck_conn.unregister("unloaded")
    size = target.stat().st_size
    return ["FILE_NAME", "FILE_SIZE", "ROW_COUNT"], [(target.name, size, table.num_rows)]


def _load(connection: FakeSnowflakeConnection, found: re.Match[str], query_id: str) -> Rows:
    """Load the rows that fit, and keep what was left out for VALIDATE."""
    duck, table = connection._duck_conn, found["table"]
    columns = duck.execute(f"DESCRIBE {table}").fetchall()
    types = {name: kind for name, kind, *_ in columns}
    told: list[tuple[object, ...]] = []
    rejections[query_id] = []
    for file in _list_files(connection, found["of"]):
        source = f"read_parquet('{file}')"
        if "CSV" in found["format"].upper():
            skip = re.search(r"SKIP_HEADER = (\d+)", found["format"])
            names = ", ".join(f"'{name}': 'VARCHAR'" for name in types)
            source = (
                f"read_csv('{file}', header = false, columns = {{{names}}}, "
                f"skip = {skip[1] if skip else 0}, strict_mode = false)"
            )
        rows = duck.execute(f"SELECT * FROM {source}").fetchall()
        there = [each[0] for each in duck.description or []]
        good = 0
        for number, row in enumerate(rows, 1):
            marks = ", ".join(f"TRY_CAST(? AS {types[name]})" for name in there)
            cast = duck.execute(f"SELECT {marks}", list(row)).fetchone() or ()
            wrong = [
                name
                for name, old, new in zip(there, row, cast, strict=True)
                if old is not None and new is None
            ]
            if not wrong:
                names = ", ".join(f'"{name}"' for name in there)
                marks = ", ".join("?" * len(there))
                duck.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(cast))
                good += 1
                continue
            value = dict(zip(there, row, strict=True))[wrong[0]]
            words = f"Numeric value '{value}' is not recognized"
            record = ",".join(str(each) for each in row)
            column = f'"{table.strip(chr(34))}"["{wrong[0]}":1]'
            rejections[query_id].append((words, file.name, column, number, record))
        bad = len(rows) - good
        status = "LOADED" if not bad else "PARTIALLY_LOADED"
        told.append((file.name, status, len(rows), good, bad))
    return ["file", "status", "rows_parsed", "rows_loaded", "errors_seen"], told


def _tell_download(connection: FakeSnowflakeConnection, found: re.Match[str]) -> Download:
    folder = _find_folder(connection, found["of"])
    files = _list_files(connection, found["of"])
    # Shape: `file_transfer_agent.py` of the connector, `_parse_command`.
    return Download(
        {
            "command": "DOWNLOAD",
            "src_locations": [str(file.relative_to(folder)) for file in files],
            "localLocation": found["to"],
            "parallel": 4,
            "sourceCompression": "none",
            "overwrite": False,
            "autoCompress": False,
            "stageInfo": {"locationType": "LOCAL_FS", "location": folder, "creds": {}},
        }
    )


def _answer_elsewhere(sql: str) -> Rows:
    """Answer as documented for buckets of clouds, which nothing here reaches."""
    if re.match(r"COPY INTO '", sql):
        return ["FILE_NAME", "FILE_SIZE", "ROW_COUNT"], [
            ("data_0_0_0.snappy.parquet", 100, 2), ("data_0_1_0.snappy.parquet", 100, 1),
        ]  # fmt: skip
    return ["file", "status", "rows_parsed", "rows_loaded", "errors_seen"], [
        (f"{uuid4().hex}.parquet", "LOADED", 3, 3, 0)
    ]
