"""What dbt finds by the environment; the only place that reads it."""

from __future__ import annotations

import os
from pathlib import Path


def find_profiles_dir() -> Path:
    """Return where dbt looks for profiles.yml: DBT_PROFILES_DIR, this folder, or ~/.dbt."""
    given = os.environ.get("DBT_PROFILES_DIR")
    if given:
        return Path(given).expanduser()
    here = Path.cwd()
    return here if (here / "profiles.yml").is_file() else Path.home() / ".dbt"
