"""dbt for Flowstone: each node a task run, retries of exactly the rest, profiles of blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins import lazy_exports

if TYPE_CHECKING:
    from flowstone_dbt.cli_profile import DbtCliProfile
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
    from flowstone_dbt.engine import DbtResult
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
    "arun_dbt_build",
    "arun_dbt_model",
    "arun_dbt_seed",
    "arun_dbt_snapshot",
    "arun_dbt_source_freshness",
    "arun_dbt_test",
    "atrigger_dbt_cli_command",
    "make_profile",
    "make_target",
    "open_profile",
    "run_dbt_build",
    "run_dbt_model",
    "run_dbt_seed",
    "run_dbt_snapshot",
    "run_dbt_source_freshness",
    "run_dbt_test",
    "trigger_dbt_cli_command",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".cli_profile": ("DbtCliProfile",),
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
            ".engine": ("DbtResult",),
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
