"""Packages that a project needs: whether `dbt deps` has installed them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path


def lacks_packages(project: Path) -> bool:
    """Tell whether a project names packages, and has the folder of none.

    Args:
        project: its folder.
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
    except (OSError, ValueError, yaml.YAMLError):  # dbt says what is wrong with it
        return {}
    return content if isinstance(content, dict) else {}
