"""Statements of the Snowflake of our tests: fakesnow runs them, and this adds what it lacks.

What Snowflake does with each is on its page under https://docs.snowflake.com/en/sql-reference/:
`sql/alter-session`, `functions/system_cancel_query`, `sql/copy-into-location`, `sql/remove`,
`transactions` (DDL commits an open transaction), `constraints-overview` (keys are not enforced).
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import duckdb
import fakesnow.arrow
import pyarrow as pa
from fakesnow.dialect import parse, parse_one
from fakesnow.rowtype import describe_as_rowtype
from fakesnow.statement_type import DML_TYPE_IDS, statement_type_id
from snowflake.connector.errors import Error
from sqlglot import exp
from tests.services import snowflake_stages as stages

if TYPE_CHECKING:
    from fakesnow.conn import FakeSnowflakeConnection

#: Rows of a result that come with the answer, and those of each part that is fetched after it.
INLINE, PART = 10_000, 50_000
DDL = re.compile(r"\s*(CREATE|DROP|ALTER(?!\s+SESSION)|TRUNCATE|UNDROP)\b", re.IGNORECASE)
KEYS = re.compile(r"\bPRIMARY\s+KEY\b(?!\s*\()|,\s*PRIMARY\s+KEY\s*\([^)]*\)", re.IGNORECASE)


class Refused(Exception):
    """What Snowflake answers to a statement that fails: its code, its words, the SQL state."""

    def __init__(self, code: str, words: str, state: str) -> None:
        self.code, self.words, self.state = code, words, state
        super().__init__(words)


@dataclass
class Session:
    """One login."""

    connection: FakeSnowflakeConnection
    user: str
    number: int
    parameters: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    turn: threading.Lock = field(default_factory=threading.Lock)
    in_transaction: bool = False


@dataclass
class Query:
    """One statement, and its answer when it has ended."""

    session: Session
    sql: str
    request_id: str
    tag: str
    parameters: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid4()))
    begun: float = field(default_factory=time.time)
    ended: float | None = None
    stopped: bool = False
    asked: int = 0
    running: bool = False
    answer: dict[str, Any] | None = None
    refused: Refused | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End it, now or before it begins."""
        self.stopped = True
        if self.running:
            self.session.connection._duck_conn.interrupt()


#: What is fetched after an answer, by its id.
parts: dict[str, bytes] = {}
queries: dict[str, Query] = {}


def run(query: Query, bindings: dict[str, Any] | None) -> None:
    """Run a statement in its session, and keep its answer."""
    with query.session.turn:
        try:
            if query.stopped:
                raise Refused("000604", "SQL execution canceled", "57014")
            query.running = True
            query.answer = _answer(query, bindings)
        except Refused as refused:
            query.refused = refused
        except Error as error:
            query.refused = _refuse(error, query.sql)
        except Exception as error:
            query.refused = _refuse_words(error, query)
        finally:
            query.running, query.ended = False, time.time()
            query.done.set()


def _answer(query: Query, bindings: dict[str, Any] | None) -> dict[str, Any]:
    session, sql = query.session, query.sql.strip()
    for pattern, special in SPECIAL:
        if found := pattern.match(sql):
            rows, names = special(query, found)
            return _tell_rows(query, names, rows)
    several = [each for each in parse(sql) if each and not isinstance(each, exp.Semicolon)]
    if len(several) > 1:
        return _run_several(query, [each.sql(dialect="snowflake") for each in several])
    sql = sql.replace("@~", f"@{stages.OF_USER}")
    told = stages.answer(session.connection, sql, query.id)
    if isinstance(told, stages.Download):
        return {"queryId": query.id, **told.data}
    if told is not None:
        return _tell_rows(query, *told)
    if DDL.match(sql) and session.in_transaction:
        session.connection.cursor().execute("COMMIT")
        session.in_transaction = False
    word = sql.split(None, 1)[0].rstrip(";").upper()
    if word in {"BEGIN", "START"}:
        session.in_transaction = True
    elif word in {"COMMIT", "ROLLBACK"}:
        session.in_transaction = False
    for name in ("ROLE", "WAREHOUSE", "USER"):
        shown = session.names.get(name, session.user if name == "USER" else "")
        sql = re.sub(rf"\bCURRENT_{name}\(\)", f"'{shown}'", sql, flags=re.IGNORECASE)
    sql = sql.replace("CURRENT_REGION()", "'PUBLIC.AWS_EU_WEST_1'")
    if word == "CREATE":
        sql = KEYS.sub("", sql)
    return _run_fakesnow(query, sql, bindings)


def _run_several(query: Query, statements: list[str]) -> dict[str, Any]:
    """Run statements that came as one; the connector asks for the result of each by its id."""
    wanted = int(query.parameters.get("MULTI_STATEMENT_COUNT", 1))
    if wanted not in {0, len(statements)}:
        words = f"Actual statement count {len(statements)} did not match the desired statement"
        raise Refused("000008", f"{words} count {wanted}.", "0A000")
    made = []
    for statement in statements:
        each = Query(query.session, statement, query.request_id, query.tag, query.parameters)
        queries[each.id] = each
        each.answer = _answer(each, None)
        each.done.set()
        made.append(each)
    answer = _tell_rows(query, ["multiple statement execution"], [(DONE[1][0][0],)])
    return {**answer, "resultIds": ",".join(each.id for each in made)}


def _run_fakesnow(query: Query, sql: str, bindings: dict[str, Any] | None) -> dict[str, Any]:
    connection = query.session.connection
    expression = parse_one(sql)
    kind = statement_type_id(expression)
    cursor = connection.cursor()
    values = (
        [from_binding(bindings[str(n)]) for n in range(1, len(bindings or ()) + 1)]
        if bindings
        else None
    )
    if values and any(isinstance(each, list) for each in values):
        rows = list(zip(*values, strict=True))
        duck = cursor._transform(expression, list(rows[0])).sql(dialect="duckdb")
        connection._duck_conn.executemany(duck, [list(row) for row in rows])
        return _tell_rows(query, ["number of rows inserted"], [(len(rows),)], kind)
    if isinstance(expression, exp.Merge):
        # fakesnow's own way writes to a database of its own, which no transaction of DuckDB may.
        duck = cursor._transform(expression, values).sql(dialect="duckdb")
        connection._duck_conn.execute(f"{duck} RETURNING merge_action", values or [])
        done = [action for (action,) in connection._duck_conn.fetchall()]
        counts = (done.count("INSERT"), done.count("UPDATE"), done.count("DELETE"))
        names = [f"number of rows {word}" for word in ("inserted", "updated", "deleted")]
        return _tell_rows(query, names, [counts], kind)
    cursor.execute(sql, binding_params=values, server=True)
    rowtype: list[Any] = describe_as_rowtype(cursor._describe_last_sql())
    transformed: Any = cursor._last_transformed
    table: Any = cursor._arrow_table
    if put := transformed.args.get("put_stage_data"):
        return {"queryId": query.id, **put}
    if kind in DML_TYPE_IDS:
        found = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
        return _tell_rows(query, table.column_names, found, kind)
    return {**_tell_table(table, rowtype), **_end(query, kind)}


def _end(query: Query, kind: int) -> dict[str, Any]:
    connection = query.session.connection
    return {
        "parameters": [{"name": "TIMEZONE", "value": "Etc/UTC"}],
        "queryId": query.id,
        "statementTypeId": kind,
        "finalDatabaseName": connection.database,
        "finalSchemaName": connection.schema,
    }


def _tell_table(table: pa.Table, rowtype: list[Any]) -> dict[str, Any]:
    """Answer with rows as Arrow: the first with the answer, the others in parts."""
    told = fakesnow.arrow.to_sf(table, rowtype)
    chunks = []
    for start in range(INLINE, told.num_rows, PART):
        content = fakesnow.arrow.to_ipc(told.slice(start, PART)).to_pybytes()
        name = uuid4().hex
        parts[name] = content
        count = min(PART, told.num_rows - start)
        sizes = {"uncompressedSize": len(content), "compressedSize": len(content)}
        chunks.append({"url": f"/parts/{name}", "rowCount": count, **sizes})
    first = fakesnow.arrow.to_ipc(told.slice(0, INLINE)).to_pybytes()
    return {
        "rowtype": rowtype,
        "queryResultFormat": "arrow",
        "rowsetBase64": b64encode(first).decode() if told.num_rows else "",
        "total": told.num_rows,
        "returned": told.num_rows,
        **({"chunks": chunks, "chunkHeaders": {}} if chunks else {}),
    }


def _tell_rows(
    query: Query, names: list[str], rows: list[tuple[object, ...]], kind: int = 0
) -> dict[str, Any]:
    """Answer with rows as JSON, as Snowflake does for all that is no query."""
    some = rows[0] if rows else ("",) * len(names)
    numbers = [type(value) is int for value in some]
    rowtype = [
        {
            "name": name, "database": "", "schema": "", "table": "", "nullable": True,
            "type": "fixed" if number else "text", "scale": 0 if number else None,
            "precision": 38 if number else None, "byteLength": None, "length": None,
            "collation": None,
        }
        for name, number in zip(names, numbers, strict=True)
    ]  # fmt: skip
    told = [[None if value is None else str(value) for value in row] for row in rows]
    return {
        "rowtype": rowtype,
        "queryResultFormat": "json",
        "rowset": told,
        **({} if kind in DML_TYPE_IDS else {"total": len(rows)}),
        "returned": len(rows),
        **_end(query, kind),
    }


# ---------------------------------------------------------------- what fakesnow lacks

DONE = (["status"], [("Statement executed successfully.",)])


def _alter_session(
    query: Query, found: re.Match[str]
) -> tuple[list[tuple[object, ...]], list[str]]:
    session, words = query.session, found["rest"]
    if found["verb"].upper() == "UNSET":
        for name in words.replace(",", " ").split():
            session.parameters.pop(name.upper(), None)
    for name, text, bare in re.findall(r"(\w+)\s*=\s*(?:'((?:[^']|'')*)'|([^\s,']+))", words):
        session.parameters[name.upper()] = text.replace("''", "'") if text or not bare else bare
    return DONE[1], DONE[0]  # type: ignore[return-value]


def _use(query: Query, found: re.Match[str]) -> tuple[list[tuple[object, ...]], list[str]]:
    query.session.names[found["what"].upper().split()[-1]] = found["name"].strip('"')
    return DONE[1], DONE[0]  # type: ignore[return-value]


def _cancel(query: Query, found: re.Match[str]) -> tuple[list[tuple[object, ...]], list[str]]:
    other = queries.get(found["id"])
    if other is None:
        raise Refused("000709", f"Statement {found['id']} not found", "02000")
    if other.done.is_set():
        told = "Identified SQL statement is not currently executing."
    else:
        other.stop()
        told = f"query [{other.id}] terminated."
    return [(told,)], [f"SYSTEM$CANCEL_QUERY('{other.id}')"]


def _tell_history(query: Query, found: re.Match[str]) -> tuple[list[tuple[object, ...]], list[str]]:
    """Answer what the page of QUERY_HISTORY documents, with numbers of our own."""
    # https://docs.snowflake.com/en/sql-reference/functions/query_history
    names = [name.strip() for name in found["names"].split(",")]
    known: dict[str, object] = {
        "BYTES_SCANNED": 4096, "ROWS_PRODUCED": 3, "TOTAL_ELAPSED_TIME": 1500,
        "EXECUTION_TIME": 900, "QUEUED_PROVISIONING_TIME": 100, "QUEUED_REPAIR_TIME": 0,
        "QUEUED_OVERLOAD_TIME": 400, "CREDITS_USED_CLOUD_SERVICES": "0.000012",
        "WAREHOUSE_SIZE": "Medium",
    }  # fmt: skip
    if found["id"] not in queries:
        return [], names
    return [tuple(known[name] for name in names)], names


HISTORY = (
    r"SELECT (?P<names>[\w, ]+) FROM TABLE\(INFORMATION_SCHEMA\.QUERY_HISTORY_BY_\w+"
    r"\(.*\)\) WHERE QUERY_ID = '(?P<id>[^']+)'"
)
SPECIAL: list[tuple[re.Pattern[str], Any]] = [
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), special)
    for pattern, special in (
        (r"ALTER\s+SESSION\s+(?P<verb>SET|UNSET)\s+(?P<rest>.*?);?$", _alter_session),
        (r"USE\s+(?P<what>ROLE|WAREHOUSE|SECONDARY\s+ROLES)\s+(?P<name>\S+?);?$", _use),
        (r"SELECT\s+SYSTEM\$CANCEL_QUERY\('(?P<id>[^']+)'\)", _cancel),
        (HISTORY, _tell_history),
    )
]

# ---------------------------------------------------------------- values and errors

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - of columns without a zone


def from_binding(binding: dict[str, Any]) -> Any:
    """Return a value as the connector sends it; shapes: `SnowflakeConverter` of the connector."""
    kind, value = binding["type"], binding["value"]
    if isinstance(value, list):
        return [from_binding({"type": kind, "value": each}) for each in value]
    if value is None:
        return None
    if kind == "FIXED":
        return Decimal(value) if "." in value or "E" in value else int(value)
    if kind == "REAL":
        return float(value)
    if kind == "BOOLEAN":
        return value.lower() == "true"
    if kind == "BINARY":
        return bytes.fromhex(value)
    if kind == "DATE":
        return (EPOCH + dt.timedelta(milliseconds=int(value))).date()
    if kind == "TIME":
        return (EPOCH + dt.timedelta(microseconds=int(value) // 1000)).time()
    if kind.startswith("TIMESTAMP"):
        found = EPOCH + dt.timedelta(microseconds=int(value.split()[0]) // 1000)
        return found if kind.endswith("NTZ") else found.replace(tzinfo=dt.UTC)
    return value


def _refuse(error: Error, sql: str) -> Refused:
    """Word an error of fakesnow's as Snowflake would."""
    words = str(error.raw_msg or error.msg)
    if missing := re.search(r"(?:Table|View) with name (\S+) does not exist", words):
        name = missing[1].strip('"').upper()
        told = f"SQL compilation error:\nObject '{name}' does not exist or not authorized."
        return Refused("002003", told, "42S02")
    if error.errno == 1003:
        place = re.search(r"Line (\d+), Col: (\d+)", words)
        line, at = (int(place[1]), int(place[2]) - 1) if place else (1, 0)
        told = f"SQL compilation error:\nsyntax error line {line} at position {at} unexpected."
        return Refused("001003", told, "42000")
    if column := re.search(r'Referenced column "([^"]+)" not found', words):
        name = column[1].upper()
        found = f"error line 1 at position {max(0, sql.upper().find(name))}"
        told = f"SQL compilation error: {found}\ninvalid identifier '{name}'"
        return Refused("000904", told, "42000")
    if error.errno in {100035, 100038} and (value := re.search(r"['\"](.*?)['\"]", words)):
        told = f"Numeric value '{value[1]}' is not recognized"
        return Refused("100038", f"{told}\n  File 'data', line 1, character 1", "22018")
    return Refused(f"{error.errno:06d}", words, error.sqlstate or "")


def _refuse_words(error: Exception, query: Query) -> Refused:
    words = str(error).split("\n")[0]
    if isinstance(error, duckdb.InterruptException) or query.stopped:
        return Refused("000604", "SQL execution canceled", "57014")
    if isinstance(error, duckdb.ConversionException) or "Could not convert" in words:
        quoted = re.search(r"'(.*)'", words)
        value = quoted[1] if quoted else words
        return Refused("100038", f"Numeric value '{value}' is not recognized", "22018")
    if isinstance(error, duckdb.ConstraintException) and "NOT NULL" in words:
        column = words.rpartition(".")[2].strip("!.")
        return Refused("100072", f"NULL result in a non-nullable column: {column}", "22000")
    if isinstance(error, duckdb.CatalogException):
        return _refuse(Error(msg=words, errno=2003, sqlstate="42S02"), query.sql)
    return Refused("001003", f"SQL compilation error:\n{type(error).__name__}: {words}", "42000")


def _tell_timestamps(times: Any) -> pa.Array:
    """Make what fakesnow makes, with nulls left null; the connector reads a struct."""
    found = times.combine_chunks() if isinstance(times, pa.ChunkedArray) else times
    made = _made_by_fakesnow(found)
    arrays = [made.field(place) for place in range(made.type.num_fields)]
    return pa.StructArray.from_arrays(arrays, fields=list(made.type), mask=found.is_null())


_made_by_fakesnow = fakesnow.arrow.timestamp_to_sf_struct
setattr(fakesnow.arrow, "timestamp_to_sf_struct", _tell_timestamps)  # noqa: B010 - typed otherwise
