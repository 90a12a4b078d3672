"""Rows into PostgreSQL by COPY: those of Python as text, tables of Arrow in its binary format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from flowstone.blocks.databases import Row

#: Tables that COPY writes to: plain, partitioned and foreign ones.
_COPYABLE = frozenset({"r", "p", "f"})
_TARGET = """
SELECT c.relkind::text, c.relrowsecurity, a.attname::text,
       coalesce(b.typname, t.typname)::text, coalesce(b.typtype, t.typtype)::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
WHERE c.oid = to_regclass($1)
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A table that rows go to.

    Attributes:
        takes_copy: whether COPY writes to it; views, and tables with policies on rows, don't.
        types: PostgreSQL's name of each column's type, of a domain its base; ``enum`` for those.
    """

    takes_copy: bool
    types: Mapping[str, str]


def find_target(connection: psycopg.Connection[Any], table: str) -> Target:
    """Return what a table takes; where there is none, COPY is left to say so.

    Args:
        connection: where.
        table: its name, quoted.
    """
    found = connection.execute(_TARGET, [table]).fetchall()
    types = {name: "enum" if kind == "e" else each for _, _, name, each, kind in found}
    takes = all(relkind in _COPYABLE and not guarded for relkind, guarded, *_ in found)
    return Target(takes, types)


def copy_rows(
    connection: psycopg.Connection[Any],
    table: str,
    columns: Sequence[str],
    names: Sequence[str],
    rows: Sequence[Row],
    target: Target,
) -> None:
    """Add rows of Python to a table.

    Args:
        connection: where.
        table: its name, quoted.
        columns: the names of the columns.
        names: the same, quoted.
        rows: their values.
        target: what the table takes.
    """
    # A list is an array, or JSON, as its column is.
    as_json = [target.types.get(name) in {"json", "jsonb"} for name in columns]
    statement = f"COPY {table} ({', '.join(names)}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        if not any(as_json):
            for row in rows:
                copy.write_row(row)
            return
        for row in rows:
            pairs = zip(row, as_json, strict=True)
            copy.write_row(
                [Json(each) if json and isinstance(each, list) else each for each, json in pairs]
            )


def copy_table(
    connection: psycopg.Connection[Any],
    table: str,
    names: Sequence[str],
    data: pa.Table,
    target: Target,
) -> bool:
    """Add a table of Arrow to a table; return False where its types have no binary form here.

    Args:
        connection: where.
        table: its name, quoted.
        names: of the columns, quoted.
        data: the rows.
        target: what the table takes.
    """
    # Rows need no numpy.
    from flowstone_sqlalchemy.postgres_binary import HEADER, TRAILER, encode, find_encoders

    encoders = find_encoders(data.schema, target.types) if target.takes_copy else None
    if encoders is None:
        return False
    statement = f"COPY {table} ({', '.join(names)}) FROM STDIN (FORMAT binary)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(HEADER)
        for part in encode(data, encoders):
            copy.write(part)
        copy.write(TRAILER)
    return True
