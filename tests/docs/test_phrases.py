"""No text has phrases that nobody would say; `docs/phrases.txt` lists them."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from .docstrings import find_without_args
from .pages import ROOT

LIST = ROOT / "docs/phrases.txt"
#: Files whose text people read, and those that only quote it.
_READ = (".py", ".md", ".toml", ".yaml", ".yml")
_BREAK = r"\s+(?:#:?\s+)?"
_QUOTES = ("changelog/", "CHANGELOG.md", "tests/docs/test_phrases.py")


def read_phrases(text: str) -> dict[str, str]:
    """Return what to write instead of each regular expression."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split(" -> ", 1) for line in lines)


def compile_phrase(phrase: str) -> re.Pattern[str]:
    """Return what finds a phrase in any case, and over the ends of lines."""
    return re.compile(phrase.replace(" ", _BREAK), re.IGNORECASE)


@cache
def list_texts() -> tuple[tuple[str, str], ...]:
    """Return the path and the text of each file of the project that people read."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    names = [name for name in listed if name.endswith(_READ) and not name.startswith(_QUOTES)]
    return tuple((name, Path(ROOT, name).read_text("utf-8")) for name in names)


PHRASES = read_phrases(LIST.read_text("utf-8"))


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_text_has_the_phrase(phrase: str) -> None:
    pattern = compile_phrase(phrase)
    places = [
        f"{name}:{text.count(chr(10), 0, found.start()) + 1}: {found[0]}"
        for name, text in list_texts()
        for found in pattern.finditer(text)
    ]
    assert not places, f"write instead: {PHRASES[phrase]}"


def test_a_phrase_is_found_in_any_case_and_over_lines() -> None:
    pattern = compile_phrase("sign of life")
    assert pattern.search("A Sign of Life")
    assert pattern.search("#: the last sign\n#: of life")


def test_a_list_has_comments() -> None:
    assert read_phrases("# A comment\n\na b -> c -> d\n") == {"a b": "c -> d"}


def test_public_functions_describe_their_parameters() -> None:
    """Three parameters or more need an `Args` section; an async version refers to the sync one."""
    assert find_without_args() == []
