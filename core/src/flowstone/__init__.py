"""Flowstone: Python functions as observable, retried, recorded runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone import runtime
    from flowstone.calls.async_twins import make_async_twin
    from flowstone.calls.flow import Flow, flow
    from flowstone.calls.futures import Future, FutureList
    from flowstone.calls.hooks import notify_by
    from flowstone.calls.map_stream import FutureStream
    from flowstone.calls.task import Task, exponential_backoff, task
    from flowstone.context.deadlines import seconds_left
    from flowstone.context.external_work import (
        find_recorded_task_runs,
        record_external_end,
        record_external_start,
        record_measures,
        record_task_run,
    )
    from flowstone.context.tags import tags
    from flowstone.deployments.declarations import deploy
    from flowstone.deployments.server import aserve, serve
    from flowstone.engine.annotations import allow_failure, freeze, opaque, quote, unmapped
    from flowstone.flow_runs.restarts import (
        apause_flow_run,
        aresume_flow_run,
        asuspend_flow_run,
        pause_flow_run,
        resume_flow_run,
        suspend_flow_run,
    )
    from flowstone.logging import get_run_logger
    from flowstone.records.states import State
    from flowstone.records.version import __version__
    from flowstone.results.transaction import Transaction

__all__ = [
    "Flow",
    "Future",
    "FutureList",
    "FutureStream",
    "State",
    "Task",
    "Transaction",
    "__version__",
    "allow_failure",
    "apause_flow_run",
    "aresume_flow_run",
    "aserve",
    "asuspend_flow_run",
    "deploy",
    "exponential_backoff",
    "find_recorded_task_runs",
    "flow",
    "freeze",
    "get_run_logger",
    "make_async_twin",
    "notify_by",
    "opaque",
    "pause_flow_run",
    "quote",
    "record_external_end",
    "record_external_start",
    "record_measures",
    "record_task_run",
    "resume_flow_run",
    "runtime",
    "seconds_left",
    "serve",
    "suspend_flow_run",
    "tags",
    "task",
    "unmapped",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "flowstone.calls.async_twins": ("make_async_twin",),
            "flowstone.calls.flow": ("Flow", "flow"),
            "flowstone.calls.futures": ("Future", "FutureList"),
            "flowstone.calls.hooks": ("notify_by",),
            "flowstone.calls.map_stream": ("FutureStream",),
            "flowstone.calls.task": ("Task", "exponential_backoff", "task"),
            "flowstone.context.deadlines": ("seconds_left",),
            "flowstone.context.external_work": (
                "find_recorded_task_runs",
                "record_external_start",
                "record_external_end",
                "record_measures",
                "record_task_run",
            ),
            "flowstone.context.tags": ("tags",),
            "flowstone.deployments.declarations": ("deploy",),
            "flowstone.deployments.server": ("aserve", "serve"),
            "flowstone.engine.annotations": (
                "allow_failure",
                "freeze",
                "opaque",
                "quote",
                "unmapped",
            ),
            "flowstone.flow_runs.restarts": (
                "apause_flow_run",
                "aresume_flow_run",
                "asuspend_flow_run",
                "pause_flow_run",
                "resume_flow_run",
                "suspend_flow_run",
            ),
            "flowstone.logging": ("get_run_logger",),
            "flowstone.records.states": ("State",),
            "flowstone.records.version": ("__version__",),
            "flowstone.results.transaction": ("Transaction",),
            "flowstone.runtime": (),
        },
    )
