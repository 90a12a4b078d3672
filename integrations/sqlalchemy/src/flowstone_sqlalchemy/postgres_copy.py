"""Loads into PostgreSQL with COPY: Python rows as text, Arrow tables in the binary format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from flowstone.blocks.databases import Row

#: Kinds of tables that COPY can write to: plain, partitioned and foreign ones.
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
    """A table to which rows are added.

    Attributes:
        takes_copy: whether COPY can write to it: not to views, nor with row-level security.
        types: PostgreSQL's name of each column's type; a domain's base type; ``enum`` for enums.
    """

    takes_copy: bool
    types: Mapping[str, str]


def find_target(connection: psycopg.Connection[Any], table: str) -> Target:
    """Return the properties of a table; if it does not exist, COPY reports that.

    Args:
        connection: the connection.
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
    """Add Python rows to a table.

    Args:
        connection: the connection.
        table: its name, quoted.
        columns: the names of the columns.
        names: the same names, quoted.
        rows: the values.
        target: the properties of the table.
    """
    # A list becomes an array or JSON, depending on its column.
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
    """Add an Arrow table to a table; return False if a type is not supported in binary.

    Args:
        connection: the connection.
        table: its name, quoted.
        names: the names of the columns, quoted.
        data: the rows.
        target: the properties of the table.
    """
    # Python rows don't need numpy.
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
