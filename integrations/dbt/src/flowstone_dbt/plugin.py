"""What this package offers Flowstone; it loads nothing of dbt's."""

from flowstone.plugins import Collection, hookimpl

_TARGETS = "flowstone_dbt.target_configs"
_TASKS = (
    "run_dbt_build",
    "run_dbt_model",
    "run_dbt_seed",
    "run_dbt_snapshot",
    "run_dbt_source_freshness",
    "run_dbt_test",
    "trigger_dbt_cli_command",
)


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "dbt-core-operation": "flowstone_dbt.operation:DbtCoreOperation",
            "dbt-project": "flowstone_dbt.project:DbtProject",
            "dbt-cli-bigquery-target-configs": f"{_TARGETS}:BigQueryTargetConfigs",
            "dbt-cli-duckdb-target-configs": f"{_TARGETS}:DuckDBTargetConfigs",
            "dbt-cli-global-configs": f"{_TARGETS}:GlobalConfigs",
            "dbt-cli-postgres-target-configs": f"{_TARGETS}:PostgresTargetConfigs",
            "dbt-cli-profile": "flowstone_dbt.cli_profile:DbtCliProfile",
            "dbt-cli-redshift-target-configs": f"{_TARGETS}:RedshiftTargetConfigs",
            "dbt-cli-snowflake-target-configs": f"{_TARGETS}:SnowflakeTargetConfigs",
            "dbt-cli-target-configs": f"{_TARGETS}:TargetConfigs",
        },
        tasks={name: f"flowstone_dbt.dbt_tasks:{name}" for name in _TASKS},
    )
