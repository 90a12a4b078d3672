"""What this package offers, by name."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={"mlflow-tracking": "flowstone_mlflow.tracking:MlflowTracking"},
        observers={"mlflow": "flowstone_mlflow.trackers:MlflowObserver"},
    )
