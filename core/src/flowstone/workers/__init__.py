"""Workers: processes that execute the runs of work pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.infrastructure.work_pools import (
        change_work_pool,
        create_work_pool,
        delete_work_pool,
        delete_work_queue,
        set_work_queue,
    )
    from flowstone.records.work_pools import WorkPool, WorkQueue
    from flowstone.workers.worker import Worker

__all__ = [
    "WorkPool",
    "WorkQueue",
    "Worker",
    "change_work_pool",
    "create_work_pool",
    "delete_work_pool",
    "delete_work_queue",
    "set_work_queue",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".worker": ("Worker",),
            "flowstone.infrastructure.work_pools": (
                "change_work_pool",
                "create_work_pool",
                "delete_work_pool",
                "delete_work_queue",
                "set_work_queue",
            ),
            "flowstone.records.work_pools": ("WorkPool", "WorkQueue"),
        },
    )
