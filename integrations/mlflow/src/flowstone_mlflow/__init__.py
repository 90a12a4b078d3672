"""MLflow for Flowstone: flows and marked tasks as nested MLflow runs; tasks for models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins import lazy_exports

if TYPE_CHECKING:
    from flowstone_mlflow.autologging import (
        autolog,
    )
    from flowstone_mlflow.credentials import (
        MlflowTracking,
    )
    from flowstone_mlflow.errors import (
        AutologRefused,
        NotTracked,
        TrackingDenied,
        TrackingError,
        TrackingMissing,
        TrackingRefused,
        TrackingUnavailable,
    )
    from flowstone_mlflow.logs import (
        log_artifact,
        log_dataset,
        log_dict,
        log_metrics,
        log_params,
        set_tags,
    )
    from flowstone_mlflow.marks import (
        mlflow_task,
    )
    from flowstone_mlflow.model_tasks import (
        amlflow_load_model,
        amlflow_log_model,
        amlflow_promote_model,
        amlflow_register_model,
        amlflow_set_alias,
        mlflow_load_model,
        mlflow_log_model,
        mlflow_promote_model,
        mlflow_register_model,
        mlflow_set_alias,
    )
    from flowstone_mlflow.models import (
        LoggedModel,
        ModelVersion,
        Promotion,
    )
    from flowstone_mlflow.position import (
        acurrent_run_id,
        current_run_id,
        current_tracking,
    )

__all__ = [
    "AutologRefused",
    "LoggedModel",
    "MlflowTracking",
    "ModelVersion",
    "NotTracked",
    "Promotion",
    "TrackingDenied",
    "TrackingError",
    "TrackingMissing",
    "TrackingRefused",
    "TrackingUnavailable",
    "acurrent_run_id",
    "amlflow_load_model",
    "amlflow_log_model",
    "amlflow_promote_model",
    "amlflow_register_model",
    "amlflow_set_alias",
    "autolog",
    "current_run_id",
    "current_tracking",
    "log_artifact",
    "log_dataset",
    "log_dict",
    "log_metrics",
    "log_params",
    "mlflow_load_model",
    "mlflow_log_model",
    "mlflow_promote_model",
    "mlflow_register_model",
    "mlflow_set_alias",
    "mlflow_task",
    "set_tags",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".autologging": ("autolog",),
            ".errors": (
                "AutologRefused",
                "NotTracked",
                "TrackingDenied",
                "TrackingError",
                "TrackingMissing",
                "TrackingRefused",
                "TrackingUnavailable",
            ),
            ".logs": (
                "log_artifact",
                "log_dataset",
                "log_dict",
                "log_metrics",
                "log_params",
                "set_tags",
            ),
            ".marks": ("mlflow_task",),
            ".model_tasks": (
                "amlflow_load_model",
                "amlflow_log_model",
                "amlflow_promote_model",
                "amlflow_register_model",
                "amlflow_set_alias",
                "mlflow_load_model",
                "mlflow_log_model",
                "mlflow_promote_model",
                "mlflow_register_model",
                "mlflow_set_alias",
            ),
            ".models": (
                "LoggedModel",
                "ModelVersion",
                "Promotion",
            ),
            ".position": (
                "acurrent_run_id",
                "current_run_id",
                "current_tracking",
            ),
            ".credentials": ("MlflowTracking",),
        },
    )
