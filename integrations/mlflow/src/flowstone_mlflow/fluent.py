"""Running MLflow's own functions with other global settings, which are restored afterwards."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import mlflow
from mlflow import ActiveRun
from mlflow.tracking import fluent
from mlflow.tracking._model_registry import utils as registry
from mlflow.tracking._tracking_service import utils as service
from mlflow.utils.logging_utils import disable_logging, enable_logging

from flowstone import get_run_logger, runtime
from flowstone.logging import LogEavesdropper
from flowstone_mlflow.credentials import INSECURE, VARIABLES
from flowstone_mlflow.errors import TrackingRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone_mlflow.credentials import MlflowTracking

#: The environment variables that MLflow reads, and those that it writes.
LOGIN = (*VARIABLES.values(), INSECURE)
ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")


@dataclass(frozen=True)
class _Before:
    """The global settings of the program."""

    tracking_uri: str | None
    registry_uri: str | None
    environment: dict[str, str | None]


class _Activation:
    """The users of MLflow's global settings: any number of calls to one place, or none."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._key: tuple[object, ...] | None = None
        self._before: _Before | None = None
        self._threads: list[int] = []

    def enter(self, tracking: MlflowTracking) -> None:
        uri, login = tracking.find_uri(), tracking.make_environment()
        key = (uri, *sorted(login.items()))
        with self._changed:
            if self._key not in {None, key} and threading.get_ident() in self._threads:
                raise TrackingRefused(
                    f"MLflow at {uri}",
                    "this thread is inside a block that uses another MLflow",
                    "End that block first.",
                )
            self._changed.wait_for(lambda: self._key in {None, key})
            if self._key is None:
                self._key, self._before = key, _read_settings()
                _write_settings(uri, uri, dict.fromkeys(LOGIN if login else ()) | login)
            self._threads.append(threading.get_ident())

    def leave(self) -> None:
        with self._changed:
            self._threads.remove(threading.get_ident())
            if not self._threads and (before := self._before) is not None:
                _write_settings(before.tracking_uri, before.registry_uri, before.environment)
                self._key = self._before = None
                self._changed.notify_all()


_activation = _Activation()


@contextmanager
def activate(tracking: MlflowTracking, run_id: str | None = None) -> Iterator[None]:
    """Let MLflow's own functions use a tracking, and a run, in this thread.

    Calls to another place wait until the block ends. The program's own active runs stay as
    they are.

    Args:
        tracking: where to track.
        run_id: the MLflow run to make active in this thread; None for none.
    """
    _activation.enter(tracking)
    try:
        # MLflow's `start_run` would also end the run, and check the program's experiment.
        stack = fluent._active_run_stack.get()  # noqa: SLF001
        before = list(stack)
        if run_id is not None:
            stack.append(ActiveRun(tracking.client().get_run(run_id)))
        try:
            yield
        finally:
            stack[:] = before
    finally:
        _activation.leave()


@contextmanager
def hear() -> Iterator[None]:
    """Send MLflow's output and warnings in the block to the run's log."""
    with _mute, LogEavesdropper("mlflow", logging.WARNING) as heard:
        yield
    is_in_run = runtime.task_run.id is not None or runtime.flow_run.id is not None
    log = get_run_logger() if is_in_run else logging.getLogger("flowstone.mlflow")
    for line in heard.text().splitlines():
        log.warning("%s", line)


class _Mute:
    """Turns off MLflow's own output while at least one block is active."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def __enter__(self) -> None:
        with self._lock:
            self._count += 1
            disable_logging()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._count -= 1
            if not self._count:
                enable_logging()


_mute = _Mute()


def _read_settings() -> _Before:
    environment = {name: os.environ.get(name) for name in (*LOGIN, *ADDRESSES)}
    return _Before(service._tracking_uri, registry._registry_uri, environment)  # noqa: SLF001


def _write_settings(
    tracking_uri: str | None, registry_uri: str | None, environment: dict[str, str | None]
) -> None:
    mlflow.set_tracking_uri(cast("str", tracking_uri))  # before any call it is None
    mlflow.set_registry_uri(cast("str", registry_uri))
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
