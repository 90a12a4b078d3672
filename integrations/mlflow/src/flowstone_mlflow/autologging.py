"""autolog: MLflow's automatic logging, confined to one task."""

from __future__ import annotations

import asyncio
import importlib
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.utils.autologging_utils import AUTOLOGGING_INTEGRATIONS, autologging_is_disabled

from flowstone_mlflow.errors import AutologRefused, translate_errors
from flowstone_mlflow.fluent import activate
from flowstone_mlflow.models import find_flavor
from flowstone_mlflow.position import current_run_id, current_tracking

if TYPE_CHECKING:
    from collections.abc import Iterator

#: MLflow follows one training per process at a time, and logs nothing of a second one in another
#: thread. So they take turns.
_turn = threading.RLock()


@contextmanager
def autolog(*flavors: str, **options: Any) -> Iterator[str]:
    """Log automatically to this task's MLflow run inside the block; yield the run's id.

    The run is active in this thread only. MLflow can follow only one training per process at a
    time, so blocks in other threads wait until this one ends: to train in parallel, use processes.

    Args:
        flavors: the libraries, such as ``"sklearn"``; by default, all that MLflow supports.
        options: options of MLflow's ``autolog``, such as ``log_models=False``.

    Raises:
        AutologRefused: this is an async function: coroutines share a thread, so one would log to
            the run of another.
        NotTracked: the run is not tracked.
        TrackingUnavailable: the server does not answer.
    """
    if _is_in_loop():
        raise _refuse_async()
    tracking, run_id = current_tracking(), current_run_id()
    names = [find_flavor(name) for name in flavors] or ["mlflow"]
    with _turn, activate(tracking, run_id), _enable(names, options):
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
    """Enable it for libraries, and restore the program's settings at the end."""
    before = {name: _read_options(name) for name in names}
    try:
        for name in names:
            with translate_errors(f"autolog({name!r})"):
                _load(name).autolog(**{"silent": True, **options})
        yield
    finally:
        for name, found in before.items():
            _load(name).autolog(**(found or {"disable": True, "silent": True}))


def _read_options(name: str) -> dict[str, Any] | None:
    """Return the options that the program has set; None if it is off."""
    if autologging_is_disabled(name):
        return None
    return dict(AUTOLOGGING_INTEGRATIONS[name])


def _load(name: str) -> Any:
    return mlflow if name == "mlflow" else importlib.import_module(f"mlflow.{name}")
