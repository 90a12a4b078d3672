"""DbtProject: a dbt project and its database connection."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Self

import yaml
from pydantic import Field, SecretStr, field_validator, model_validator

from flowstone.blocks import Block, Database, ObjectStore
from flowstone.blocks.external_work import name_block
from flowstone.code import GitLogin, check_git_url, fetch_repository
from flowstone.errors import ConfigurationError
from flowstone.records.redaction import register
from flowstone_dbt.cli_profile import DbtCliProfile
from flowstone_dbt.engine import Place
from flowstone_dbt.environments import make_environment
from flowstone_dbt.errors import DbtError
from flowstone_dbt.left_behind import end_external
from flowstone_dbt.profiles import Profile, make_profile, require_adapter
from flowstone_dbt.references import refuse_secret_names
from flowstone_dbt.targets import make_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowstone.records.events import ExternalHandle


class DbtProject(Block):
    """A dbt project: a directory, a folder in an object store, or a Git repository."""

    _block_type_name: ClassVar[str | None] = "dbt Project"
    _description: ClassVar[str | None] = "A dbt project and its database connection."
    _code_example: ClassVar[str | None] = (
        'DbtProject(project_dir="shop", database=DuckDBDatabase(path="shop.duckdb")).save("shop")'
    )

    project_dir: Path | None = Field(
        default=None,
        description="The directory with dbt_project.yml; by default, the current directory.",
    )
    store: ObjectStore | None = Field(
        default=None, description="An object store that contains the project."
    )
    git_url: str | None = Field(
        default=None, description="The URL of a Git repository that contains the project."
    )
    git_ref: str | None = Field(default=None, description="A branch, tag or commit to clone.")
    git_token: SecretStr | None = Field(
        default=None, description="The token or password for the repository."
    )
    subfolder: str = Field(
        default="", description="The folder of the project in the store or repository."
    )
    database: Database | None = Field(
        default=None, description="A database block that the profile is created from."
    )
    schema_: str | None = Field(
        default=None, alias="schema", description="The schema of the models; a dataset in BigQuery."
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Number of nodes that dbt runs at a time; by default the profile's, or 4.",
    )
    profile: DbtCliProfile | None = Field(
        default=None, description="A profile made of blocks, instead of `database`."
    )
    profiles_dir: Path | None = Field(
        default=None, description="The directory of a profiles.yml, instead of blocks."
    )
    target: str | None = Field(
        default=None, description="The target in the profile; by default, the profile's own."
    )
    target_path: str = Field(
        default="target", description="The directory for artifacts, in the project."
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Environment variables for dbt, in addition to those of this process.",
    )
    secret_env: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Variables whose values are secret; dbt masks those that begin with "
        "DBT_ENV_SECRET in its own logs.",
    )
    requirements: list[str] = Field(
        default_factory=list,
        description="Requirements, as for pip, of a separate virtual environment for dbt; by "
        "default, dbt runs in this one.",
    )
    executable: str | None = Field(
        default=None, description="A dbt program to run instead of the Python package."
    )

    stream_output: bool = Field(
        default=True,
        description="Whether dbt's output goes to the run's log; nodes always log their own.",
    )

    @field_validator("env")
    @classmethod
    def _has_no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        return refuse_secret_names(value)

    @field_validator("git_url")
    @classmethod
    def _has_no_password(cls, value: str | None) -> str | None:
        try:
            return value and check_git_url(value)
        except ValueError as error:
            raise ValueError(f"{error}; set git_token instead") from None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(each is not None for each in (self.project_dir, self.store, self.git_url)) > 1:
            raise ValueError("set one of project_dir, store and git_url")
        if sum(each is not None for each in (self.database, self.profile, self.profiles_dir)) > 1:
            raise ValueError("set one of database, profile and profiles_dir")
        if self.schema_ is not None and self.database is None:
            raise ValueError("schema is for `database`; the profile has its own")
        if self.target is not None and self.profile is not None:
            raise ValueError("target is that of the profile; set one of them")
        return self

    @contextmanager
    def open(self, *, block: str | None = None) -> Iterator[Place]:
        """Yield the project as a local directory, with its profile.

        Args:
            block: as `name_block` names the block that ends a command that was left running; by
                default this one.

        Raises:
            DbtError: the project can't be fetched, or has no dbt_project.yml.
            StorageError: the store refused.
            MissingExtra: the adapter is not installed.
        """
        with self._open_folder() as folder:
            python = make_environment(self.requirements) if self.requirements else sys.executable
            profile = self._make_profile(folder)
            if profile is not None and not self.requirements and self.executable is None:
                require_adapter(profile)
            self.release()
            yield Place(
                folder,
                self.profiles_dir and self.profiles_dir.expanduser().absolute(),
                profile,
                self.target_path,
                python,
                self.executable,
                {**self.env, **reveal(self.secret_env)},
                block or name_block(self),
                target=self.target if profile is None else None,
                streams=self.stream_output,
                project_key=self._identify(),
                threads=self.threads,
            )

    def release(self) -> None:
        """Close the connections of the database block: dbt may need exclusive access to a file."""
        database = self.database
        if database is None and self.profile is not None:
            found: Any = getattr(self.profile.target_configs, "credentials", None)
            database = found if isinstance(found, Database) else None
        if database is not None:
            database.close()

    def cancel_external(self, handle: ExternalHandle) -> None:
        """Stop a command that a killed process left running; called by `flowstone run cleanup`.

        Raises:
            DbtError: it runs on another machine.
        """
        end_external(handle)

    def _identify(self) -> str:
        """Return an identifier of the project if its directory is temporary."""
        if self.store is not None:
            return f"{name_block(self.store)}:{self.subfolder}"
        return f"{self.git_url}#{self.git_ref or ''}:{self.subfolder}" if self.git_url else ""

    @contextmanager
    def _open_folder(self) -> Iterator[Path]:
        if self.store is None and self.git_url is None:
            folder = self.project_dir.expanduser() if self.project_dir else Path.cwd()
            yield (folder / self.subfolder).absolute()
            return
        with TemporaryDirectory(prefix="flowstone-dbt-") as directory:
            folder = Path(directory, "project")
            if self.store is not None:
                self.store.get_directory(self.subfolder or None, folder)
                yield folder
            else:
                self._clone(folder)
                yield folder / self.subfolder

    def _clone(self, folder: Path) -> None:
        assert self.git_url is not None
        token = self.git_token
        try:
            fetch_repository(
                self.git_url,
                folder,
                reference=self.git_ref,
                login=None if token is None else GitLogin(token.get_secret_value()),
            )
        except ConfigurationError as error:
            raise DbtError(
                f"the repository can't be cloned: {error.problem}",
                "Check git_url, git_ref and git_token.",
            ) from error

    def _make_profile(self, folder: Path) -> Profile | None:
        if self.profile is not None:
            return self.profile.make_profile()
        if self.database is None:
            return None
        output = make_target(self.database.access(), schema=self.schema_, threads=self.threads or 4)
        return make_profile(read_profile_name(folder), self.target or "default", output)


def reveal(variables: Mapping[str, SecretStr]) -> dict[str, str]:
    """Return secret variables in plain text, for a process only; they are masked in all output."""
    found = {name: value.get_secret_value() for name, value in variables.items()}
    for value in found.values():
        register(value)
    return found


def read_profile_name(folder: Path) -> str:
    """Return the name of a project's profile.

    Raises:
        DbtError: there is no dbt_project.yml, or it is not YAML.
    """
    path = folder / "dbt_project.yml"
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError:
        problem = f"there is no dbt_project.yml in {str(folder)!r}"
        remedy = "Set `project_dir` to the folder of a dbt project."
    except yaml.YAMLError as error:
        problem = f"{str(path)!r} is not YAML: {' '.join(str(error).split())}"
        remedy = "Correct it."
    else:
        name = content.get("profile") if isinstance(content, dict) else None
        return str(name or "default")
    raise DbtError(problem, remedy)


def check_profiles_dir(folder: Path, *, overwrite: bool) -> None:
    """Refuse a profiles.yml beside a profile made of blocks, unless that takes precedence.

    Args:
        folder: the directory that may contain a profiles.yml.
        overwrite: whether the blocks take precedence; the file is not changed.

    Raises:
        DbtError: there is a profiles.yml, and `overwrite` is False.
    """
    if not overwrite and (folder.expanduser() / "profiles.yml").exists():
        raise DbtError(
            f"{str(folder)!r} has a profiles.yml, and `dbt_cli_profile` is set, too",
            "Pass overwrite_profiles=True to use the blocks; the file is not changed.",
        )
