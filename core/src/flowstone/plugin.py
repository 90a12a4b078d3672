"""Core's own plugin: what is built in comes through the same door as anybody's."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "duckdb-database": "flowstone.blocks.duckdb:DuckDBDatabase",
            "env-secrets": "flowstone.blocks.secretplaces:EnvSecrets",
            "file-secrets": "flowstone.blocks.secretplaces:FileSecrets",
            "local-directory": "flowstone.blocks.local:LocalDirectory",
            "secret": "flowstone.blocks.secret:Secret",
            "sqlite-database": "flowstone.blocks.sqlite:SqliteDatabase",
        },
        observers={"events-file": "flowstone.observers.eventsfile:EventsFile"},
        secret_providers={
            "env": "flowstone.blocks.secretplaces:EnvSecrets",
            "file": "flowstone.blocks.secretplaces:FileSecrets",
        },
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
