from __future__ import annotations

from importlib import import_module
from pkgutil import walk_packages
from typing import ClassVar

import pytest

from flowstone.catalog import Collection
from flowstone_testing import conformance
from flowstone_testing.conformance.credentials import CredentialsSuite
from flowstone_testing.conformance.suite import EmulatorGap, Suite

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
            gaps: ClassVar = {"test_three": EmulatorGap("pretend", "1.0", "no such test")}


def test_a_subclass_may_add_tests() -> None:
    class Mine(Standard):
        def test_more(self) -> None: ...

    assert Mine.gaps == {}


GAPS = """
from flowstone_testing.conformance.suite import EmulatorGap, Suite

class Standard(Suite):
    def test_fails(self): raise KeyError("as known")
    def test_passes(self): pass
    def test_fails_otherwise(self): raise ValueError("not as known")
    def test_no_gap(self): pass

class TestMine(Standard):
    gaps = {
        name: EmulatorGap("pretend", "1.0", "it forgets", KeyError)
        for name in ("test_fails", "test_passes", "test_fails_otherwise")
    }
"""


def test_a_gap_runs_on_the_emulator_and_must_fail_there(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(GAPS)
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rx")
    outcome.assert_outcomes(passed=1, xfailed=1, failed=2)
    outcome.stdout.fnmatch_lines(
        [
            "*pretend passes test_passes now: remove it from `TestMine.gaps`*",
            "XFAIL *pretend 1.0: it forgets*",
        ]
    )


def test_live_a_gap_is_a_test_as_all(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(GAPS)
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--live")
    outcome.assert_outcomes(passed=2, failed=2)


def test_what_is_built_on_a_lack_is_left_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        from flowstone_testing.conformance.suite import Suite, capability, needs

        class Standard(Suite):
            signs = True

            @needs("signs")
            def test_of_signs(self): assert self.signs

        class TestAble(Standard): pass
        class TestUnable(Standard): signs = False
    """)
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rs")
    outcome.assert_outcomes(passed=1, skipped=1)
    outcome.stdout.fnmatch_lines(["SKIPPED*not declared: signs"])


ABLE = """
    import pytest
    from flowstone_testing.conformance.suite import Suite, capability

    class Standard(Suite):
        signs = False

        @capability("signs", OSError, "no signs here")
        def test_signs(self, tmp_path):
            {body}

    class TestMine(Standard):
        signs = {signs}
"""


@pytest.mark.parametrize(
    ("signs", "body", "said"),
    [
        (True, "pass", None),
        (False, "raise OSError('there are no signs here')", None),
        (
            True,
            "raise OSError('there are no signs here')",
            "*`signs = True` is declared: remove*",
        ),
        (False, "pass", "*declare `signs = True` in TestMine*"),
        (False, "raise OSError('the disk is full')", "*the disk is full*"),
        (False, "raise KeyError('a bug')", "*a bug*"),
        (True, "assert tmp_path is None", "*assert*is None*"),
    ],
)
def test_a_capability_is_declared_or_refused(
    pytester: pytest.Pytester, signs: bool, body: str, said: str | None
) -> None:
    pytester.makepyfile(ABLE.format(signs=signs, body=body))
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    outcome.assert_outcomes(passed=said is None, failed=said is not None)
    outcome.stdout.fnmatch_lines([said] if said else [])


def test_a_report_says_what_to_look_at(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        from flowstone_testing.conformance.suite import EmulatorGap
        from flowstone_testing.conformance.credentials import CredentialsSuite

        class TestMine(CredentialsSuite):
            gaps = {"test_a_check_looks_again_each_time": EmulatorGap("it", "1.0", "no")}

            @pytest.fixture
            def good(self): return 1

        def test_of_its_own(): assert False
    """)
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    told = outcome.stdout.str()
    assert "CredentialsSuite: what to look at" in told
    assert "Look at `_check`: it must connect, and return who we are there." in told
    assert told.count("what to look at") == len([t for t in dir(CredentialsSuite) if "test_" in t])


#: Suites of ports that no package can list in its `Collection`.
ENGINE = {"DocumentStoreSuite", "RunStoreSuite", "SlotStoreSuite"}


def kit_suites() -> list[type[Suite]]:
    for found in walk_packages(conformance.__path__, f"{conformance.__name__}."):
        import_module(found.name)
    below = [Suite]
    for suite in below:
        below += suite.__subclasses__()
    return [suite for suite in below if suite.__module__.startswith(conformance.__name__)]


def test_every_suite_says_what_it_is_for() -> None:
    """Set its `kind` and `interface`, by which `flowstone plugin check` selects it."""
    suites = [suite for suite in kit_suites() if suite.__name__.endswith("Suite")]
    unsaid = {suite.__name__ for suite in suites if suite.kind not in Collection().tables()}
    assert unsaid == {"ClockedSuite", "PluginSuite", "Suite", *ENGINE}


def test_every_standard_test_says_what_to_look_at() -> None:
    kit = kit_suites()
    assert len(kit) > 20
    tests = {getattr(s, name) for s in kit for name in dir(s) if name.startswith("test")}
    docs = {test.__qualname__: (test.__doc__ or "").strip() for test in tests}
    assert [name for name, doc in docs.items() if not doc.endswith((".", "?"))] == []
