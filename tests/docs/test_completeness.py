"""What the docs must name: every public name, every hook, every setting, every dependency."""

from __future__ import annotations

import inspect
import pkgutil
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import flowstone
from flowstone import blocks, concurrency, task_runners, testing
from flowstone.plugins import hookspecs
from flowstone.settings import Settings, list_variables

from ..architecture.house import Member, members, project
from .pages import ROOT, pages

ARCHITECTURE = (ROOT / "docs/architecture.md").read_text("utf-8")
#: Where things are: ``module:name``.
ANSWERS = re.findall(r"^\| .+\? \| `(flowstone[\w.]*:[\w.]+)` \|$", ARCHITECTURE, re.MULTILINE)
WORDS = {word for page in pages() for word in re.findall(r"\w+", page.read_text("utf-8"))}


@pytest.mark.parametrize("module", [flowstone, blocks, concurrency, task_runners, testing])
def test_nothing_public_goes_unnamed(module: Any) -> None:
    assert set(module.__all__) <= WORDS


def test_every_hook_is_named() -> None:
    hooks = {
        name
        for name, found in inspect.getmembers(hookspecs, inspect.isfunction)
        if hasattr(found, "flowstone_spec")
    }
    assert hooks
    assert hooks <= WORDS


def test_every_option_is_named_in_words_of_the_docs() -> None:
    from flowstone.calls.option_types import FlowOptions, TaskOptions

    wanted = set(FlowOptions.__annotations__) | set(TaskOptions.__annotations__)
    assert wanted <= WORDS | {"version", "description", "name"}


def test_every_setting_is_told_with_its_default() -> None:
    page = (ROOT / "docs/settings.md").read_text("utf-8")
    told = re.findall(r"^\| `(FLOWSTONE_\w+)` \| (.+?) \|", page, re.MULTILINE)
    variables = list_variables()
    assert [name for name, _ in told] == list(variables)
    defaults = Settings(home=Path("~/.flowstone"))
    for variable, shown in told:
        default = getattr(defaults, variables[variable])
        if default is not None:
            assert shown == f"`{plain(default)}`", variable


def test_every_layer_is_named() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = next(c["layers"] for c in contracts["contracts"] if c["id"] == "layers")
    table = ARCHITECTURE.partition("## The layers")[2].partition("## ")[0]
    rows = re.findall(r"^\| (`.+`) \| .+ \|$", table, re.MULTILINE)
    assert [re.findall(r"\w+", layer) for layer in layers] == [
        re.findall(r"\w+", row) for row in rows
    ]


def test_every_entry_of_the_core_is_named() -> None:
    table = ARCHITECTURE.partition("## What is where")[2].partition("## ")[0]
    entries = {path.stem for path in (ROOT / "core/src/flowstone").iterdir()}
    assert entries - {"__init__", "__pycache__", "py"} <= set(re.findall(r"`(\w+)`", table))


def test_there_are_answers() -> None:
    assert len(ANSWERS) >= 12


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_there(answer: str) -> None:
    assert pkgutil.resolve_name(answer) is not None


def plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def dependencies(member: Member) -> set[str]:
    """Return the direct dependencies of a package, its extras included, without our own."""
    extras = member.project.get("optional-dependencies", {}).values()
    every = [*member.project["dependencies"], *(item for extra in extras for item in extra)]
    return {bare(item) for item in every} - {other.name for other in members()}


def bare(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return found.group()


def test_each_dependency_earns_its_place() -> None:
    """The table in CONTRIBUTING.md has each direct dependency, with who needs it, and why."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w.-]+)` \| `([\w.-]+)` \| (.+) \|$", text, re.MULTILINE)
    told = {(package, dependency) for package, dependency, _ in rows}
    real = {(member.name, item) for member in members() for item in dependencies(member)}
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    of_tests = {
        (name, bare(item)) for name in ("services", "stores", "node") for item in groups[name]
    }
    assert told == real | {(name, item) for name, item in of_tests if not item.startswith("types-")}
    assert len(rows) == len(told)


def test_each_dependency_has_a_lower_bound() -> None:
    for member in members():
        extras = member.project.get("optional-dependencies", {}).values()
        for item in [*member.project["dependencies"], *(x for extra in extras for x in extra)]:
            assert ">=" in item, f"{member.name}: {item}"


def test_packages_need_the_core_by_a_range() -> None:
    for member in members():
        if member.name != "flowstone":
            needs = [item for item in member.project["dependencies"] if bare(item) == "flowstone"]
            assert needs, member.name
            assert all(">=" in item and "<" in item for item in needs)


def test_the_readme_lists_every_package() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    rows = set(re.findall(r"^\| \[`([\w-]+)`\]", text, re.MULTILINE))
    assert rows == {member.name for member in members()}


def test_every_package_says_the_same_of_itself() -> None:
    core = project(ROOT / "core/pyproject.toml")
    for member in members():
        assert member.project["license"] == core["license"]
        assert member.project["requires-python"] == core["requires-python"]
        assert (member.folder / member.project["readme"]).exists()
