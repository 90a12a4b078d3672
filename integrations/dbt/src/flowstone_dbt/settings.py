"""dbt's settings in environment variables; only this module reads them."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, Field


def find_profiles_dir() -> Path:
    """Return where dbt searches for profiles.yml: DBT_PROFILES_DIR, this directory, or ~/.dbt."""
    given = os.environ.get("DBT_PROFILES_DIR")
    if given:
        return Path(given).expanduser()
    here = Path.cwd()
    return here if (here / "profiles.yml").is_file() else Path.home() / ".dbt"


def read_environment() -> dict[str, str]:
    """Return the environment variables of this process."""
    return dict(os.environ)


def find_cache() -> Path:
    """Return the directory for virtual environments of dbt."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "flowstone-dbt"


def _read_folder(name: str) -> Path | None:
    given = os.environ.get(name)
    return Path(given).expanduser() if given else None


class DbtSettings(BaseModel):
    """The directories that dbt uses; by default, dbt's own environment variables apply.

    Attributes:
        profiles_dir: the directory with ``profiles.yml``; by default ``DBT_PROFILES_DIR``.
        project_dir: the directory with ``dbt_project.yml``; by default ``DBT_PROJECT_DIR``, or the
            working directory.
        log_level: the level of dbt's output; ``debug`` includes queries. By default that of the
            run's log.
        target_path: the directory for artifacts, in the project; by default ``DBT_TARGET_PATH``.
    """

    profiles_dir: Path | None = Field(default_factory=lambda: _read_folder("DBT_PROFILES_DIR"))
    project_dir: Path = Field(default_factory=lambda: _read_folder("DBT_PROJECT_DIR") or Path.cwd())
    log_level: str | None = Field(default_factory=lambda: os.environ.get("DBT_LOG_LEVEL"))
    target_path: Path = Field(
        default_factory=lambda: _read_folder("DBT_TARGET_PATH") or Path("target")
    )


#: The name in prefect-dbt.
PrefectDbtSettings = DbtSettings
