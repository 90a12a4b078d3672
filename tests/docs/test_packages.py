"""The pages of the packages are what `make docs` makes, and every package is known."""

from __future__ import annotations

import pytest

from ..architecture.api import KNOWN, known_packages
from ..architecture.house import ROOT
from .packages import FOLDER, packages, page, path


@pytest.mark.parametrize("package", packages())
def test_a_page_is_as_the_package_is(package: str) -> None:
    assert path(package).read_text("utf-8") == page(package), "run `make docs`"


def test_there_is_no_page_of_what_is_gone() -> None:
    assert {each.stem for each in FOLDER.iterdir()} == set(packages())
    index = (ROOT / "docs/index.md").read_text("utf-8")
    assert [name for name in packages() if f"packages/{name}.md" not in index] == []


def test_the_core_knows_every_integration_and_what_it_brings() -> None:
    assert KNOWN.read_text("utf-8") == known_packages(), "run `make api`"
