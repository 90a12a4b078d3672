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
        tasks={
            "adatabase_execute": "flowstone.prebuilt.databases:adatabase_execute",
            "adatabase_fetch": "flowstone.prebuilt.databases:adatabase_fetch",
            "adatabase_insert": "flowstone.prebuilt.databases:adatabase_insert",
            "database_execute": "flowstone.prebuilt.databases:database_execute",
            "database_fetch": "flowstone.prebuilt.databases:database_fetch",
            "database_insert": "flowstone.prebuilt.databases:database_insert",
        },
        extras={"duckdb-database": "flowstone[duckdb]"},
    )
