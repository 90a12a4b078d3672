"""The template under another word is a package as good as the template itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..architecture.house import ROOT

pytestmark = pytest.mark.slow

WORD = "acme"
SPELLINGS = {"template": WORD, "Template": WORD.capitalize(), "TEMPLATE": WORD.upper()}
SETTINGS = """
[pytest]
addopts = --import-mode=importlib --strict-markers
filterwarnings = error
"""


def renamed(text: str) -> str:
    for old, new in SPELLINGS.items():
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with its word replaced in every file and name, and installed by its metadata."""
    target = tmp_path_factory.mktemp("renamed")
    source = ROOT / "plugin-template"
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            new = target / renamed(str(path.relative_to(source)))
            new.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(renamed(path.read_text("utf-8")), "utf-8")
    metadata = target / f"src/flowstone_{WORD}-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: flowstone-{WORD}\nVersion: 0.1.0\n")
    entry = f"[flowstone]\n{WORD} = flowstone_{WORD}.plugin\n"
    (metadata / "entry_points.txt").write_text(entry)
    (target / "pytest.ini").write_text(SETTINGS)
    return target


def run(package: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_nothing_of_the_old_word_is_left(package: Path) -> None:
    left = [
        path
        for path in package.rglob("*")
        if "template" in path.name.lower()
        or (path.is_file() and "template" in path.read_text("utf-8").lower())
    ]
    assert not left


def test_it_is_well_formed(package: Path) -> None:
    """By ruff's own rules; how imports are sorted depends on the word, and on where they stand."""
    ruff = ["ruff", "check", "--no-cache", "--isolated", "--select", "E9,F,B,RUF,UP", "."]
    run(package, *ruff)


def test_its_own_tests_pass(package: Path) -> None:
    """All but those of the object store, which are the same and take long."""
    told = run(
        package, "pytest", "-q", "-p", "no:cacheprovider", "-k", "not TestAcmeStore or Block"
    )
    assert " passed" in told


def test_it_is_found_and_listed(package: Path) -> None:
    told = run(package, "flowstone", "block", "types")
    assert "acme-store" in told
    assert "AcmeCredentials" in told
