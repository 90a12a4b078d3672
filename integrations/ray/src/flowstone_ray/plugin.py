"""What this package offers Flowstone; it loads nothing of Ray's."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(runners={"ray": "flowstone_ray.task_runner:RayTaskRunner"})
