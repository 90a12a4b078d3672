"""TemplateDatabase: the service's databases, which answer SQL over HTTP."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from contextlib import closing, suppress
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote
from uuid import uuid4

import httpx
from pydantic import Field

from flowstone.blocks import Database
from flowstone_template.credentials import TemplateCredentials
from flowstone_template.errors import refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.errors import DatabaseError


class TemplateDatabase(Database):
    """A database of the service.

    It keeps None, int, float, str and bytes; a bool comes back as an int, a Decimal, a date or a
    time as text in ISO form, a list or dict as JSON.
    """

    _block_type_name: ClassVar[str | None] = "Template Database"
    _block_type_slug: ClassVar[str | None] = "template-database"
    _description: ClassVar[str | None] = "A database of the service."
    _code_example: ClassVar[str | None] = (
        'with TemplateDatabase(database="shop") as shop:\n'
        '    print(shop.fetch_all("SELECT item FROM orders WHERE id = :id", {"id": 1}))'
    )

    database: str = Field(description="The name of the database.")
    credentials: TemplateCredentials = Field(
        default_factory=TemplateCredentials, description="The login; by default the environment's."
    )

    def _where(self) -> str:
        return f"{self.credentials.url or ''}/{self.database}"

    def _connect(self, anchor: Any) -> _Connection:
        assert anchor is None  # nothing has to stay open here
        # A query may run for hours.
        patience = httpx.Timeout(self.credentials.timeout_seconds, read=None)
        return _Connection(self.credentials.client(timeout=patience), self.database)

    def _interrupt(self, connection: _Connection) -> None:
        connection.ask("stop")

    def _adapted(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat(" ")
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Decimal):
            return str(value)
        return json.dumps(value) if isinstance(value, (list, dict)) else value

    def _execute(self, connection: _Connection, operation: str, values: Sequence[Any]) -> int:
        return self._execute_many(connection, operation, [values])

    def _execute_many(
        self, connection: _Connection, operation: str, rows: Sequence[Sequence[Any]]
    ) -> int:
        changed: int = connection.ask("execute", statement=operation, rows=rows)
        return changed

    def _query(self, connection: _Connection, operation: str, values: Sequence[Any]) -> _Rows:
        return _Rows(connection, connection.ask("query", statement=operation, values=values))

    def _begin(self, connection: _Connection, savepoint: str | None) -> None:
        if savepoint is None:
            # At once a writer: one that reads first and writes later can't wait for others.
            self._execute(connection, "BEGIN IMMEDIATE", ())
        else:
            super()._begin(connection, savepoint)

    def _refused(self, error: Exception, statement: str | None) -> DatabaseError | None:
        return refused(self._where(), error, statement)


class _Connection:
    """A session of the service, which has its transaction and its rows."""

    def __init__(self, client: httpx.Client, database: str) -> None:
        self._client = client
        self._path = f"/{quote(database, safe='')}/{uuid4().hex}"

    def ask(self, what: str, **content: Any) -> Any:
        """Send one request, and return what is in the answer."""
        response = self._client.post(self._path, params={"do": what}, content=packed(content))
        return unpacked(response.raise_for_status().content)

    def close(self) -> None:
        with closing(self._client), suppress(httpx.HTTPError):
            self.ask("leave")


class _Rows:
    """The rows of a query, which the service keeps until they are fetched."""

    def __init__(self, connection: _Connection, found: dict[str, Any]) -> None:
        self._connection = connection
        self._number = found["number"]
        self.description: list[tuple[str]] | None = found["columns"]

    def fetchmany(self, size: int, /) -> list[Any]:
        rows: list[Any] = self._connection.ask("fetch", number=self._number, size=size)
        return rows

    def close(self) -> None:
        with suppress(httpx.HTTPError):
            self._connection.ask("forget", number=self._number)


def packed(value: Any) -> bytes:
    """Return a value as JSON, which has no bytes of its own."""
    return json.dumps(value, default=_packed).encode()


def _packed(value: object) -> dict[str, str]:
    if not isinstance(value, bytes):
        raise TypeError(f"a {type(value).__name__} can't be sent to the service")
    return {"$bytes": b64encode(value).decode()}


def unpacked(content: bytes) -> Any:
    """Return what was packed."""
    return json.loads(
        content, object_hook=lambda body: b64decode(body["$bytes"]) if "$bytes" in body else body
    )
