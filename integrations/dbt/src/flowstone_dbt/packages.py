"""Whether `dbt deps` has installed the packages of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path


def lacks_packages(project: Path) -> bool:
    """Return whether a project requires packages and has none installed.

    Args:
        project: the directory of the project.
    """
    if not any(
        _read(project / name).get("packages") for name in ("packages.yml", "dependencies.yml")
    ):
        return False
    folder = _read(project / "dbt_project.yml").get("packages-install-path") or "dbt_packages"
    return not (project / str(folder)).is_dir()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):  # dbt reports what is wrong
        return {}
    return content if isinstance(content, dict) else {}
