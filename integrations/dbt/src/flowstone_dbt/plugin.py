"""What this package offers Flowstone; it loads nothing of dbt's."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(blocks={}, tasks={})
