"""The collection of this package; importing it does not load Dask."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(runners={"dask": "flowstone_dask.task_runner:DaskTaskRunner"})
