"""dbt Cloud: credentials, jobs with their runs, tasks and flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins import lazy_exports

if TYPE_CHECKING:
    from flowstone_dbt.cloud.clients import (
        DbtCloudAdministrativeClient,
        DbtCloudMetadataClient,
    )
    from flowstone_dbt.cloud.cloud_flows import (
        aretry_dbt_cloud_job_run_subset_and_wait_for_completion,
        arun_dbt_cloud_job,
        atrigger_dbt_cloud_job_run_and_wait_for_completion,
        await_for_dbt_cloud_job_run,
        retry_dbt_cloud_job_run_subset_and_wait_for_completion,
        run_dbt_cloud_job,
        trigger_dbt_cloud_job_run_and_wait_for_completion,
        wait_for_dbt_cloud_job_run,
    )
    from flowstone_dbt.cloud.cloud_tasks import (
        acall_dbt_cloud_administrative_api_endpoint,
        acreate_dbt_cloud_job,
        adelete_dbt_cloud_job,
        aget_dbt_cloud_job_info,
        aget_dbt_cloud_run_artifact,
        aget_dbt_cloud_run_info,
        aget_run_id,
        alist_dbt_cloud_run_artifacts,
        atrigger_dbt_cloud_job_run,
        call_dbt_cloud_administrative_api_endpoint,
        create_dbt_cloud_job,
        delete_dbt_cloud_job,
        get_dbt_cloud_job_info,
        get_dbt_cloud_run_artifact,
        get_dbt_cloud_run_info,
        get_run_id,
        list_dbt_cloud_run_artifacts,
        trigger_dbt_cloud_job_run,
    )
    from flowstone_dbt.cloud.credentials import (
        DbtCloudCredentials,
    )
    from flowstone_dbt.cloud.job import (
        DbtCloudJob,
        DbtCloudJobRun,
    )
    from flowstone_dbt.cloud.models import (
        TriggerJobRunOptions,
    )
    from flowstone_dbt.cloud.statuses import (
        DbtCloudJobRunStatus,
    )

__all__ = [
    "DbtCloudAdministrativeClient",
    "DbtCloudCredentials",
    "DbtCloudJob",
    "DbtCloudJobRun",
    "DbtCloudJobRunStatus",
    "DbtCloudMetadataClient",
    "TriggerJobRunOptions",
    "acall_dbt_cloud_administrative_api_endpoint",
    "acreate_dbt_cloud_job",
    "adelete_dbt_cloud_job",
    "aget_dbt_cloud_job_info",
    "aget_dbt_cloud_run_artifact",
    "aget_dbt_cloud_run_info",
    "aget_run_id",
    "alist_dbt_cloud_run_artifacts",
    "aretry_dbt_cloud_job_run_subset_and_wait_for_completion",
    "arun_dbt_cloud_job",
    "atrigger_dbt_cloud_job_run",
    "atrigger_dbt_cloud_job_run_and_wait_for_completion",
    "await_for_dbt_cloud_job_run",
    "call_dbt_cloud_administrative_api_endpoint",
    "create_dbt_cloud_job",
    "delete_dbt_cloud_job",
    "get_dbt_cloud_job_info",
    "get_dbt_cloud_run_artifact",
    "get_dbt_cloud_run_info",
    "get_run_id",
    "list_dbt_cloud_run_artifacts",
    "retry_dbt_cloud_job_run_subset_and_wait_for_completion",
    "run_dbt_cloud_job",
    "trigger_dbt_cloud_job_run",
    "trigger_dbt_cloud_job_run_and_wait_for_completion",
    "wait_for_dbt_cloud_job_run",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".clients": (
                "DbtCloudAdministrativeClient",
                "DbtCloudMetadataClient",
            ),
            ".cloud_flows": (
                "arun_dbt_cloud_job",
                "aretry_dbt_cloud_job_run_subset_and_wait_for_completion",
                "atrigger_dbt_cloud_job_run_and_wait_for_completion",
                "await_for_dbt_cloud_job_run",
                "retry_dbt_cloud_job_run_subset_and_wait_for_completion",
                "run_dbt_cloud_job",
                "trigger_dbt_cloud_job_run_and_wait_for_completion",
                "wait_for_dbt_cloud_job_run",
            ),
            ".cloud_tasks": (
                "acall_dbt_cloud_administrative_api_endpoint",
                "acreate_dbt_cloud_job",
                "adelete_dbt_cloud_job",
                "aget_dbt_cloud_job_info",
                "aget_dbt_cloud_run_artifact",
                "aget_dbt_cloud_run_info",
                "aget_run_id",
                "alist_dbt_cloud_run_artifacts",
                "atrigger_dbt_cloud_job_run",
                "call_dbt_cloud_administrative_api_endpoint",
                "create_dbt_cloud_job",
                "delete_dbt_cloud_job",
                "get_dbt_cloud_job_info",
                "get_dbt_cloud_run_artifact",
                "get_dbt_cloud_run_info",
                "get_run_id",
                "list_dbt_cloud_run_artifacts",
                "trigger_dbt_cloud_job_run",
            ),
            ".credentials": ("DbtCloudCredentials",),
            ".job": (
                "DbtCloudJob",
                "DbtCloudJobRun",
            ),
            ".models": ("TriggerJobRunOptions",),
            ".statuses": ("DbtCloudJobRunStatus",),
        },
    )
