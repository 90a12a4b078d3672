"""Redshift: loads and unloads by its own jobs on S3, and temporary credentials through IAM.

See https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html and r_UNLOAD.html there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from sqlalchemy import event

from flowstone.blocks.databases import StoreDriver
from flowstone.errors import DatabaseDenied, MissingExtra
from flowstone.records.access import DatabaseAccess
from flowstone_sqlalchemy.dbapi import DialectConnection, DialectDriver, make_plain_engine
from flowstone_sqlalchemy.errors import GRANT, OurError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from flowstone.records.access import StoreAccess
    from flowstone_sqlalchemy.connection import RedshiftOptions
    from flowstone_sqlalchemy.connector import SqlAlchemyConnector

#: The names of AWS credentials: in a StoreAccess, and in COPY and UNLOAD.
_KEYS = {
    "access_key_id": "ACCESS_KEY_ID",
    "secret_access_key": "SECRET_ACCESS_KEY",
    "session_token": "SESSION_TOKEN",
}


def make_redshift_driver(connector: SqlAlchemyConnector) -> RedshiftDriver:
    """Return a driver for Redshift, with the dialect of sqlalchemy-redshift."""
    where = connector.connection_info.describe()
    return RedshiftDriver(where, make_plain_engine(connector), connector.redshift)


class RedshiftDriver(DialectDriver, StoreDriver[DialectConnection]):
    """Redshift through the driver of its dialect, with COPY and UNLOAD for S3."""

    def __init__(self, where: str, engine: Engine, options: RedshiftOptions | None = None) -> None:
        super().__init__(where, engine)
        self._options = options
        if options is not None and (options.cluster or options.workgroup):
            event.listen(engine, "do_connect", self._log_in)

    def _log_in(self, *given: Any) -> None:
        """Add temporary credentials to the arguments of a new connection."""
        words: dict[str, Any] = given[-1]
        user, password = self._find_login()
        words |= {"user": user, "password": password}

    def _find_login(self) -> tuple[str, str]:
        assert self._options is not None
        url = self._engine.url
        return find_login(self._options, url.username or "", url.database or "", self.where)

    def make_access(self) -> DatabaseAccess:
        """Return the access for other tools; IAM's temporary credentials can be refreshed.

        Raises:
            DatabaseDenied: IAM refused to issue credentials.
        """
        found = super().make_access()
        if self._options is None or not (self._options.cluster or self._options.workgroup):
            return found
        try:
            user, password = self._find_login()
        except OurError as error:
            raise error.found from None  # its message contains the problem
        return DatabaseAccess(
            found.dialect, found.database, found.host, found.port, user,
            options=found.options, secrets={"password": SecretStr(password)},
            refresh=self.make_access,
        )  # fmt: skip

    def copy_from(
        self, connection: DialectConnection, table: str, access: StoreAccess, paths: Sequence[str]
    ) -> int | None:
        """Load Parquet files on S3 with COPY; return None for any other store."""
        if access.scheme != "s3" or access.endpoint:
            return None
        count = 0
        for path in paths:
            self._run(connection, render_copy(table, access, path, self._role), access)
            found = self.query(connection, "SELECT pg_last_copy_count()", ()).fetchmany(1)
            count += int(found[0][0])
        return count

    def unload_to(
        self,
        connection: DialectConnection,
        operation: str,
        values: Sequence[object],
        access: StoreAccess,
        folder: str,
    ) -> list[str] | None:
        """Write the rows of a query to S3 with UNLOAD; return None for any other store.

        UNLOAD has no parameters: a query with values is streamed through this process.
        """
        if access.scheme != "s3" or access.endpoint or values:
            return None
        self._run(connection, render_unload(operation, access, folder, self._role), access)
        written = "SELECT trim(path) FROM stl_unload_log WHERE query = pg_last_query_id()"
        rows = self.query(connection, written, ()).fetchmany(1_000_000)
        home = make_uri(access, "")
        return sorted(str(path).removeprefix(home) for (path,) in rows)

    @property
    def _role(self) -> str | None:
        return None if self._options is None else self._options.iam_role

    def _run(self, connection: DialectConnection, statement: str, access: StoreAccess) -> None:
        """Run a statement that contains credentials, which are kept out of errors."""
        try:
            self.execute(connection, statement, ())
            return
        except Exception as error:
            found = self.translate_error(error, None)
            if found is None:
                raise
        problem = found.problem
        for secret in access.secrets.values():
            problem = problem.replace(secret.get_secret_value(), "…")
        raise OurError(type(found)(found.where, problem, found.remedy))


def render_copy(table: str, access: StoreAccess, path: str, role: str | None = None) -> str:
    """Return the statement that loads a Parquet file.

    Args:
        table: its name, quoted.
        access: the address and credentials of the bucket.
        path: the path of the file, within the folder of ``access``.
        role: the ARN of a role of the cluster, instead of the credentials.
    """
    return (
        f"COPY {table} FROM {_quote(make_uri(access, path))} "
        f"{_render_login(access, role)}FORMAT AS PARQUET"
    )


def render_unload(operation: str, access: StoreAccess, folder: str, role: str | None = None) -> str:
    """Return the statement that writes the rows of a query to Parquet files.

    Args:
        operation: the query.
        access: the address and credentials of the bucket.
        folder: the folder of the files, within the folder of ``access``.
        role: the ARN of a role of the cluster, instead of the credentials.
    """
    target = make_uri(access, f"{folder.strip('/')}/part-" if folder.strip("/") else "part-")
    query = operation.strip().rstrip(";")
    return (
        f"UNLOAD ({_quote(query)}) TO {_quote(target)} "
        f"{_render_login(access, role)}FORMAT AS PARQUET"
    )


def make_uri(access: StoreAccess, path: str) -> str:
    """Return the URI of a path within the folder of a store."""
    parts = [part for part in (access.bucket, access.folder) if part]
    return f"s3://{'/'.join(parts)}/{path}"


def _render_login(access: StoreAccess, role: str | None) -> str:
    region = access.options.get("region")
    # UNLOAD and COPY both accept the region of the bucket, if it is not the cluster's.
    place = f"REGION {_quote(region)} " if region else ""
    if role:
        return f"IAM_ROLE {_quote(role)} {place}"
    keys = [
        f"{word} {_quote(value)}"
        for name, word in _KEYS.items()
        if (value := access.reveal(name)) is not None
    ]
    return f"{' '.join(keys)} {place}" if keys else f"IAM_ROLE default {place}"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def find_login(options: RedshiftOptions, user: str, database: str, where: str) -> tuple[str, str]:
    """Return the user and the password of temporary credentials from IAM.

    Args:
        options: the cluster or workgroup, and the store with the AWS credentials.
        user: the database user.
        database: the database's name.
        where: the database, for errors.

    Raises:
        OurError: AWS refused the request.
    """
    boto3, errors = _import_boto()
    words: dict[str, Any] = {"region_name": options.region}
    if options.store is not None:
        access = options.store.access()
        words["region_name"] = options.region or access.options.get("region")
        for name in _KEYS:
            words[f"aws_{name}"] = access.reveal(name)
    session = boto3.Session(**words)
    try:
        if options.workgroup:
            found = session.client("redshift-serverless").get_credentials(
                workgroupName=options.workgroup, dbName=database
            )
            return found["dbUser"], found["dbPassword"]
        found = session.client("redshift").get_cluster_credentials(
            ClusterIdentifier=options.cluster, DbUser=user, DbName=database, AutoCreate=False
        )
        return found["DbUser"], found["DbPassword"]
    except (errors.BotoCoreError, errors.ClientError) as error:
        problem = f"AWS issued no temporary credentials: {error}".rstrip(".")
    raise OurError(DatabaseDenied(where, problem, GRANT))


def _import_boto() -> tuple[Any, Any]:
    try:
        import boto3  # needs an extra
        from botocore import exceptions  # installed with boto3
    except ImportError as error:
        raise MissingExtra("A login through IAM", "flowstone-sqlalchemy[redshift]") from error
    return boto3, exceptions
