"""The plugin of this package; it does not import dbt."""

from flowstone.plugins import Collection, hookimpl

_CLOUD, _TARGETS = "flowstone_dbt.cloud", "flowstone_dbt.target_configs"
_TASKS = {
    "call_dbt_cloud_administrative_api_endpoint create_dbt_cloud_job delete_dbt_cloud_job "
    "get_dbt_cloud_job_info get_dbt_cloud_run_artifact get_dbt_cloud_run_info get_run_id "
    "list_dbt_cloud_run_artifacts": f"{_CLOUD}.cloud_tasks",
    "run_dbt_build run_dbt_model run_dbt_seed run_dbt_snapshot run_dbt_source_freshness "
    "run_dbt_test trigger_dbt_cli_command": "flowstone_dbt.dbt_tasks",
    "trigger_dbt_cloud_job_run": f"{_CLOUD}.cloud_tasks",
}


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
            "dbt-cloud-credentials": f"{_CLOUD}.credentials:DbtCloudCredentials",
            "dbt-cloud-job": f"{_CLOUD}.job:DbtCloudJob",
            "dbt-core-operation": "flowstone_dbt.operation:DbtCoreOperation",
            "dbt-project": "flowstone_dbt.project:DbtProject",
        },
        tasks={name: f"{home}:{name}" for names, home in _TASKS.items() for name in names.split()},
    )
