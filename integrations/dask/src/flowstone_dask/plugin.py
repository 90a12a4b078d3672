"""What this package offers Flowstone; it loads nothing of Dask's."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(runners={"dask": "flowstone_dask.task_runner:DaskTaskRunner"})
