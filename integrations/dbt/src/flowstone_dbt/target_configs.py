"""Target configs: blocks with dbt's database connections, and dbt's global flags."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

from pydantic import Field, field_validator

from flowstone.blocks import Block, Database
from flowstone.errors import ConfigurationError
from flowstone.records.access import DatabaseAccess
from flowstone_dbt.profiles_yml import read_output
from flowstone_dbt.references import has_secrets, mask_secrets
from flowstone_dbt.targets import DbtTarget, build_target, make_target


@runtime_checkable
class HasAccess(Protocol):
    """A block that can describe its database connection to other tools."""

    def access(self) -> DatabaseAccess:
        """Return what another tool needs to connect to the database."""


class DbtConfigs(Block):
    """A part of dbt's configuration."""

    extras: dict[str, Any] | None = Field(
        default=None,
        description="Additional fields of the adapter. Those named like a password or a token are "
        "stored as secrets; dbt renders Jinja.",
    )
    allow_field_overrides: bool = Field(
        default=False, description="Whether extras may override other fields."
    )

    @field_validator("extras")
    @classmethod
    def _mask_secrets(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else dict(mask_secrets(value))

    @abstractmethod
    def get_configs(self) -> dict[str, Any]:
        """Return the configuration as in dbt's files, without secrets."""


class BaseTargetConfigs(DbtConfigs):
    """A database connection of dbt; `make_target` returns it with its secrets separate."""

    type: str = Field(description="The name of the adapter, such as 'duckdb'.")
    schema_: str | None = Field(
        default=None, alias="schema", description="The schema of the models; a dataset in BigQuery."
    )
    threads: int | str = Field(
        default=4, description="Number of nodes that dbt runs at a time, or Jinja for dbt."
    )

    @field_validator("threads")
    @classmethod
    def _is_a_number(cls, value: int | str) -> int | str:
        if isinstance(value, str) and "{{" in value:
            return value
        if not str(value).strip().isdecimal() or int(value) < 1:
            raise ValueError("it must be a number from 1 up, or Jinja for dbt")
        return int(value)

    @abstractmethod
    def make_target(self) -> DbtTarget:
        """Return the target, with a reference for each secret, and the secrets.

        Raises:
            ConfigurationError: dbt can't log in as the block does, or extras replace fields.
            ReferenceUnresolved: a secret is a reference that can't be resolved.
        """

    def get_configs(self) -> dict[str, Any]:
        """Return the entry below ``outputs`` in profiles.yml, with a reference for each secret.

        Raises:
            ConfigurationError: dbt can't log in as the block does, or extras replace fields.
            ReferenceUnresolved: a secret is a reference that can't be resolved.
        """
        return dict(self.make_target().content)

    async def amake_target(self) -> DbtTarget:
        """Async version of `make_target`."""
        return await asyncio.to_thread(self.make_target)

    async def aget_configs(self) -> dict[str, Any]:
        """Async version of `get_configs`."""
        return await asyncio.to_thread(self.get_configs)

    def _make_target(self, access: DatabaseAccess, dialect: str) -> DbtTarget:
        """Return the target of a block's access, which must have this dialect."""
        if access.dialect != dialect:
            raise ConfigurationError(
                type(self).__name__,
                f"it is for {dialect}, but the block connects to {access.dialect}",
                "Use another block, or the target configs of that database; TargetConfigs accepts "
                "the fields of any adapter.",
            )
        return make_target(
            access,
            schema=self.schema_,
            threads=self.threads,
            extras=self.extras or {},
            allow_overrides=self.allow_field_overrides,
        )


class TargetConfigs(BaseTargetConfigs):
    """A database connection of dbt, with the fields of any adapter."""

    _block_type_name: ClassVar[str | None] = "dbt CLI Target Configs"
    _description: ClassVar[str | None] = "A database connection of dbt, by any adapter."
    _code_example: ClassVar[str | None] = (
        "TargetConfigs(\n"
        '    type="trino", schema="shop", extras={"host": "trino.example.org", "user": "loader"}\n'
        ').save("shop")'
    )

    @classmethod
    def from_profiles_yml(
        cls,
        profile_name: str | None = None,
        target_name: str | None = None,
        profiles_dir: Path | str | None = None,
        allow_field_overrides: bool = False,
    ) -> Self:
        """Return a target of a profiles.yml; Jinja in it is not rendered.

        Args:
            profile_name: the profile, by default the first one.
            target_name: the target, by default the profile's own.
            profiles_dir: the directory of the file, by default dbt's own.
            allow_field_overrides: whether extras may override other fields.

        Raises:
            ConfigurationError: there is no such file, profile or target, or it can't be read.
        """
        output = read_output(profile_name, target_name, profiles_dir)
        # BigQuery has its own name for a schema, and accepts both.
        schemas = [output.pop(name) for name in ("schema", "dataset") if name in output]
        return cls(
            type=output.pop("type"),
            schema_=schemas[0] if schemas else None,
            threads=output.pop("threads", 1),
            extras=output or None,
            allow_field_overrides=allow_field_overrides,
        )

    def make_target(self) -> DbtTarget:
        """Return the target, with a reference for each secret, and the secrets.

        Raises:
            ConfigurationError: extras replace fields.
            ReferenceUnresolved: a secret is a reference that can't be resolved.
        """
        words = {"type": self.type, "schema": self.schema_, "threads": self.threads}
        allow = self.allow_field_overrides
        return build_target({}, words, self.extras or {}, allow_overrides=allow)


class DuckDBTargetConfigs(BaseTargetConfigs):
    """dbt's connection to a DuckDB database."""

    _block_type_name: ClassVar[str | None] = "dbt CLI DuckDB Target Configs"
    _description: ClassVar[str | None] = "dbt's connection to a DuckDB database."
    _code_example: ClassVar[str | None] = (
        'DuckDBTargetConfigs(credentials=DuckDBDatabase(path="shop.duckdb")).save("shop")'
    )

    type: Literal["duckdb"] = Field(default="duckdb", description="The name of the adapter.")
    schema_: str | None = Field(
        default=None, alias="schema", description="The schema of the models; by default 'main'."
    )
    credentials: Database = Field(description="The database: a DuckDBDatabase with a file.")

    def make_target(self) -> DbtTarget:
        """Return the target.

        Raises:
            ConfigurationError: the block is of another database, or extras replace fields.
            QueryInvalid: the database is in memory.
        """
        return self._make_target(self.credentials.access(), "duckdb")


class PostgresTargetConfigs(BaseTargetConfigs):
    """dbt's connection to a PostgreSQL database."""

    _block_type_name: ClassVar[str | None] = "dbt CLI Postgres Target Configs"
    _description: ClassVar[str | None] = "dbt's connection to a PostgreSQL database."
    _code_example: ClassVar[str | None] = (
        "PostgresTargetConfigs(\n"
        '    schema="shop", credentials=SqlAlchemyConnector.load("shop")\n'
        ').save("shop")'
    )

    type: Literal["postgres"] = Field(default="postgres", description="The name of the adapter.")
    schema_: str = Field(alias="schema", description="Where models go.")
    credentials: Database = Field(description="The database: a SqlAlchemyConnector.")

    def make_target(self) -> DbtTarget:
        """Return the target, with a reference for the password, and the password.

        Raises:
            ConfigurationError: the block is of another database, or extras replace fields.
            ReferenceUnresolved: a secret is a reference that can't be resolved.
        """
        return self._make_target(self.credentials.access(), "postgresql")


class RedshiftTargetConfigs(BaseTargetConfigs):
    """dbt's connection to a Redshift database."""

    _block_type_name: ClassVar[str | None] = "dbt CLI Redshift Target Configs"
    _description: ClassVar[str | None] = "dbt's connection to a Redshift database."
    _code_example: ClassVar[str | None] = (
        "RedshiftTargetConfigs(\n"
        '    schema="shop", credentials=SqlAlchemyConnector.load("cluster")\n'
        ').save("shop")'
    )

    type: Literal["redshift"] = Field(default="redshift", description="The name of the adapter.")
    schema_: str = Field(alias="schema", description="Where models go.")
    credentials: Database = Field(description="The database: a SqlAlchemyConnector.")

    def make_target(self) -> DbtTarget:
        """Return the target, with a reference for the password, and the password.

        Raises:
            ConfigurationError: the block is of another database, or extras replace fields.
            DatabaseDenied: IAM refuses temporary credentials.
            ReferenceUnresolved: a secret is a reference that can't be resolved.
        """
        return self._make_target(self.credentials.access(), "redshift")


class SnowflakeTargetConfigs(BaseTargetConfigs):
    """dbt's connection to a Snowflake database."""

    _block_type_name: ClassVar[str | None] = "dbt CLI Snowflake Target Configs"
    _description: ClassVar[str | None] = "dbt's connection to a Snowflake database."
    _code_example: ClassVar[str | None] = (
        'SnowflakeTargetConfigs(connector=SnowflakeConnector.load("sales")).save("sales")'
    )

    type: Literal["snowflake"] = Field(default="snowflake", description="The name of the adapter.")
    schema_: str | None = Field(
        default=None,
        alias="schema",
        description="Schema of the models; default: the connector's.",
    )
    connector: Database = Field(description="The database: a SnowflakeConnector.")

    def make_target(self) -> DbtTarget:
        """Return the target, with a reference for each secret, and the secrets.

        Raises:
            ConfigurationError: dbt can't log in as the block does, or extras replace fields.
            ReferenceUnresolved: a secret is a reference that can't be resolved.
        """
        return self._make_target(self.connector.access(), "snowflake")


class BigQueryTargetConfigs(BaseTargetConfigs):
    """dbt's connection to a BigQuery dataset."""

    _block_type_name: ClassVar[str | None] = "dbt CLI BigQuery Target Configs"
    _description: ClassVar[str | None] = "dbt's connection to a BigQuery dataset."
    _code_example: ClassVar[str | None] = (
        'BigQueryTargetConfigs(schema="shop", credentials=GcpCredentials.load("data")).save("shop")'
    )

    type: Literal["bigquery"] = Field(default="bigquery", description="The name of the adapter.")
    schema_: str | None = Field(
        default=None, alias="schema", description="Dataset of the models; by default the block's."
    )
    project: str | None = Field(
        default=None, description="The project of models and jobs; by default the block's."
    )
    credentials: Block | None = Field(
        default=None,
        description="A BigQueryWarehouse or GcpCredentials; by default, application default "
        "credentials.",
    )

    @field_validator("credentials")
    @classmethod
    def _has_access(cls, value: Block | None) -> Block | None:
        if value is not None and not isinstance(value, HasAccess):
            raise ValueError("it must be a BigQueryWarehouse or GcpCredentials")
        return value

    def make_target(self) -> DbtTarget:
        """Return the target, with a reference for each secret, and the secrets.

        Raises:
            ConfigurationError: dbt can't log in as the block does, or extras replace fields.
            CredentialsError: the block's credentials are incomplete.
            ReferenceUnresolved: a secret is a reference that can't be resolved.
        """
        access = _find_access(self.credentials)
        if self.project and access.dialect == "bigquery":
            access = DatabaseAccess(
                "bigquery", self.project, options=access.options, secrets=access.secrets
            )
        return self._make_target(access, "bigquery")


def _find_access(block: object) -> DatabaseAccess:
    """Return the access of a block; without one, that of application default credentials."""
    return block.access() if isinstance(block, HasAccess) else DatabaseAccess("bigquery", "")


class GlobalConfigs(DbtConfigs):
    """dbt's global flags; those that are not set are left to the project."""

    _block_type_name: ClassVar[str | None] = "dbt CLI Global Configs"
    _description: ClassVar[str | None] = "dbt's global flags; by default those of the project."
    _code_example: ClassVar[str | None] = 'GlobalConfigs(use_colors=False).save("quiet")'

    send_anonymous_usage_stats: bool | None = Field(
        default=None, description="Whether dbt sends anonymous usage statistics."
    )
    use_colors: bool | None = Field(default=None, description="Whether the output has colors.")
    partial_parse: bool | None = Field(
        default=None, description="Whether only files that have changed are parsed."
    )
    printer_width: int | None = Field(default=None, description="Columns of the output.")
    write_json: bool | None = Field(
        default=None, description="Whether dbt writes manifest.json and run_results.json."
    )
    warn_error: bool | None = Field(default=None, description="Whether warnings are errors.")
    log_format: str | None = Field(
        default=None, description="The format of the output: text, json or debug."
    )
    debug: bool | None = Field(default=None, description="Whether the output has debug messages.")
    version_check: bool | None = Field(
        default=None, description="Whether dbt's version must be one that the project requires."
    )
    fail_fast: bool | None = Field(
        default=None, description="Whether dbt stops after the first failed node."
    )
    use_experimental_parser: bool | None = Field(
        default=None, description="Whether dbt uses the latest version of its static parser."
    )
    static_parser: bool | None = Field(
        default=None, description="Whether dbt reads simple models without rendering them."
    )

    @field_validator("extras")
    @classmethod
    def _are_no_secrets(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if has_secrets(value):
            raise ValueError("a flag can't hold a secret: set it in target configs")
        return value

    def get_configs(self) -> dict[str, Any]:
        """Return the flags that are set, in the format of ``flags`` in dbt_project.yml.

        Raises:
            ConfigurationError: extras replace fields.
        """
        names = [name for name in type(self).model_fields if name not in DbtConfigs.model_fields]
        flags = {name: getattr(self, name) for name in names}
        extras, allow = self.extras or {}, self.allow_field_overrides
        return dict(build_target({}, flags, extras, allow_overrides=allow).content)

    def make_flags(self) -> dict[str, str]:
        """Return the flags that are set, as environment variables of dbt.

        Raises:
            ConfigurationError: extras replace fields.
        """
        configs = self.get_configs()
        return {f"DBT_{name.upper()}": _write_flag(value) for name, value in configs.items()}


def _write_flag(value: object) -> str:
    if isinstance(value, (str, bool, int, float)):
        return str(value)
    return json.dumps(value)
