"""DuckDB for Flowstone: an analytical database, in a local file or in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone_duckdb.database import DuckDBDatabase, DuckDBDriver

__all__ = ["DuckDBDatabase", "DuckDBDriver"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(__name__, {".database": ("DuckDBDatabase", "DuckDBDriver")})
