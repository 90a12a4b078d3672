"""Dask for Flowstone: a flow's submitted tasks run on a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone_dask.clients import get_async_dask_client, get_dask_client
    from flowstone_dask.task_runner import DaskTaskRunner

__all__ = ["DaskTaskRunner", "get_async_dask_client", "get_dask_client"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".clients": ("get_async_dask_client", "get_dask_client"),
            ".task_runner": ("DaskTaskRunner",),
        },
    )
