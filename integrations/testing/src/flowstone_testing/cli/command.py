"""`flowstone plugin check`: grade a package on each suite, and list what the next level needs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowstone.cli.output import emit, json_option, show, warn
from flowstone.cli.views import Branch, Cell, Facts, Row, Table
from flowstone.errors import UnknownName
from flowstone_testing.cli.stages import CheckRecord, check_in_stages
from flowstone_testing.cli.watching import watch_progress
from flowstone_testing.levels import Grade, Level, find_lowest, format_level

if TYPE_CHECKING:
    from flowstone.cli.views import View

STYLES = {Level.FULL: "green", Level.PARTIAL: "yellow", Level.NONE: "red"}


@click.command("check")
@click.argument("package")
@click.option(
    "--tests",
    type=click.Path(exists=True, path_type=Path),
    help="The package's conformance tests; by default, tests/test_conformance.py in the source "
    "tree that it is installed from.",
)
@click.option("--no-tests", is_flag=True, help="Skip the package's own tests.")
@click.option("--live", is_flag=True, help="Run the package's tests against the real service.")
@click.option(
    "--level",
    type=click.Choice(["partial", "full"]),
    default="partial",
    show_default=True,
    help="Exit with 1 if a suite is below this level.",
)
@click.option(
    "--timeout-seconds", type=click.FloatRange(min=0.1), default=600.0, show_default=True,
    help="Timeout of each of the three stages: inventory, outside checks, the package's tests.",
)  # fmt: skip
@json_option
@click.pass_context
def check_package(
    ctx: click.Context,
    package: str,
    tests: Path | None,
    no_tests: bool,
    live: bool,
    level: str,
    timeout_seconds: float,
    as_json: bool,
) -> None:
    """Run the conformance suites on an installed PACKAGE and grade it on each.

    PACKAGE is a distribution, a module, or the name of a plugin. Any package can be checked from
    outside. The level "full" requires tests in the package that use the suites, with the real
    service or an emulator; tests that only an emulator fails are counted separately. Everything
    runs in separate processes. Exits with 1 if a test fails or a suite is below the level.
    """
    with watch_progress() as watch:
        found = check_in_stages(
            package, tests, own=not no_tests, live=live, seconds=timeout_seconds, watch=watch
        )
    known = found.package.get("known")
    if known is not None:
        raise UnknownName("plugin", package, known)
    grades = found.grade()
    reached = Level.NONE if found.package.get("error") else find_lowest(grades)
    if as_json:
        emit(_encode(found, grades, reached))
    else:
        _show(found, grades, reached)
    levels = list(Level)
    short = levels.index(reached) < levels.index(Level(level))
    if short or found.problems or any(grade.failed for grade in grades):
        ctx.exit(1)


def _encode(found: CheckRecord, grades: list[Grade], reached: Level) -> dict[str, object]:
    about = {key: found.package.get(key) for key in ("name", "version", "plugin")}
    return {
        **about,
        "tests": found.package.get("tests", []),
        "level": reached,
        "not_shown": _count_not_shown(grades),
        "error": found.package.get("error") or None,
        "problems": found.problems,
        "suites": [asdict(grade) for grade in grades],
    }


def _show(found: CheckRecord, grades: list[Grade], reached: Level) -> None:
    about = found.package
    facts = [
        ("package", Cell(f"{about.get('name', '?')} {about.get('version', '')}".strip(), "bold")),
        ("level", Cell(format_level(reached, _count_not_shown(grades)), STYLES[reached])),
        ("tests", Cell("\n".join(about.get("tests", ())) or "none ran; name them with --tests")),
    ]
    views: list[View] = [Facts(facts)]
    if grades:
        columns = ("suite", "level", "passed", "failed", "on")
        numbers = frozenset({"passed", "failed"})
        views.append(Table(columns, [_row(grade) for grade in grades], right=numbers))
    views += [_draw_list(grade, "is missing", grade.missing) for grade in grades if grade.missing]
    views += [
        _draw_list(grade, "is not shown by the emulator", grade.not_shown)
        for grade in grades
        if grade.not_shown
    ]
    show(*views)
    if about.get("error"):
        warn(f"\nIts plugin is broken:\n{about['error'].rstrip()}")
    for problem in found.problems:
        warn(f"\nNot checked: {problem}")


def _row(grade: Grade) -> Row:
    on = ", ".join(
        name if level is grade.level else f"{name} ({level})"
        for name, level in grade.subjects.items()
    )
    lacks = ", ".join(sorted(name for name, has in grade.capabilities.items() if not has))
    cells = (
        Cell(grade.suite, "bold"),
        Cell(grade.label, STYLES[grade.level]),
        Cell(str(grade.passed)),
        Cell(str(grade.failed)),
        Cell(f"{on}; lacks {lacks}" if lacks else on),
    )
    return Row(cells)


def _count_not_shown(grades: list[Grade]) -> int:
    return sum(len(grade.not_shown) for grade in grades)


def _draw_list(grade: Grade, what: str, lines: list[str]) -> Branch:
    head = Branch((Cell(grade.suite, "bold"), Cell(what)))
    for each in lines:
        first, *rest = each.split("\n")
        children = [Branch((Cell(line, "dim"),)) for line in rest]
        head.children.append(Branch((Cell(first),), children))
    return head
