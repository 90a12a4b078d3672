"""Snowflake for Flowstone: credentials, a database with bulk loads and Arrow, and query tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins import lazy_exports

if TYPE_CHECKING:
    from flowstone_snowflake.connector import SnowflakeConnector
    from flowstone_snowflake.credentials import SnowflakeCredentials
    from flowstone_snowflake.driver import SnowflakeDriver
    from flowstone_snowflake.loads import CopyResult, RejectedRow
    from flowstone_snowflake.parts import ResultPart
    from flowstone_snowflake.query_tasks import (
        asnowflake_multiquery,
        asnowflake_query,
        asnowflake_query_sync,
        snowflake_multiquery,
        snowflake_multiquery_async,
        snowflake_query,
        snowflake_query_async,
        snowflake_query_sync,
    )

__all__ = [
    "CopyResult",
    "RejectedRow",
    "ResultPart",
    "SnowflakeConnector",
    "SnowflakeCredentials",
    "SnowflakeDriver",
    "asnowflake_multiquery",
    "asnowflake_query",
    "asnowflake_query_sync",
    "snowflake_multiquery",
    "snowflake_multiquery_async",
    "snowflake_query",
    "snowflake_query_async",
    "snowflake_query_sync",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".connector": ("SnowflakeConnector",),
            ".credentials": ("SnowflakeCredentials",),
            ".driver": ("SnowflakeDriver",),
            ".loads": ("CopyResult", "RejectedRow"),
            ".parts": ("ResultPart",),
            ".query_tasks": (
                "asnowflake_multiquery",
                "asnowflake_query",
                "asnowflake_query_sync",
                "snowflake_multiquery",
                "snowflake_multiquery_async",
                "snowflake_query",
                "snowflake_query_async",
                "snowflake_query_sync",
            ),
        },
    )
