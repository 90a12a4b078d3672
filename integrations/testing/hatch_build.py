"""Include the template of new packages in the wheel and in the source distribution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LEFTOVERS = {"__pycache__", ".venv", ".pytest_cache", ".hypothesis", "build", "dist"}
PLACES = {"wheel": "flowstone_testing/cli/plugin-template", "sdist": "plugin-template"}


class Template(BuildHookInterface[Any]):
    """Finds the template at the top of the workspace, or inside a source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # it is found in the workspace
            return
        inside, beside = (folder / "plugin-template" for folder in self._folders())
        source = inside if inside.is_dir() else beside
        for path in sorted(source.rglob("*")):
            part = path.relative_to(source)
            if path.is_file() and not LEFTOVERS & set(part.parts):
                build_data["force_include"][str(path)] = f"{PLACES[self.target_name]}/{part}"

    def _folders(self) -> tuple[Path, Path]:
        return Path(self.root), Path(self.root).parents[1]
