"""dbt for Flowstone: profiles made of saved blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone_dbt.cli_profile import DbtCliProfile
    from flowstone_dbt.profiles import Profile, make_profile, open_profile
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
    from flowstone_dbt.targets import DbtTarget, make_target

__all__ = [
    "BaseTargetConfigs",
    "BigQueryTargetConfigs",
    "DbtCliProfile",
    "DbtConfigs",
    "DbtTarget",
    "DuckDBTargetConfigs",
    "GlobalConfigs",
    "PostgresTargetConfigs",
    "Profile",
    "RedshiftTargetConfigs",
    "SnowflakeTargetConfigs",
    "TargetConfigs",
    "make_profile",
    "make_target",
    "open_profile",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".cli_profile": ("DbtCliProfile",),
            ".profiles": ("Profile", "make_profile", "open_profile"),
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
            ".targets": ("DbtTarget", "make_target"),
        },
    )
