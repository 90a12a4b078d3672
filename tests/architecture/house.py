"""What the rules of the house are checked on: packages, their source files, their trees."""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Member:
    """One package of the workspace."""

    folder: Path
    project: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.project["name"])

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")

    @property
    def source(self) -> Path:
        return self.folder / "src"


@dataclass(frozen=True, slots=True)
class Source:
    """One source file, parsed."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def where(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def members() -> list[Member]:
    """Return the packages that the workspace lists, core first."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["uv"]["workspace"]
    folders = [folder for pattern in listed["members"] for folder in sorted(ROOT.glob(pattern))]
    files = [folder / "pyproject.toml" for folder in folders]
    return [Member(file.parent, project(file)) for file in files if file.exists()]


def project(file: Path) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))["project"]
    return table


def integrations() -> list[Member]:
    return [member for member in members() if member.name != "flowstone"]


def integration_names() -> list[str]:
    return [member.module for member in integrations()]


@cache
def sources() -> tuple[Source, ...]:
    """Return every source file of every package; tests are not among them."""
    return tuple(
        parsed(path) for member in members() for path in sorted(member.source.rglob("*.py"))
    )


def parsed(path: Path) -> Source:
    text = path.read_text("utf-8")
    return Source(path, text, ast.parse(text))


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def length(node: Function | ast.ClassDef) -> int:
    """Return the lines of a function or class, its decorators and docstring left out."""
    first = node.body[0]
    documented = ast.get_docstring(node, clean=False) is not None
    doc = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - doc
