"""Ray for Flowstone: a flow's submitted tasks run on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone_ray.context import remote_options
    from flowstone_ray.task_runner import RayTaskRunner

__all__ = ["RayTaskRunner", "remote_options"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".context": ("remote_options",),
            ".task_runner": ("RayTaskRunner",),
        },
    )
