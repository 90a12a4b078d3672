"""The collection of this package; importing it does not load the connector."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "snowflake-connector": "flowstone_snowflake.connector:SnowflakeConnector",
            "snowflake-credentials": "flowstone_snowflake.credentials:SnowflakeCredentials",
        },
        tasks={
            name: f"flowstone_snowflake.query_tasks:{name}"
            for name in ("snowflake_multiquery", "snowflake_query", "snowflake_query_sync")
        },
    )
