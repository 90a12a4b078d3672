"""Public names whose modules can't be imported: the real error, not "cannot import name"."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import ImportFailed
from flowstone.plugins.shadows import find_shadows

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = """
from flowstone.plugins.exports import lazy_exports

__all__ = ["Fails", "Half"]
__getattr__, __dir__ = lazy_exports(__name__, {".fails": ("Fails",), ".half": ("Half",)})
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "broken_exports"
    folder.mkdir()
    (folder / "__init__.py").write_text(PACKAGE)
    (folder / "fails.py").write_text("import json\njson.nothing_of_that_name\n")
    (folder / "half.py").write_text("from broken_exports import Half\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("", ".fails", ".half"):
        monkeypatch.delitem(sys.modules, f"broken_exports{name}", raising=False)
    return folder.name


def test_an_attribute_error_in_its_module_is_passed_on(package: str) -> None:
    with pytest.raises(ImportFailed, match="no attribute 'nothing_of_that_name'") as caught:
        exec(f"from {package} import Fails")
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value.__cause__, AttributeError)
    assert "cannot import name" not in str(caught.value)


def test_a_package_that_imports_itself_in_a_circle_is_told_so(package: str) -> None:
    with pytest.raises(ImportFailed, match="partially initialized module"):
        exec(f"from {package} import Half")


def test_a_name_that_is_not_there_stays_an_attribute_error() -> None:
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'flowstone'"):
        exec("from flowstone import nothing")


def test_nothing_shadows_the_standard_library_here() -> None:
    assert find_shadows() == {}


#: Some modules are imported with `flow`, and others by the first call.
CALLS = """
from flowstone import flow

@flow
def f(): ...

if __name__ == "__main__":
    f()
"""


@pytest.mark.slow
def test_a_script_with_the_name_of_a_standard_module_is_told_to_be_renamed(tmp_path: Path) -> None:
    for name in ("queue", "logging"):
        script = tmp_path / name / f"{name}.py"
        script.parent.mkdir()
        script.write_text(CALLS)
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 1
        assert f"{script} has the name of the standard module {name!r}" in done.stderr
        assert done.stderr.rstrip().endswith("Rename the file.")
        assert "cannot import name" not in done.stderr
