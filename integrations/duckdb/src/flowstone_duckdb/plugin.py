"""The collection of this package; importing it does not load DuckDB."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(blocks={"duckdb-database": "flowstone_duckdb.database:DuckDBDatabase"})
