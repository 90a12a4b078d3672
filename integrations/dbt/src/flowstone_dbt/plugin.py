"""What this package offers Flowstone; it loads nothing of dbt's."""

from flowstone.plugins import Collection, hookimpl

_TARGETS = "flowstone_dbt.target_configs"


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "dbt-cli-bigquery-target-configs": f"{_TARGETS}:BigQueryTargetConfigs",
            "dbt-cli-duckdb-target-configs": f"{_TARGETS}:DuckDBTargetConfigs",
            "dbt-cli-global-configs": f"{_TARGETS}:GlobalConfigs",
            "dbt-cli-postgres-target-configs": f"{_TARGETS}:PostgresTargetConfigs",
            "dbt-cli-profile": "flowstone_dbt.cli_profile:DbtCliProfile",
            "dbt-cli-redshift-target-configs": f"{_TARGETS}:RedshiftTargetConfigs",
            "dbt-cli-snowflake-target-configs": f"{_TARGETS}:SnowflakeTargetConfigs",
            "dbt-cli-target-configs": f"{_TARGETS}:TargetConfigs",
        },
        tasks={},
    )
