from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from .house import ROOT, integration_names, members

LINT = Path(sys.executable).parent / "lint-imports"


def lint(folder: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts on the packages that `paths` has, else on those that are installed."""
    return subprocess.run(
        [LINT, "--no-cache", "--no-logo", "--config", folder / "pyproject.toml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_are_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contracts_know_every_package() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    assert tool["root_packages"] == ["flowstone", *sorted(integration_names())]
    contracts = {contract["id"]: contract for contract in tool["contracts"]}
    assert contracts["islands"]["modules"] == sorted(integration_names())
    assert contracts["facades"]["allowed_importers"] == sorted(integration_names())


VIOLATIONS = {
    "a module in no layer": (
        "flowstone/utils.py",
        "",
        "- flowstone.utils",
    ),
    "an import up the layers": (
        "flowstone/records/states.py",
        "from flowstone.calls.flow import flow\n",
        "flowstone.records.states -> flowstone.calls.flow",
    ),
    "an import up, for types only": (
        "flowstone/records/runs.py",
        "if TYPE_CHECKING:\n    from flowstone.context.current import Services\n",
        "flowstone.records.runs -> flowstone.context.current",
    ),
    "an import up, inside a function": (
        "flowstone/ports/services.py",
        "def late() -> None:\n    import flowstone.engine.lifecycle\n",
        "flowstone.ports.services -> flowstone.engine.lifecycle",
    ),
    "an import of a neighbour that may not be seen": (
        "flowstone/task_runners/threads.py",
        "import flowstone.blocks.base\n",
        "flowstone.task_runners.threads -> flowstone.blocks.base",
    ),
    "an import of a facade from inside": (
        "flowstone/engine/policy.py",
        "from flowstone.states import State\n",
        "flowstone.engine.policy -> flowstone.states",
    ),
    "a circle of siblings": (
        "flowstone/engine/steps.py",
        "import flowstone.engine.driver\n",
        "- .steps -> .driver",
    ),
    "an integration that imports the engine": (
        "flowstone_template/errors.py",
        "import flowstone.engine.lifecycle\n",
        "flowstone_template.errors -> flowstone.engine.lifecycle",
    ),
    "an integration that imports a store": (
        "flowstone_template/errors.py",
        "from flowstone.stores.memory import MemoryStore\n",
        "flowstone_template.errors -> flowstone.stores.memory",
    ),
    "an integration that imports another": (
        "flowstone_template/errors.py",
        "import flowstone_other\n",
        "flowstone_template.errors -> flowstone_other",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", VIOLATIONS)
@pytest.mark.check
def test_the_contracts_bite(case: str, tmp_path: Path) -> None:
    """Plant a violation in a copy of the house; the contracts must name it."""
    place, code, told = VIOLATIONS[case]
    copy = tmp_path / "src"
    for member in members():
        shutil.copytree(member.source, copy, dirs_exist_ok=True)
    (copy / "flowstone_other").mkdir()
    (copy / "flowstone_other/__init__.py").touch()
    config = (ROOT / "pyproject.toml").read_text("utf-8")
    config = config.replace('"flowstone_template"', '"flowstone_template", "flowstone_other"')
    (tmp_path / "pyproject.toml").write_text(config)
    clean = lint(tmp_path, copy)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    with (copy / place).open("a") as file:
        file.write(f"\n{code}")
    done = lint(tmp_path, copy)
    assert done.returncode != 0
    assert told in done.stdout, done.stdout
