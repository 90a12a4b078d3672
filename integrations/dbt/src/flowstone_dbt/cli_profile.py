"""DbtCliProfile: a dbt profile made of target configs."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from pydantic import Field, field_validator

from flowstone.blocks import Block
from flowstone_dbt.profiles import Profile, make_profile
from flowstone_dbt.target_configs import BaseTargetConfigs, GlobalConfigs


class DbtCliProfile(Block):
    """A dbt profile: the name that projects refer to, and a target."""

    _block_type_name: ClassVar[str | None] = "dbt CLI Profile"
    _description: ClassVar[str | None] = "A dbt profile made of target configs."
    _code_example: ClassVar[str | None] = (
        "DbtCliProfile(\n"
        '    name="shop", target="dev", target_configs=DuckDBTargetConfigs.load("shop")\n'
        ').save("shop")'
    )

    name: str = Field(description="The profile's name: `profile` in dbt_project.yml.")
    target: str = Field(description="The target's name, such as 'dev'.")
    target_configs: BaseTargetConfigs = Field(description="How dbt connects to the database.")
    global_configs: GlobalConfigs | None = Field(default=None, description="dbt's global flags.")

    @field_validator("name", "target")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not value.strip() or "{{" in value or "{%" in value:
            raise ValueError("it must be a name, without Jinja")
        return value

    def get_profile(self) -> dict[str, Any]:
        """Return the content of profiles.yml, with a reference for each secret.

        Global flags are below ``config``, as in older versions of dbt. dbt refuses that if the
        project has flags, too; `make_profile` returns them as environment variables instead.

        Raises:
            ConfigurationError: dbt can't log in as the block does, or extras replace fields.
            ReferenceUnresolved: a secret is a reference that can't be resolved.
        """
        flags = self.global_configs.get_configs() if self.global_configs is not None else {}
        content = dict(self.make_profile().content)
        return {"config": flags, **content} if flags else content

    def make_profile(self) -> Profile:
        """Return the profile, with its secrets separate.

        Raises:
            ConfigurationError: dbt can't log in as the block does, or extras replace fields.
            ReferenceUnresolved: a secret is a reference that can't be resolved.
        """
        flags = self.global_configs.make_flags() if self.global_configs is not None else {}
        return make_profile(self.name, self.target, self.target_configs.make_target(), flags)

    async def aget_profile(self) -> dict[str, Any]:
        """Async version of `get_profile`."""
        return await asyncio.to_thread(self.get_profile)

    async def amake_profile(self) -> Profile:
        """Async version of `make_profile`."""
        return await asyncio.to_thread(self.make_profile)
