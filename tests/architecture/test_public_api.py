from __future__ import annotations

import difflib
import importlib
import inspect
import subprocess
import sys

import pytest

from .api import SNAPSHOT, names, public_modules, snapshot
from .house import ROOT, members

NAMES = [f"{name.module}.{name.name}" for name in names()]


def test_the_public_api_is_as_written_down() -> None:
    """See whether the change is meant; if so, `make api` writes it down."""
    old = SNAPSHOT.read_text("utf-8").splitlines()
    changes = difflib.unified_diff(old, snapshot().splitlines(), "written down", "now", lineterm="")
    told = "\n".join(changes)
    assert not told, f"the public API has changed; `make api` writes it down\n{told}"


@pytest.mark.parametrize("module", public_modules())
def test_all_is_sorted_and_says_each_name_once(module: str) -> None:
    listed = importlib.import_module(module).__all__
    assert list(listed) == sorted(set(listed), key=lambda name: (rank(name), name))


def rank(name: str) -> int:
    """Constants first, then classes, then functions: as ruff sorts."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2


def test_every_package_has_a_front_door() -> None:
    assert {member.module for member in members()} <= set(public_modules())


@pytest.mark.parametrize("name", names(), ids=NAMES)
def test_a_public_name_has_a_docstring(name: object) -> None:
    value = name.value  # type: ignore[attr-defined]
    if inspect.isclass(value) or inspect.isroutine(value):
        own = vars(value).get("__doc__") if inspect.isclass(value) else inspect.getdoc(value)
        assert own, "say what it is"


def test_the_front_doors_open_nothing_that_is_not_asked_for() -> None:
    """To import a package is not to import what is behind its names."""
    heavy = ["pydantic", "sqlite3", "cryptography", "click", "rich", "httpx", "boto3", "asyncio"]
    modules = ", ".join(member.module for member in members())
    code = f"import sys, {modules}; print(*(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == []
