from __future__ import annotations

import pytest

from flowstone_testing.levels import (
    ExpectedSuite,
    Grade,
    JoinedSuite,
    Level,
    Result,
    find_lowest,
    grade_suites,
)

WANTED = ExpectedSuite("ShedSuite", "kit.shed", ["a", "b"])


def joined(name: str = "TestShed", stage: str = "joined", suite: str = "ShedSuite") -> JoinedSuite:
    return JoinedSuite(name, suite, stage, ["test_one", "test_two"])


def results(*outcomes: str, on: str = "ab", name: str = "TestShed") -> list[Result]:
    tests = ["test_one", "test_two"]
    return [
        Result(name, test, outcome, list(on), f"it {outcome}", "Look here.")
        for test, outcome in zip(tests, outcomes, strict=False)
    ]


def grade(*found: Result, classes: list[JoinedSuite] | None = None) -> Grade:
    (only,) = grade_suites([WANTED], classes or [joined()], found)
    return only


def test_full_is_every_standard_test_on_everything() -> None:
    full = grade(*results("passed", "passed"))
    assert (full.level, full.missing) == (Level.FULL, [])
    assert full.subjects == {"a": Level.FULL, "b": Level.FULL}
    assert (full.passed, full.failed) == (2, 0)


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (("passed", "failed"), "TestShed.test_two fails: it failed\nLook here."),
        (("passed", "skipped"), "TestShed skips test_two: it skipped"),
        (("passed",), "TestShed does not run test_two"),
    ],
)
def test_what_does_not_pass_is_missing(outcomes: tuple[str, ...], said: str) -> None:
    found = grade(*results(*outcomes))
    assert (found.level, found.missing) == (Level.PARTIAL, [said])


def test_what_an_emulator_does_not_show_is_counted_apart() -> None:
    found = grade(*results("passed", "gap"))
    assert (found.level, found.missing) == (Level.FULL, [])
    assert found.not_shown == ["TestShed.test_two: it gap"]
    assert found.label == "full (emulated; 1 not shown)"
    assert grade(*results("gap", "gap")).level is Level.NONE
    assert grade(*results("failed", "gap")).label == "none (emulated; 1 not shown)"


def test_what_nobody_tests_is_missing() -> None:
    found = grade(*results("passed", "passed", on="a"))
    assert found.level is Level.PARTIAL
    assert found.subjects == {"a": Level.FULL, "b": Level.NONE}
    assert found.missing == ["join kit.shed.ShedSuite in the package's tests, for b"]


def test_what_is_seen_from_outside_is_a_part() -> None:
    seen = joined("shed a", "outside")
    found = grade(*results("passed", on="ab", name="shed a"), classes=[seen])
    assert found.level is Level.PARTIAL
    assert found.missing == ["join kit.shed.ShedSuite in the package's tests, for a, b"]
    assert grade(*results("passed", "passed", name="shed a"), classes=[seen]).level is Level.FULL


def test_a_failure_seen_from_outside_counts() -> None:
    both = [joined(), joined("shed a", "outside")]
    failed = results("failed", on="a", name="shed a")
    found = grade(*results("passed", "passed"), *failed, classes=both)
    assert found.subjects == {"a": Level.PARTIAL, "b": Level.FULL}
    assert found.missing == ["shed a.test_one fails: it failed\nLook here."]


def test_what_both_tell_is_told_once() -> None:
    both = [joined("shed a", "outside"), joined()]
    failed = [*results("failed", name="shed a"), *results("failed", "passed")]
    assert grade(*failed, classes=both).missing == [
        "TestShed.test_one fails: it failed\nLook here."
    ]


def test_skips_for_one_reason_are_told_together() -> None:
    same = [
        Result("TestShed", test, "skipped", ["a"], "no sea") for test in ("test_one", "test_two")
    ]
    assert grade(*same).missing[0] == "TestShed skips 2 tests: no sea"


def test_nothing_is_none() -> None:
    assert grade().level is Level.NONE
    assert grade(*results("failed", "failed")).level is Level.NONE
    assert find_lowest([]) is Level.NONE
    assert (
        find_lowest([grade(*results("passed", "passed")), grade(*results("passed"))])
        is Level.PARTIAL
    )


def test_what_is_joined_besides_is_graded_too() -> None:
    other = joined("TestBarn", suite="BarnSuite")
    found = grade_suites(
        [WANTED], [joined(), other], results("passed", "passed", on="*", name="TestBarn")
    )
    assert [(each.suite, each.level) for each in found] == [
        ("ShedSuite", Level.NONE),
        ("BarnSuite", Level.FULL),
    ]
