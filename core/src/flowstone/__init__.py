"""Flowstone: Python functions as observable, retried, recorded runs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone import runtime
    from flowstone.engine.arguments import allow_failure, quote, unmapped
    from flowstone.flows import Flow, flow
    from flowstone.futures import Future, FutureList
    from flowstone.logging import get_run_logger
    from flowstone.states import State
    from flowstone.streams import FutureStream
    from flowstone.tagging import tags
    from flowstone.tasks import Task, exponential_backoff, task
    from flowstone.transactions import Transaction

_HOMES = {
    "Flow": "flowstone.flows",
    "Future": "flowstone.futures",
    "FutureList": "flowstone.futures",
    "FutureStream": "flowstone.streams",
    "State": "flowstone.states",
    "Task": "flowstone.tasks",
    "Transaction": "flowstone.transactions",
    "allow_failure": "flowstone.engine.arguments",
    "exponential_backoff": "flowstone.tasks",
    "flow": "flowstone.flows",
    "get_run_logger": "flowstone.logging",
    "quote": "flowstone.engine.arguments",
    "tags": "flowstone.tagging",
    "task": "flowstone.tasks",
    "unmapped": "flowstone.engine.arguments",
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
    "exponential_backoff",
    "flow",
    "get_run_logger",
    "quote",
    "runtime",
    "tags",
    "task",
    "unmapped",
]


def __getattr__(name: str) -> object:
    if name == "runtime":
        return import_module("flowstone.runtime")
    home = _HOMES.get(name)
    if home is None:
        message = f"module 'flowstone' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
