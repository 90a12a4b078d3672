"""autolog: what MLflow logs of its own accord, kept to one task."""

from __future__ import annotations

import asyncio
import importlib
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.utils.autologging_utils import autologging_is_disabled

from flowstone_mlflow.errors import AutologRefused, translate_errors
from flowstone_mlflow.fluent import activate
from flowstone_mlflow.models import find_flavor
from flowstone_mlflow.position import current_run_id, current_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator

_lock = threading.Lock()
_users: dict[str, int] = {}
_found: dict[str, bool] = {}


@contextmanager
def autolog(*flavors: str, **options: Any) -> Iterator[str]:
    """Let MLflow log what libraries do inside the block, to the run of this task; yield its id.

    The run is active in this thread only. The libraries themselves are changed for the whole
    process until the block ends, so train in processes where other threads train, too.

    Args:
        flavors: which libraries, such as ``"sklearn"``; all that MLflow knows without any.
        options: those of MLflow's ``autolog``, such as ``log_models=False``.

    Raises:
        AutologRefused: the code is in an async function: coroutines share their thread, so one
            would log to the run of another.
        NotTracked: nothing tracks the run.
        TrackingUnavailable: the server does not answer.
    """
    if _is_in_loop():
        raise _refuse_async()
    tracking, run_id = current_tracking(), current_run_id()
    names = [find_flavor(name) for name in flavors] or ["mlflow"]
    with activate(tracking, run_id), _enable(names, options):
        yield run_id


def _is_in_loop() -> bool:
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        return True
    return False


def _refuse_async() -> AutologRefused:
    return AutologRefused(
        "autolog()",
        "this is an async function, and MLflow keeps its active run by thread: coroutines that "
        "share the thread would log to each other's runs",
        "Use it in a task that is a plain function.",
    )


@contextmanager
def _enable(names: list[str], options: dict[str, Any]) -> Iterator[None]:
    try:
        for name in names:
            with _lock, translate_errors(f"autolog({name!r})"):
                _users[name] = _users.get(name, 0) + 1
                if _users[name] == 1:
                    _found[name] = name != "mlflow" and not autologging_is_disabled(name)
                _load(name).autolog(silent=True, **options)
        yield
    finally:
        for name in names:
            _disable(name)


def _disable(name: str) -> None:
    with _lock:
        left = _users.get(name, 0) - 1
        if left > 0:
            _users[name] = left
            return
        if _users.pop(name, None) and not _found.pop(name, False):
            _load(name).autolog(disable=True, silent=True)


def _load(name: str) -> Any:
    return mlflow if name == "mlflow" else importlib.import_module(f"mlflow.{name}")
