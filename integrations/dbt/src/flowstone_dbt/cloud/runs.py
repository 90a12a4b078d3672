"""dbt Cloud runs: tasks that read them and their artifacts, and the flow that waits for one."""

from __future__ import annotations

from flowstone_dbt.cloud.cloud_flows import await_for_dbt_cloud_job_run, wait_for_dbt_cloud_job_run
from flowstone_dbt.cloud.cloud_tasks import (
    aget_dbt_cloud_run_artifact,
    aget_dbt_cloud_run_info,
    alist_dbt_cloud_run_artifacts,
    get_dbt_cloud_run_artifact,
    get_dbt_cloud_run_info,
    list_dbt_cloud_run_artifacts,
)
from flowstone_dbt.cloud.statuses import DbtCloudJobRunStatus

__all__ = [
    "DbtCloudJobRunStatus",
    "aget_dbt_cloud_run_artifact",
    "aget_dbt_cloud_run_info",
    "alist_dbt_cloud_run_artifacts",
    "await_for_dbt_cloud_job_run",
    "get_dbt_cloud_run_artifact",
    "get_dbt_cloud_run_info",
    "list_dbt_cloud_run_artifacts",
    "wait_for_dbt_cloud_job_run",
]
