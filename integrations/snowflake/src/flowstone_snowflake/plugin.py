"""What this package offers Flowstone; it loads nothing of Snowflake's."""

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
