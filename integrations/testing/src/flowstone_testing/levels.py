"""Levels: the grade of a package on each suite, from the results of its tests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "ExpectedSuite",
    "Grade",
    "JoinedSuite",
    "Level",
    "Result",
    "find_lowest",
    "format_level",
    "grade_suites",
]


class Level(StrEnum):
    """How much of a suite passes.

    Attributes:
        NONE: nothing.
        PARTIAL: something; some tests fail, or don't run.
        FULL: every standard test, on everything that the suite applies to; those that only an
            emulator fails are counted separately.
    """

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class ExpectedSuite:
    """A suite that a package should use, as the package offers something that it tests.

    Attributes:
        module: the module of the suite.
        subjects: the names of what it tests.
    """

    suite: str
    module: str
    subjects: list[str]


@dataclass(frozen=True, slots=True)
class JoinedSuite:
    """A class that uses a suite.

    Attributes:
        name: the class, with its location.
        tests: the standard tests of the suite.
        capabilities: the capabilities, and whether it declares each.
        stage: ``outside`` if the check created it; ``joined`` if it is in the package's tests.
    """

    name: str
    suite: str
    stage: str
    tests: list[str]
    capabilities: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one standard test.

    Attributes:
        joined: the name of the class.
        outcome: ``passed``, ``failed``, ``skipped``, or ``gap`` if only the emulator fails it.
        subjects: what it ran on; empty if unknown.
        message: why it did not pass.
        hint: what to look at if it failed.
    """

    joined: str
    test: str
    outcome: str
    subjects: list[str] = field(default_factory=list)
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """The level of one suite.

    Attributes:
        subjects: the level of each thing that it tests.
        missing: what the next level requires; empty for full.
        not_shown: the standard tests that only the emulator fails, each with the reason.
        capabilities: the declarations of the classes that use it.
    """

    suite: str
    level: Level
    subjects: dict[str, Level]
    passed: int = 0
    failed: int = 0
    missing: list[str] = field(default_factory=list)
    capabilities: dict[str, bool] = field(default_factory=dict)
    not_shown: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The level for display: ``full (emulated; 4 not shown)``."""
        return format_level(self.level, len(self.not_shown))


@dataclass(slots=True)
class _Case:
    """A class and its results."""

    joined: JoinedSuite
    results: list[Result]

    @property
    def subjects(self) -> set[str]:
        return {name for result in self.results for name in result.subjects}

    @property
    def is_outside(self) -> bool:
        return self.joined.stage == "outside"

    @property
    def bad(self) -> list[Result]:
        return [result for result in self.results if result.outcome == "failed"]

    @property
    def is_complete(self) -> bool:
        passed = {result.test for result in self.results if result.outcome == "passed"}
        stood = {result.test for result in self.results if result.outcome == "gap"}
        others = [result for result in self.results if result.outcome not in {"passed", "gap"}]
        return bool(passed) and not others and passed | stood >= set(self.joined.tests)

    def covers(self, subject: str) -> bool:
        return subject in self.subjects or "*" in self.subjects


def grade_suites(
    wanted: Sequence[ExpectedSuite], joined: Sequence[JoinedSuite], results: Sequence[Result]
) -> list[Grade]:
    """Return the grade of each suite that a package should use or does use.

    Args:
        wanted: the suites that the package should use.
        joined: the classes that use a suite.
        results: the results of their tests.
    """
    cases = [_Case(each, [r for r in results if r.joined == each.name]) for each in joined]
    known = {each.suite for each in wanted}
    besides = sorted({case.joined.suite for case in cases} - known)
    every = [*wanted, *(ExpectedSuite(suite, "", ["*"]) for suite in besides)]
    return [_grade(each, [c for c in cases if c.joined.suite == each.suite]) for each in every]


def find_lowest(grades: Sequence[Grade]) -> Level:
    """Return the lowest level of several; NONE if there are none."""
    order = list(Level)
    return min((grade.level for grade in grades), key=order.index, default=Level.NONE)


def format_level(level: Level, not_shown: int) -> str:
    """Return a level for display, with the number of tests that an emulator could not show."""
    return f"{level} (emulated; {not_shown} not shown)" if not_shown else str(level)


def _grade(wanted: ExpectedSuite, cases: list[_Case]) -> Grade:
    subjects = {name: _choose_level(name, cases) for name in wanted.subjects}
    levels = set(subjects.values())
    results = [result for case in cases for result in case.results]
    level = levels.pop() if len(levels) == 1 else Level.PARTIAL
    own = [case for case in cases if not case.is_outside]
    return Grade(
        wanted.suite,
        level,
        subjects,
        sum(result.outcome == "passed" for result in results),
        sum(result.outcome == "failed" for result in results),
        [] if level is Level.FULL else list(_find_missing(wanted, cases, subjects)),
        {name: has for case in own for name, has in case.joined.capabilities.items()},
        sorted(
            {
                f"{case.joined.name}.{result.test}: {result.message}"
                for case in cases
                for result in case.results
                if result.outcome == "gap"
            }
        ),
    )


def _choose_level(subject: str, cases: list[_Case]) -> Level:
    on = [case for case in cases if subject == "*" or case.covers(subject)]
    if any(case.is_complete for case in on) and not any(case.bad for case in on):
        return Level.FULL
    passed = any(result.outcome == "passed" for case in on for result in case.results)
    return Level.PARTIAL if passed else Level.NONE


def _find_missing(
    wanted: ExpectedSuite, cases: list[_Case], levels: dict[str, Level]
) -> Iterator[str]:
    known = {
        (each.test, each.message) for case in cases if not case.is_outside for each in case.bad
    }
    for case in cases:
        yield from _find_missing_in(case, known if case.is_outside else set())
    own = [case for case in cases if not case.is_outside]
    bare = [
        name
        for name, level in levels.items()
        if level is not Level.FULL and not any(case.covers(name) for case in own)
    ]
    if bare:
        where = f"{wanted.module}.{wanted.suite}" if wanted.module else wanted.suite
        yield f"join {where} in the package's tests, for {', '.join(bare)}"


def _find_missing_in(case: _Case, known: Collection[tuple[str, str]]) -> Iterator[str]:
    """Yield what is missing in a class, except what the package's own tests report as well."""
    told: set[str] = set()
    skips: dict[str, set[str]] = {}
    for result in case.results:
        if (result.test, result.message) in known:
            continue
        reason = f": {result.message}" if result.message else ""
        name = f"{case.joined.name}.{result.test}"
        if result.outcome == "failed":
            hint = f"\n{result.hint}" if result.hint else ""
            told.add(f"{name} fails{reason}{hint}")
        elif result.outcome == "skipped":
            skips.setdefault(reason, set()).add(result.test)
    yield from sorted(told)
    for reason, tests in skips.items():
        what = min(tests) if len(tests) == 1 else f"{len(tests)} tests"
        yield f"{case.joined.name} skips {what}{reason}"
    ran = {result.test for result in case.results}
    idle = [test for test in case.joined.tests if test not in ran]
    if idle and not case.is_outside:
        yield f"{case.joined.name} does not run {', '.join(idle)}"
