"""SnowflakeConnector: a Snowflake database, queried with a warehouse."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from flowstone.blocks import Database
from flowstone.blocks.databases.cancellation import in_thread
from flowstone.records.access import DatabaseAccess
from flowstone_snowflake import sessions
from flowstone_snowflake.credentials import SnowflakeCredentials
from flowstone_snowflake.driver import DriverSettings, SnowflakeDriver
from flowstone_snowflake.keys import encode_key
from flowstone_snowflake.known_names import KnownNames
from flowstone_snowflake.stages import StageMethods

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snowflake.connector import SnowflakeConnection

    from flowstone.blocks.databases import DriverCalls
    from flowstone.blocks.databases.placeholders import Parameters
    from flowstone.blocks.databases.pool import PooledConnection

#: Number of rows that are fetched at a time.
BATCH = 1000
#: The server aborts statements of exited processes, within five minutes.
GUARD = {"ABORT_DETACHED_QUERY": True}


class SnowflakeConnector(KnownNames, StageMethods, Database):
    """A Snowflake database, queried with a warehouse."""

    _block_type_name: ClassVar[str | None] = "Snowflake Connector"
    _description: ClassVar[str | None] = "A Snowflake database, queried with a warehouse."
    _code_example: ClassVar[str | None] = (
        'SnowflakeConnector(database="SALES", warehouse="LOADING", schema="PUBLIC").save("sales")\n'
        'with SnowflakeConnector.load("sales") as sales:\n'
        '    print(sales.fetch_all("SELECT item FROM orders WHERE price > :least", {"least": 3}))'
    )

    credentials: SnowflakeCredentials = Field(
        default_factory=SnowflakeCredentials, description="The login."
    )
    database: str | None = Field(default=None, description="The database; by default the user's.")
    warehouse: str | None = Field(default=None, description="The warehouse; by default the user's.")
    schema_: str | None = Field(
        default=None, alias="schema", description="The schema; by default the user's."
    )
    poll_frequency_s: float = Field(
        default=1.0, gt=0, description="Seconds between two polls of a long query."
    )
    role: str | None = Field(default=None, description="The role, instead of the credentials'.")
    secondary_roles: Literal["all", "none"] | None = Field(
        default=None,
        description="Whether all other roles of the user apply; by default the user's setting.",
    )
    session_parameters: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Parameters of each session, such as TIMEZONE; no secrets.",
    )
    keep_alive: bool = Field(
        default=False, description="Whether sessions are kept alive for longer than four hours."
    )
    query_tag: str | None = Field(
        default=None, description="A tag of your own, included in the query tag of the run."
    )
    cancel_on_kill: bool = Field(
        default=True,
        description="Whether a query is cancelled if its run ends or is killed: immediately if "
        "possible, otherwise by `flowstone run cleanup` and by the server's own limits.",
    )
    measures_cost: bool = Field(
        default=True,
        description="Whether a run looks up the cost of each query, with one more small query, "
        "which needs a current database.",
    )

    @property
    def where(self) -> str:
        """The account and the database, for messages."""
        found = self.credentials.where
        return f"{found}, database {self.database}" if self.database else found

    def make_driver(self) -> SnowflakeDriver:
        """Return a driver for the account; it logs in at the first call."""
        return SnowflakeDriver(
            self.where,
            lambda: self.get_connection(paramstyle="qmark", arrow_number_to_decimal=True),
            DriverSettings(
                self._make_access,
                poll_seconds=self.poll_frequency_s,
                query_tag=self.query_tag,
                cancel_on_kill=self.cancel_on_kill,
                statement_timeout_seconds=self._find_own_timeout(),
                measures=self.measures_cost,
            ),
        )

    def fetch_rows(
        self,
        operation: str,
        parameters: Parameters = None,
        *,
        cursor_type: type | None = None,
        poll_seconds: float | None = None,
    ) -> list[Any]:
        """Return all rows of a statement, as the connector's cursors return them.

        Args:
            operation: the statement, with ``?`` or ``:name`` for each value.
            parameters: the values: a sequence for ``?``, a mapping for ``:name``.
            cursor_type: `snowflake.connector.DictCursor` for dicts, whose keys are Snowflake's own
                names; by default rows are tuples.
            poll_seconds: seconds between two polls, instead of `poll_frequency_s`.

        Raises:
            DatabaseError: the database refused the statement; see the subclasses.
        """
        token = sessions.poll_seconds.set(poll_seconds)
        try:
            with self.use_connection() as (calls, connection):
                cursor = calls.run(connection, operation, parameters, calls.driver.query)
                try:
                    return list(_read_all(calls, connection, cursor, cursor_type))
                finally:
                    cursor.close()
        finally:
            sessions.poll_seconds.reset(token)

    async def afetch_rows(
        self,
        operation: str,
        parameters: Parameters = None,
        *,
        cursor_type: type | None = None,
        poll_seconds: float | None = None,
    ) -> list[Any]:
        """Async version of `fetch_rows`."""
        options: dict[str, Any] = {"cursor_type": cursor_type, "poll_seconds": poll_seconds}
        return await in_thread(partial(self.fetch_rows, operation, parameters, **options))

    def _find_own_timeout(self) -> int | None:
        for name, value in self.session_parameters.items():
            if name.upper() == "STATEMENT_TIMEOUT_IN_SECONDS":
                return int(value) or None
        return None

    def _make_access(self) -> DatabaseAccess:
        login = self.credentials
        options = {
            "account": login.account,
            "warehouse": self.warehouse,
            "schema": self.schema_,
            "role": self.role or login.role,
            "authenticator": login.authenticator,
            "endpoint": login.endpoint,
            "workload_identity_provider": login.workload_identity_provider,
        }
        given = {"password": login.password, "token": login.token, "private_key": login.private_key}
        secrets = {name: secret for name, secret in given.items() if secret is not None}
        if login.private_key_path and (key := login.resolve_private_key()):
            secrets["private_key"] = SecretStr(encode_key(key))
        elif login.private_key_passphrase is not None:
            secrets["private_key_passphrase"] = login.private_key_passphrase
        parts = urlsplit(login.server_url or "")
        if parts.scheme:
            options["protocol"] = parts.scheme
        return DatabaseAccess(
            "snowflake",
            self.database or "",
            host=parts.hostname,
            port=parts.port,
            user=login.user,
            options={name: value for name, value in options.items() if value},
            secrets=secrets,
        )

    def get_connection(self, **connect_kwargs: Any) -> SnowflakeConnection:
        """Open a connection of `snowflake.connector`; the caller closes it.

        Args:
            **connect_kwargs: arguments of `snowflake.connector.connect`, instead of this block's.

        Raises:
            CredentialsError: the fields are not valid credentials.
            DatabaseError: the service refused the connection, or can't be reached.
        """
        given = {
            "database": self.database,
            "warehouse": self.warehouse,
            "schema": self.schema_,
            "role": self.role,
            "secondary_roles": self.secondary_roles,
            "client_session_keep_alive": self.keep_alive or None,
        }
        arguments: dict[str, Any] = {n: value for n, value in given.items() if value is not None}
        guard = GUARD if self.cancel_on_kill else {}
        arguments["session_parameters"] = {**guard, **self.session_parameters}
        arguments["autocommit"] = True
        return self.credentials.client(**{**arguments, **connect_kwargs})


def _read_all(
    calls: DriverCalls, connection: PooledConnection, cursor: Any, cursor_type: type | None
) -> Iterator[Any]:
    as_dicts = cursor_type is not None and "Dict" in cursor_type.__name__
    while rows := calls.call(connection, partial(cursor.fetchmany, BATCH)):
        for row in rows:
            yield dict(zip(cursor.names, row, strict=True)) if as_dicts else tuple(row)
