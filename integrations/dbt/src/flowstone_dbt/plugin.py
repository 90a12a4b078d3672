"""What this package offers Flowstone; it loads nothing of dbt's."""

from flowstone.plugins import Collection, hookimpl

CLOUD_TASKS = (
    "call_dbt_cloud_administrative_api_endpoint",
    "create_dbt_cloud_job",
    "delete_dbt_cloud_job",
    "get_dbt_cloud_job_info",
    "get_dbt_cloud_run_artifact",
    "get_dbt_cloud_run_info",
    "get_run_id",
    "list_dbt_cloud_run_artifacts",
    "trigger_dbt_cloud_job_run",
)


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "dbt-cloud-credentials": "flowstone_dbt.cloud.credentials:DbtCloudCredentials",
            "dbt-cloud-job": "flowstone_dbt.cloud.job:DbtCloudJob",
        },
        tasks={name: f"flowstone_dbt.cloud.cloud_tasks:{name}" for name in CLOUD_TASKS},
    )
