from __future__ import annotations

import re

import pytest

from .house import ROOT

FOLDER = ROOT / "changelog"
NAME = re.compile(r"[0-9]+\.[a-z0-9-]+\.(added|changed|fixed|removed)\.md")
FRAGMENTS = sorted(path for path in FOLDER.iterdir() if path.name != "README.md")


def test_there_is_a_fragment_or_a_released_head() -> None:
    assert FRAGMENTS or "## Unreleased" not in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_is_named_for_what_it_says(path: object) -> None:
    name, text = path.name, path.read_text("utf-8").strip()  # type: ignore[attr-defined]
    assert NAME.fullmatch(name), "name it <issue>.<topic>.<added|changed|fixed|removed>.md"
    assert text.endswith("."), "say in a sentence what a person can do now"
    assert len(text) < 500
