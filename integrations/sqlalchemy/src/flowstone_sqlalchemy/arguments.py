"""Arguments of drivers: the block's fields, translated for each driver."""

from __future__ import annotations

import math
import ssl
from typing import TYPE_CHECKING, Any

from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL

    from flowstone_sqlalchemy.connection import SslFiles
    from flowstone_sqlalchemy.connector import SqlAlchemyConnector

#: Drivers based on libpq, which use its parameter names.
_LIBPQ = frozenset({"psycopg", "psycopg_async", "psycopg2", "psycopg2cffi"})
_MYSQL = frozenset({"pymysql", "mysqldb", "aiomysql", "asyncmy", "cymysql"})
#: Asyncpg's names of `sslmode` and others; any value but text is an `ssl.SSLContext`.
_ASYNCPG_WORDS = {"ssl": "sslmode", "sslmode": "sslmode", "timeout": "connect_timeout"}
#: Arguments of asyncpg for prepared statements, for which psycopg has other settings.
_ASYNCPG_OWN = frozenset(
    {"prepared_statement_cache_size", "prepared_statement_name_func", "statement_cache_size"}
)


def make_engine_arguments(connector: SqlAlchemyConnector, driver: str) -> dict[str, Any]:
    """Return arguments of a driver's connect, for a SQLAlchemy engine."""
    seconds, pooled = connector.connect_seconds, connector.transaction_pooling
    made: dict[str, Any] = {}
    if driver in _LIBPQ:
        made["connect_timeout"] = math.ceil(seconds)
        if driver == "psycopg" and pooled:
            made["prepare_threshold"] = None
        made |= _name_libpq_files(connector.ssl)
    elif driver == "asyncpg":
        made["timeout"] = seconds
        if pooled:
            made |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
        if connector.ssl is not None:
            made["ssl"] = _make_context(connector.ssl)
    elif driver in _MYSQL:
        made["connect_timeout"] = math.ceil(seconds)
        made |= _name_mysql_files(connector.ssl)
    elif connector.ssl is not None:
        problem = f"it is not supported for the driver {driver!r}"
        raise ConfigurationError(
            "ssl", problem, "Pass the driver's own TLS arguments in connect_args."
        )
    return made | _read_arguments(connector)


def make_postgres_arguments(connector: SqlAlchemyConnector) -> dict[str, Any]:
    """Return arguments of `psycopg.connect`."""
    url = connector.connection_info.create_url()
    given = _read_arguments(connector)
    if url.get_driver_name() == "asyncpg":
        given = _translate_asyncpg({**url.query, **given})
        url = url.set(query={})
    made = _read_url(url, "postgresql+psycopg")
    made["connect_timeout"] = math.ceil(connector.connect_seconds)
    made |= {"fallback_application_name": "flowstone", "client_encoding": "utf8"}
    made |= {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 3}
    return made | _name_libpq_files(connector.ssl) | given


def make_mysql_arguments(connector: SqlAlchemyConnector) -> dict[str, Any]:
    """Return arguments of `pymysql.connect`."""
    url = connector.connection_info.create_url()
    made = _read_url(url, "mysql+pymysql")
    made["connect_timeout"] = math.ceil(connector.connect_seconds)
    made.setdefault("charset", "utf8mb4")
    return made | _name_mysql_files(connector.ssl) | _read_arguments(connector)


def _read_url(url: URL, drivername: str) -> dict[str, Any]:
    url = url.set(drivername=drivername)
    _, found = url.get_dialect()().create_connect_args(url)
    return dict(found)


def _read_arguments(connector: SqlAlchemyConnector) -> dict[str, Any]:
    given = connector.connect_args
    return {} if given is None else dict(given.get_secret_value())


def _translate_asyncpg(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return asyncpg's arguments, translated to libpq's."""
    made: dict[str, Any] = {}
    for name, value in given.items():
        if name in _ASYNCPG_OWN:
            continue
        if name == "server_settings" and isinstance(value, dict):
            made["options"] = " ".join(f"-c {key}={each}" for key, each in value.items())
        elif name in _ASYNCPG_WORDS and isinstance(value, (str, int, float)):
            word = value if not isinstance(value, bool) else "require" if value else "disable"
            made[_ASYNCPG_WORDS[name]] = word
        else:
            problem = f"{name!r} of asyncpg has no counterpart in psycopg, which sync code uses"
            remedy = "Use a psycopg URL with libpq's parameters, or the block's `ssl`."
            raise ConfigurationError("connect_args", problem, remedy)
    return made


def _name_libpq_files(files: SslFiles | None) -> dict[str, str]:
    if files is None:
        return {}
    found = {"sslrootcert": files.ca, "sslcert": files.certificate, "sslkey": files.key}
    made = {name: str(path.expanduser()) for name, path in found.items() if path is not None}
    if files.check_host:
        return {"sslmode": "verify-full", "sslrootcert": "system", **made}
    return {"sslmode": "require" if files.ca is None else "verify-ca", **made}


def _name_mysql_files(files: SslFiles | None) -> dict[str, Any]:
    return {} if files is None else {"ssl": _make_context(files)}


def _make_context(files: SslFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.ca and str(files.ca.expanduser()))
    context.check_hostname = files.check_host
    if files.ca is None and not files.check_host:
        context.verify_mode = ssl.CERT_NONE
    if files.certificate is not None:
        key = files.key and str(files.key.expanduser())
        context.load_cert_chain(str(files.certificate.expanduser()), key)
    return context
