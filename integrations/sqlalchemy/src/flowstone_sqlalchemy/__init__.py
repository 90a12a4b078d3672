"""SQL databases for Flowstone: PostgreSQL, MySQL, MariaDB, SQLite, and others by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins import lazy_exports

if TYPE_CHECKING:
    from flowstone_sqlalchemy.connection import (
        AsyncDriver,
        ConnectionComponents,
        RedshiftOptions,
        SslFiles,
        SyncDriver,
    )
    from flowstone_sqlalchemy.connector import AsyncSqlAlchemyConnector, SqlAlchemyConnector
    from flowstone_sqlalchemy.credentials import DatabaseCredentials

__all__ = [
    "AsyncDriver",
    "AsyncSqlAlchemyConnector",
    "ConnectionComponents",
    "DatabaseCredentials",
    "RedshiftOptions",
    "SqlAlchemyConnector",
    "SslFiles",
    "SyncDriver",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".connection": (
                "AsyncDriver",
                "ConnectionComponents",
                "RedshiftOptions",
                "SslFiles",
                "SyncDriver",
            ),
            ".connector": ("AsyncSqlAlchemyConnector", "SqlAlchemyConnector"),
            ".credentials": ("DatabaseCredentials",),
        },
    )
