"""Flowstone: Python functions as observable, retried, recorded runs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone.context import runtime
    from flowstone.context.tags import tags
    from flowstone.engine.annotations import allow_failure, quote, unmapped
    from flowstone.flow_runs import aresume_flow_run, resume_flow_run
    from flowstone.flows import Flow, flow
    from flowstone.futures import Future, FutureList
    from flowstone.hooks import notify_by
    from flowstone.logging.run_logger import get_run_logger
    from flowstone.pauses import (
        apause_flow_run,
        asuspend_flow_run,
        pause_flow_run,
        suspend_flow_run,
    )
    from flowstone.records.states import State
    from flowstone.results.transaction_scope import Transaction
    from flowstone.streams import FutureStream
    from flowstone.tasks import Task, exponential_backoff, task

_HOMES = {
    "Flow": "flowstone.flows",
    "Future": "flowstone.futures",
    "FutureList": "flowstone.futures",
    "FutureStream": "flowstone.streams",
    "State": "flowstone.records.states",
    "Task": "flowstone.tasks",
    "Transaction": "flowstone.results.transaction_scope",
    "allow_failure": "flowstone.engine.annotations",
    "apause_flow_run": "flowstone.pauses",
    "aresume_flow_run": "flowstone.flow_runs",
    "asuspend_flow_run": "flowstone.pauses",
    "exponential_backoff": "flowstone.tasks",
    "flow": "flowstone.flows",
    "get_run_logger": "flowstone.logging.run_logger",
    "notify_by": "flowstone.hooks",
    "pause_flow_run": "flowstone.pauses",
    "quote": "flowstone.engine.annotations",
    "resume_flow_run": "flowstone.flow_runs",
    "suspend_flow_run": "flowstone.pauses",
    "tags": "flowstone.context.tags",
    "task": "flowstone.tasks",
    "unmapped": "flowstone.engine.annotations",
}

__all__ = [
    "Flow",
    "Future",
    "FutureList",
    "FutureStream",
    "State",
    "Task",
    "Transaction",
    "allow_failure",
    "apause_flow_run",
    "aresume_flow_run",
    "asuspend_flow_run",
    "exponential_backoff",
    "flow",
    "get_run_logger",
    "notify_by",
    "pause_flow_run",
    "quote",
    "resume_flow_run",
    "runtime",
    "suspend_flow_run",
    "tags",
    "task",
    "unmapped",
]


if not TYPE_CHECKING:  # which would take any name for one that is there

    def __getattr__(name: str) -> object:
        if name == "runtime":
            return import_module("flowstone.context.runtime")
        home = _HOMES.get(name)
        if home is None:
            message = f"module 'flowstone' has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
