"""dbt Cloud jobs: the block, its tasks, and the flows that run a job."""

from __future__ import annotations

from flowstone_dbt.cloud.cloud_flows import (
    aretry_dbt_cloud_job_run_subset_and_wait_for_completion,
    arun_dbt_cloud_job,
    atrigger_dbt_cloud_job_run_and_wait_for_completion,
    retry_dbt_cloud_job_run_subset_and_wait_for_completion,
    run_dbt_cloud_job,
    trigger_dbt_cloud_job_run_and_wait_for_completion,
)
from flowstone_dbt.cloud.cloud_tasks import (
    acreate_dbt_cloud_job,
    adelete_dbt_cloud_job,
    aget_dbt_cloud_job_info,
    aget_run_id,
    atrigger_dbt_cloud_job_run,
    create_dbt_cloud_job,
    delete_dbt_cloud_job,
    get_dbt_cloud_job_info,
    get_run_id,
    trigger_dbt_cloud_job_run,
)
from flowstone_dbt.cloud.job import DbtCloudJob, DbtCloudJobRun

__all__ = [
    "DbtCloudJob",
    "DbtCloudJobRun",
    "acreate_dbt_cloud_job",
    "adelete_dbt_cloud_job",
    "aget_dbt_cloud_job_info",
    "aget_run_id",
    "aretry_dbt_cloud_job_run_subset_and_wait_for_completion",
    "arun_dbt_cloud_job",
    "atrigger_dbt_cloud_job_run",
    "atrigger_dbt_cloud_job_run_and_wait_for_completion",
    "create_dbt_cloud_job",
    "delete_dbt_cloud_job",
    "get_dbt_cloud_job_info",
    "get_run_id",
    "retry_dbt_cloud_job_run_subset_and_wait_for_completion",
    "run_dbt_cloud_job",
    "trigger_dbt_cloud_job_run",
    "trigger_dbt_cloud_job_run_and_wait_for_completion",
]
