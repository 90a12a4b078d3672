"""The document store: one table, one row for each kind and name."""

from __future__ import annotations

import json
from time import time
from typing import TYPE_CHECKING, Any

from flowstone.errors import ObjectNotFound
from flowstone.records.documents import Document
from flowstone.records.encoding import loads
from flowstone.stores import rules
from flowstone.stores.sql.statements import render_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from flowstone.stores.sql.database import SqlConnection, SqlDatabase
    from flowstone.stores.sql.run_table import Row

# ruff: noqa: S608 - what is put together here are constants of this file
_COLUMNS = "kind, name, body, version, created, updated"
_GET = f"SELECT {_COLUMNS} FROM documents WHERE kind = ? AND name = ?"
_FIND = f"SELECT {_COLUMNS} FROM documents"
_NAMES = "SELECT name FROM documents WHERE kind = ?"
_PUT = (
    f"INSERT INTO documents ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (kind, name) "
    "DO UPDATE SET body = excluded.body, version = excluded.version, "
    "created = excluded.created, updated = excluded.updated"
)
_DELETE = "DELETE FROM documents WHERE kind = ? AND name = ?"


class SqlDocuments:
    """A `DocumentStore` in a database."""

    def __init__(self, database: SqlDatabase, now: Callable[[], float] = time) -> None:
        self._database = database
        self._now = now

    def put(
        self, kind: str, name: str, body: Mapping[str, Any], *, expected: int | None = None
    ) -> Document:
        # As ASCII, because half of a surrogate pair has no other form in a database.
        kept = json.dumps(dict(body))
        now = self._now()

        def work(connection: SqlConnection) -> Document:
            old = _find_one(connection, kind, name)
            rules.check_expected(kind, name, old.version if old else 0, expected)
            version = old.version + 1 if old else 1
            created = old.created if old else now
            connection.execute(_PUT, (kind, name, kept, version, created, now))
            return Document(kind, name, loads(kept), version, created, now)

        return self._database.write(work)

    def get(self, kind: str, name: str) -> Document:
        def work(connection: SqlConnection) -> Document:
            found = _find_one(connection, kind, name)
            if found is None:
                raise _make_not_found(connection, kind, name)
            return found

        return self._database.read(work)

    def find(
        self,
        kind: str,
        *,
        prefix: bool = False,
        names: Collection[str] | None = None,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> list[Document]:
        terms = ["substr(kind, 1, ?) = ?" if prefix else "kind = ?"]
        values: list[object] = [len(kind), kind] if prefix else [kind]
        if names is not None:
            terms.append(f"name IN ({self._database.dialect.select_texts()})")
            values.append(json.dumps(list(names)))
        if after is not None:
            terms.append("(kind, name) > (?, ?)")
            values += after
        query = f"{_FIND} WHERE {' AND '.join(terms)} ORDER BY kind, name LIMIT ?"
        values.append(render_limit(limit))
        rows = self._database.read(lambda connection: connection.execute(query, values).fetchall())
        return [_read_document(row) for row in rows]

    def delete(self, kind: str, name: str) -> None:
        def work(connection: SqlConnection) -> None:
            if connection.execute(_DELETE, (kind, name)).rowcount == 0:
                raise _make_not_found(connection, kind, name)

        self._database.write(work)

    def close(self) -> None:
        self._database.close()


def _find_one(connection: SqlConnection, kind: str, name: str) -> Document | None:
    row = connection.execute(_GET, (kind, name)).fetchone()
    return None if row is None else _read_document(row)


def _make_not_found(connection: SqlConnection, kind: str, name: str) -> ObjectNotFound:
    known = [row[0] for row in connection.execute(_NAMES, (kind,))]
    return ObjectNotFound(kind, name, known)


def _read_document(row: Row) -> Document:
    kind, name, body, version, created, updated = row
    return Document(kind, name, loads(body), version, created, updated)
