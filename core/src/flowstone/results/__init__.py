"""Results of tasks: where they are persisted, and when they are reused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.results.result_store import ResultStore, get_result_store

__all__ = [
    "ResultStore",
    "get_result_store",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".result_store": ("ResultStore", "get_result_store"),
        },
    )
