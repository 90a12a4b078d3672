"""Databases: the interface for users, and the driver that a package implements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.blocks.databases.calls import DriverCalls
    from flowstone.blocks.databases.database import Database
    from flowstone.blocks.databases.driver import (
        ArrowDriver,
        AwareDatetime,
        Cursor,
        DatabaseDriver,
        DBAPIDriver,
        Row,
    )
    from flowstone.blocks.databases.sql_syntax import SqlSyntax
    from flowstone.blocks.databases.sqlite import SqliteDatabase, SqliteDriver
    from flowstone.blocks.databases.store_driver import StoreDriver
    from flowstone.blocks.databases.transaction import DatabaseTransaction

__all__ = [
    "ArrowDriver",
    "AwareDatetime",
    "Cursor",
    "DBAPIDriver",
    "Database",
    "DatabaseDriver",
    "DatabaseTransaction",
    "DriverCalls",
    "Row",
    "SqlSyntax",
    "SqliteDatabase",
    "SqliteDriver",
    "StoreDriver",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".calls": ("DriverCalls",),
            ".database": ("Database",),
            ".driver": (
                "ArrowDriver",
                "AwareDatetime",
                "Cursor",
                "DBAPIDriver",
                "DatabaseDriver",
                "Row",
            ),
            ".sql_syntax": ("SqlSyntax",),
            ".sqlite": ("SqliteDatabase", "SqliteDriver"),
            ".store_driver": ("StoreDriver",),
            ".transaction": ("DatabaseTransaction",),
        },
    )
