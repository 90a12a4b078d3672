"""dbt for Flowstone: nodes as task runs, retries of what is left, profiles from blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins import lazy_exports

if TYPE_CHECKING:
    from flowstone_dbt.cli_profile import DbtCliProfile
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
    from flowstone_dbt.cloud.credentials import DbtCloudCredentials
    from flowstone_dbt.cloud.job import (
        DbtCloudJob,
        DbtCloudJobRun,
    )
    from flowstone_dbt.cloud.models import TriggerJobRunOptions
    from flowstone_dbt.cloud.statuses import DbtCloudJobRunStatus
    from flowstone_dbt.dbt_tasks import (
        arun_dbt_build,
        arun_dbt_model,
        arun_dbt_seed,
        arun_dbt_snapshot,
        arun_dbt_source_freshness,
        arun_dbt_test,
        atrigger_dbt_cli_command,
        run_dbt_build,
        run_dbt_model,
        run_dbt_seed,
        run_dbt_snapshot,
        run_dbt_source_freshness,
        run_dbt_test,
        trigger_dbt_cli_command,
    )
    from flowstone_dbt.errors import (
        DbtError,
        DbtNodesFailed,
    )
    from flowstone_dbt.nodes import NodeResult
    from flowstone_dbt.operation import (
        DbtCoreOperation,
        DbtOperationRun,
    )
    from flowstone_dbt.profiles import (
        Profile,
        make_profile,
        open_profile,
    )
    from flowstone_dbt.project import DbtProject
    from flowstone_dbt.results import DbtResult
    from flowstone_dbt.runner import (
        DbtRunner,
        PrefectDbtRunner,
    )
    from flowstone_dbt.settings import (
        DbtSettings,
        PrefectDbtSettings,
    )
    from flowstone_dbt.target_configs import (
        BaseTargetConfigs,
        BigQueryTargetConfigs,
        DbtConfigs,
        DuckDBTargetConfigs,
        GlobalConfigs,
        PostgresTargetConfigs,
        RedshiftTargetConfigs,
        SnowflakeTargetConfigs,
        TargetConfigs,
    )
    from flowstone_dbt.targets import (
        DbtTarget,
        make_target,
    )

__all__ = [
    "BaseTargetConfigs",
    "BigQueryTargetConfigs",
    "DbtCliProfile",
    "DbtCloudAdministrativeClient",
    "DbtCloudCredentials",
    "DbtCloudJob",
    "DbtCloudJobRun",
    "DbtCloudJobRunStatus",
    "DbtCloudMetadataClient",
    "DbtConfigs",
    "DbtCoreOperation",
    "DbtError",
    "DbtNodesFailed",
    "DbtOperationRun",
    "DbtProject",
    "DbtResult",
    "DbtRunner",
    "DbtSettings",
    "DbtTarget",
    "DuckDBTargetConfigs",
    "GlobalConfigs",
    "NodeResult",
    "PostgresTargetConfigs",
    "PrefectDbtRunner",
    "PrefectDbtSettings",
    "Profile",
    "RedshiftTargetConfigs",
    "SnowflakeTargetConfigs",
    "TargetConfigs",
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
    "arun_dbt_build",
    "arun_dbt_cloud_job",
    "arun_dbt_model",
    "arun_dbt_seed",
    "arun_dbt_snapshot",
    "arun_dbt_source_freshness",
    "arun_dbt_test",
    "atrigger_dbt_cli_command",
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
    "make_profile",
    "make_target",
    "open_profile",
    "retry_dbt_cloud_job_run_subset_and_wait_for_completion",
    "run_dbt_build",
    "run_dbt_cloud_job",
    "run_dbt_model",
    "run_dbt_seed",
    "run_dbt_snapshot",
    "run_dbt_source_freshness",
    "run_dbt_test",
    "trigger_dbt_cli_command",
    "trigger_dbt_cloud_job_run",
    "trigger_dbt_cloud_job_run_and_wait_for_completion",
    "wait_for_dbt_cloud_job_run",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".cli_profile": ("DbtCliProfile",),
            ".cloud.clients": (
                "DbtCloudAdministrativeClient",
                "DbtCloudMetadataClient",
            ),
            ".cloud.cloud_flows": (
                "aretry_dbt_cloud_job_run_subset_and_wait_for_completion",
                "arun_dbt_cloud_job",
                "atrigger_dbt_cloud_job_run_and_wait_for_completion",
                "await_for_dbt_cloud_job_run",
                "retry_dbt_cloud_job_run_subset_and_wait_for_completion",
                "run_dbt_cloud_job",
                "trigger_dbt_cloud_job_run_and_wait_for_completion",
                "wait_for_dbt_cloud_job_run",
            ),
            ".cloud.cloud_tasks": (
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
            ".cloud.credentials": ("DbtCloudCredentials",),
            ".cloud.job": (
                "DbtCloudJob",
                "DbtCloudJobRun",
            ),
            ".cloud.models": ("TriggerJobRunOptions",),
            ".cloud.statuses": ("DbtCloudJobRunStatus",),
            ".dbt_tasks": (
                "arun_dbt_build",
                "arun_dbt_model",
                "arun_dbt_seed",
                "arun_dbt_snapshot",
                "arun_dbt_source_freshness",
                "arun_dbt_test",
                "atrigger_dbt_cli_command",
                "run_dbt_build",
                "run_dbt_model",
                "run_dbt_seed",
                "run_dbt_snapshot",
                "run_dbt_source_freshness",
                "run_dbt_test",
                "trigger_dbt_cli_command",
            ),
            ".errors": (
                "DbtError",
                "DbtNodesFailed",
            ),
            ".nodes": ("NodeResult",),
            ".operation": (
                "DbtCoreOperation",
                "DbtOperationRun",
            ),
            ".profiles": (
                "Profile",
                "make_profile",
                "open_profile",
            ),
            ".project": ("DbtProject",),
            ".results": ("DbtResult",),
            ".runner": (
                "DbtRunner",
                "PrefectDbtRunner",
            ),
            ".settings": (
                "DbtSettings",
                "PrefectDbtSettings",
            ),
            ".target_configs": (
                "BaseTargetConfigs",
                "BigQueryTargetConfigs",
                "DbtConfigs",
                "DuckDBTargetConfigs",
                "GlobalConfigs",
                "PostgresTargetConfigs",
                "RedshiftTargetConfigs",
                "SnowflakeTargetConfigs",
                "TargetConfigs",
            ),
            ".targets": (
                "DbtTarget",
                "make_target",
            ),
        },
    )
