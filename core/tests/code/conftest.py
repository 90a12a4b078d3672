from __future__ import annotations

import os
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from flowstone.bootstrap import open_services
from flowstone.context.current import Services, use_services
from flowstone.settings import Settings
from flowstone_testing.programs import Home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLOW = """
from pathlib import Path

from flowstone import flow
from helpers.words import WORD

HERE = Path(__file__).parent


@flow
def etl(out: str) -> None:
    Path(out).write_text(f"{WORD} {HERE.joinpath('data.txt').read_text()} {Path.cwd()}")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a directory with a flow, a package that it imports, and a data file beside it."""
    folder = tmp_path / "project"
    write_project(folder, "old")
    return folder


def write_project(folder: Path, word: str) -> None:
    """Write a project whose flow says a word that its helper has, and one that a file has."""
    (folder / "helpers").mkdir(parents=True, exist_ok=True)
    (folder / "etl.py").write_text(FLOW)
    (folder / "helpers" / "words.py").write_text(f"WORD = {word!r}\n")
    (folder / "data.txt").write_text(word)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, os.environ)


@pytest.fixture
def kept(home: Home) -> Iterator[Services]:
    """Give services on a store that other processes have as well."""
    with use_services(open_services(Settings(home=home.path))) as current:
        try:
            yield current
        finally:
            current.close()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Give a package that nobody has: `greeting`, with a word in it."""
    path = tmp_path / "greeting-1.0-py3-none-any.whl"
    info = "greeting-1.0.dist-info"
    with ZipFile(path, "w") as archive:
        archive.writestr("greeting.py", "WORD = 'hello'\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path
