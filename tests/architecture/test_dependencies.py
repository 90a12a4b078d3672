"""What a package imports, it declares; what it declares, it imports."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import files, packages_distributions
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .house import Member, members, sources

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Distributions that come with another, in step with it.
PARTS = {"mlflow-skinny": "mlflow", "mlflow-tracing": "mlflow", "pydantic-core": "pydantic"}


#: Our own packages: an extra of the core may be another name for one.
OURS = {member.name for member in members()}
#: What the core meets only as values that a program hands in, which has them then.
HANDED_IN = {"pandas", "polars"}
#: What an optional SDK imports for what the core does with it, and does not bring itself; dbt
#: imports its adapters, SQLAlchemy the drivers of databases, Dask what draws its reports.
BEHIND = {
    ("flowstone-dask", "bokeh"),
    ("flowstone-dbt", "dbt-bigquery"), ("flowstone-dbt", "dbt-duckdb"),
    ("flowstone-dbt", "dbt-postgres"), ("flowstone-dbt", "dbt-snowflake"),
    ("flowstone-duckdb", "pytz"), ("flowstone-great-expectations", "psycopg"),
    ("flowstone-great-expectations", "pymysql"), ("flowstone-mlflow", "psutil"),
    ("flowstone-snowflake", "pandas"),
}  # fmt: skip
HOMES = packages_distributions()


def imported(member: Member) -> set[str]:
    """Return the distributions that a package's sources import, wherever in the file."""
    modules = set()
    for source in sources():
        if member.source not in source.path.parents:
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            if isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module)
    own = {*sys.stdlib_module_names, member.module}
    found = {find_home(name) for name in modules if name.partition(".")[0] not in own}
    found -= HANDED_IN - declared(member)
    # Stubs are for the type checker alone, and are in the workspace's dev group.
    return {PARTS.get(name, name) for name in found if not name.startswith("types-")}


def find_home(module: str) -> str:
    """Return the distribution of a module; several may share a namespace, as those of `azure`."""
    top = module.partition(".")[0]
    homes = HOMES.get(top, [top])
    if len(homes) == 1:
        return normal(homes[0])
    place = Path(*module.split("."))
    for home in homes:
        if {place / "__init__.py", place.with_suffix(".py")} & set(map(Path, files(home) or ())):
            return normal(home)
    return normal(homes[0])


def declared(member: Member) -> set[str]:
    extras = member.project.get("optional-dependencies", {}).values()
    needed, optional = map(distributions, (member.project["dependencies"], chain(*extras)))
    return needed | optional - OURS


def distributions(requirements: Iterable[str]) -> set[str]:
    return {normal(re.match(r"[\w.-]+", item).group()) for item in requirements}  # type: ignore[union-attr]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("member", members(), ids=lambda member: member.name)
def test_what_is_imported_is_declared_and_the_other_way_round(member: Member) -> None:
    behind = {name for package, name in BEHIND if package == member.name}
    assert imported(member) | behind == declared(member)


@pytest.mark.parametrize("member", members(), ids=lambda member: member.name)
def test_ranges_have_a_floor_and_no_roof(member: Member) -> None:
    """A roof keeps packages from being installed together; it needs a test that fails above it."""
    extras = member.project.get("optional-dependencies", {}).values()
    for item in [*member.project["dependencies"], *(item for extra in extras for item in extra)]:
        name, marks = re.fullmatch(r"([\w.-]+)(?:\[.*\])?(.*)", item).groups()  # type: ignore[union-attr]
        if name in OURS:  # their versions below 1.0 promise nothing about the next
            assert re.fullmatch(r">=0\.\d+,<0\.\d+", marks), item
        else:
            assert re.fullmatch(r">=[\d.]+", marks), item
