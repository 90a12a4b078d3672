"""Core's own plugin: what is built in comes through the same door as anybody's."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "duckdb-database": "flowstone.blocks.duckdb:DuckDBDatabase",
            "local-directory": "flowstone.blocks.local:LocalDirectory",
            "secret": "flowstone.blocks.secret:Secret",
            "sqlite-database": "flowstone.blocks.sqlite:SqliteDatabase",
        },
        observers={"events-file": "flowstone.observers.eventsfile:EventsFile"},
        extras={"duckdb-database": "flowstone[duckdb]"},
    )
