"""MLflow for Flowstone: each flow an MLflow run, each marked task a nested one; models logged, registered and loaded by tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins import lazy_exports

if TYPE_CHECKING:
    from flowstone_mlflow.logs import (
        log_artifact,
        log_dataset,
        log_dict,
        log_metrics,
        log_params,
        set_tags,
    )
    from flowstone_mlflow.marks import mlflow_task
    from flowstone_mlflow.position import acurrent_run_id, current_run_id, current_tracking
    from flowstone_mlflow.tracking import MlflowTracking

__all__ = [
    "MlflowTracking",
    "acurrent_run_id",
    "current_run_id",
    "current_tracking",
    "log_artifact",
    "log_dataset",
    "log_dict",
    "log_metrics",
    "log_params",
    "mlflow_task",
    "set_tags",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".logs": (
                "log_artifact",
                "log_dataset",
                "log_dict",
                "log_metrics",
                "log_params",
                "set_tags",
            ),
            ".marks": ("mlflow_task",),
            ".position": ("acurrent_run_id", "current_run_id", "current_tracking"),
            ".tracking": ("MlflowTracking",),
        },
    )
