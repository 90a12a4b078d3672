"""What dbt finds by the environment; the only place that reads it."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, Field


def find_profiles_dir() -> Path:
    """Return where dbt looks for profiles.yml: DBT_PROFILES_DIR, this folder, or ~/.dbt."""
    given = os.environ.get("DBT_PROFILES_DIR")
    if given:
        return Path(given).expanduser()
    here = Path.cwd()
    return here if (here / "profiles.yml").is_file() else Path.home() / ".dbt"


def read_environment() -> dict[str, str]:
    """Return the variables of this process."""
    return dict(os.environ)


def find_cache() -> Path:
    """Return the folder for environments that are made for dbt."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "flowstone-dbt"


def _read_folder(name: str) -> Path | None:
    given = os.environ.get(name)
    return Path(given).expanduser() if given else None


class DbtSettings(BaseModel):
    """Where dbt runs, by dbt's own variables of the environment where nothing is given.

    Attributes:
        profiles_dir: the folder with ``profiles.yml``; by default ``DBT_PROFILES_DIR``.
        project_dir: the folder with ``dbt_project.yml``; by default ``DBT_PROJECT_DIR``, or the
            working directory.
        log_level: of dbt's lines; ``debug`` has the queries. By default that of the run's log.
        target_path: the folder for artifacts, in the project; by default ``DBT_TARGET_PATH``.
    """

    profiles_dir: Path | None = Field(default_factory=lambda: _read_folder("DBT_PROFILES_DIR"))
    project_dir: Path = Field(default_factory=lambda: _read_folder("DBT_PROJECT_DIR") or Path.cwd())
    log_level: str | None = Field(default_factory=lambda: os.environ.get("DBT_LOG_LEVEL"))
    target_path: Path = Field(
        default_factory=lambda: _read_folder("DBT_TARGET_PATH") or Path("target")
    )


#: The name that users of other engines know.
PrefectDbtSettings = DbtSettings
