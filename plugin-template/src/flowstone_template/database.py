"""TemplateDatabase: the service's databases, with SQL over HTTP."""

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
from flowstone.blocks.databases import DatabaseDriver
from flowstone_template.credentials import TemplateCredentials
from flowstone_template.errors import make_database_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.errors import DatabaseError


class TemplateDatabase(Database):
    """A database of the service.

    It stores None, int, float, str and bytes. A bool is read back as an int; a Decimal, date or
    time as ISO text; a list or dict as JSON.
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
        default_factory=TemplateCredentials,
        description="Credentials; default: the environment's.",
    )

    def make_driver(self) -> TemplateDriver:
        """Return a driver for the database."""
        return TemplateDriver(self.credentials, self.database)


class TemplateConnection:
    """A session of the service, with its transaction and rows."""

    def __init__(self, client: httpx.Client, database: str) -> None:
        self._client = client
        self._path = f"/{quote(database, safe='')}/{uuid4().hex}"

    def ask(self, what: str, **content: Any) -> Any:
        """Send a request and return the content of the response."""
        response = self._client.post(self._path, params={"do": what}, content=encode(content))
        return decode(response.raise_for_status().content)

    def close(self) -> None:
        with closing(self._client), suppress(httpx.HTTPError):
            self.ask("leave")


class TemplateDriver(DatabaseDriver[TemplateConnection]):
    """The service's SQL, by sessions."""

    def __init__(self, credentials: TemplateCredentials, database: str) -> None:
        super().__init__(f"{credentials.url or ''}/{database}")
        self._credentials, self._database = credentials, database

    def connect(self) -> TemplateConnection:
        """Open a session."""
        # A query may run for hours.
        patience = httpx.Timeout(self._credentials.timeout_seconds, read=None)
        return TemplateConnection(self._credentials.client(timeout=patience), self._database)

    def disconnect(self, connection: TemplateConnection) -> None:
        """Close a session; the service rolls back an open transaction."""
        connection.close()

    def interrupt(self, connection: TemplateConnection) -> None:
        """Stop the statement that a session runs."""
        connection.ask("stop")

    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        """Return the error for an error of the service; None for any other."""
        return make_database_error(self.where, error, statement)

    def adapt(self, value: object) -> object:
        """Return a value that the service accepts."""
        if isinstance(value, datetime):
            return value.isoformat(" ")
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Decimal):
            return str(value)
        return json.dumps(value) if isinstance(value, (list, dict)) else value

    def execute(
        self, connection: TemplateConnection, operation: str, values: Sequence[object]
    ) -> int:
        """Run a statement and return the number of changed rows."""
        return self.execute_many(connection, operation, [values])

    def execute_many(
        self, connection: TemplateConnection, operation: str, rows: Sequence[Sequence[object]]
    ) -> int:
        """Run a statement with each row of values and return the number of changed rows."""
        changed: int = connection.ask("execute", statement=operation, rows=rows)
        return changed

    def query(
        self, connection: TemplateConnection, operation: str, values: Sequence[object]
    ) -> TemplateRows:
        """Run a statement; its rows stay in the service until they are fetched."""
        found = connection.ask("query", statement=operation, values=values)
        return TemplateRows(connection, found)

    def begin(self, connection: TemplateConnection, savepoint: str | None) -> None:
        """Begin a transaction, or a savepoint in one."""
        if savepoint is None:
            # As a writer from the start: one that reads first can't wait for other writers.
            self.execute(connection, "BEGIN IMMEDIATE", ())
        else:
            super().begin(connection, savepoint)


class TemplateRows:
    """The rows of a query, which stay in the service until they are fetched."""

    def __init__(self, connection: TemplateConnection, found: dict[str, Any]) -> None:
        self._connection = connection
        self._number = found["number"]
        self.description: list[tuple[str]] | None = found["columns"]

    def fetchmany(self, size: int, /) -> list[Any]:
        rows: list[Any] = self._connection.ask("fetch", number=self._number, size=size)
        return rows

    def close(self) -> None:
        with suppress(httpx.HTTPError):
            self._connection.ask("forget", number=self._number)


def encode(value: Any) -> bytes:
    """Return a value as JSON, with an encoding for bytes."""
    return json.dumps(value, default=_encode_bytes).encode()


def _encode_bytes(value: object) -> dict[str, str]:
    if not isinstance(value, bytes):
        raise TypeError(f"a {type(value).__name__} can't be sent to the service")
    return {"$bytes": b64encode(value).decode()}


def decode(content: bytes) -> Any:
    """Return the value of a JSON document from `encode`."""
    return json.loads(
        content, object_hook=lambda body: b64decode(body["$bytes"]) if "$bytes" in body else body
    )
