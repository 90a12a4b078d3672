"""The plugin of this package."""

from flowstone.plugins import Collection, hookimpl

_TASKS = (
    "mlflow_load_model",
    "mlflow_log_model",
    "mlflow_promote_model",
    "mlflow_register_model",
    "mlflow_set_alias",
)


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={"mlflow-tracking": "flowstone_mlflow.credentials:MlflowTracking"},
        tasks={name: f"flowstone_mlflow.model_tasks:{name}" for name in _TASKS},
        commands={"mlflow": "flowstone_mlflow.leftovers:mlflow"},
        command_help={"mlflow": "Send unsent data of ended programs to MLflow."},
        observers={"mlflow": "flowstone_mlflow.trackers:MlflowObserver"},
    )
