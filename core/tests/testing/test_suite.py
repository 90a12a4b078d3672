from __future__ import annotations

from typing import ClassVar

import pytest

from flowstone.testing.conformance.suite import Gap, Suite

pytest_plugins = ["pytester"]


class Standard(Suite):
    def test_one(self) -> None: ...

    def test_two(self) -> None: ...


def test_a_standard_test_can_not_be_replaced() -> None:
    with pytest.raises(TypeError, match="replaces the standard tests test_one"):

        class Mine(Standard):
            def test_one(self) -> None: ...


def test_nor_be_shadowed_by_a_mixin() -> None:
    class Mixin:
        test_two = None

    with pytest.raises(TypeError, match="replaces the standard tests test_two"):
        type("Mine", (Mixin, Standard), {})


def test_a_gap_must_name_a_standard_test() -> None:
    with pytest.raises(TypeError, match="names test_three"):

        class Mine(Standard):
            gaps: ClassVar = {"test_three": Gap("no such test", ValueError)}


def test_a_subclass_may_add_tests() -> None:
    class Mine(Standard):
        def test_more(self) -> None: ...

    assert Mine.gaps == {}


def test_a_gap_runs_and_must_fail_as_it_says(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from flowstone.testing.conformance.suite import Gap, Suite

        class Standard(Suite):
            def test_fails(self): raise KeyError("as known")
            def test_passes(self): pass
            def test_fails_otherwise(self): raise ValueError("not as known")
            def test_no_gap(self): pass

        class TestMine(Standard):
            gaps = {
                name: Gap("known", KeyError)
                for name in ("test_fails", "test_passes", "test_fails_otherwise")
            }
    """)
    outcome = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    outcome.assert_outcomes(passed=1, xfailed=1, failed=2)
