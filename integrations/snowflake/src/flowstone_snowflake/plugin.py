"""What this package offers Flowstone; it loads nothing of Snowflake's."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "snowflake-connector": "flowstone_snowflake.connector:SnowflakeConnector",
            "snowflake-credentials": "flowstone_snowflake.credentials:SnowflakeCredentials",
        },
    )
