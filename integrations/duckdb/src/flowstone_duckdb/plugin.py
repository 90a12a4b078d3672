"""What this package offers Flowstone; it loads nothing of DuckDB's."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(blocks={"duckdb-database": "flowstone_duckdb.database:DuckDBDatabase"})
