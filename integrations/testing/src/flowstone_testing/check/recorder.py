"""The recorder: a pytest plugin that records the outcome of standard tests and their subjects."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from flowstone.blocks import Block
from flowstone.records.redaction import redact
from flowstone_testing.check.facts import FactLog
from flowstone_testing.conformance.plugins import PluginSuite
from flowstone_testing.conformance.secretprovider import SecretsSuite
from flowstone_testing.conformance.suite import (
    Suite,
    describe_stale_gap,
    find_suite,
    list_capabilities,
    list_lacks,
    list_tests,
)
from flowstone_testing.levels import JoinedSuite, Result

#: Maximum length of a message; the package's own test run shows all of it.
MOST_CHARACTERS = 300


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kit-facts", help="file to write the results of standard tests to")
    parser.addoption("--kit-stage", help="origin of the tests: joined, or outside")


def pytest_configure(config: pytest.Config) -> None:
    facts = FactLog(Path(config.getoption("--kit-facts")))
    config.pluginmanager.register(Recorder(facts, config.getoption("--kit-stage")))


class Recorder:
    """Records the standard tests of one run of pytest; all others are ignored."""

    def __init__(self, facts: FactLog, stage: str) -> None:
        self._facts, self._stage = facts, stage
        self._labels: dict[str, str] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            lines = str(report.longrepr).strip().splitlines()
            said = [line[1:] for line in lines if line.startswith("E ")] or lines[-1:]
            self._facts.note_problem(f"{report.nodeid or 'tests'}: {_shorten(' '.join(said))}")

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[Any]) -> None:
        kept = [item for item in items if _is_standard(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
        self._facts.note_count(len(kept))
        self._labels = {item.nodeid: f"{self._name(item)}::{item.name}" for item in kept}
        for name, cls in {self._name(item): item.cls for item in kept}.items():
            suite = find_suite(cls)
            if suite is not None:
                tests, found = list_tests(cls), list_capabilities(cls)
                self._facts.note_joined(
                    JoinedSuite(name, suite.__name__, self._stage, tests, found)
                )

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            self._facts.note_end()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._facts.note_step(self._labels.get(nodeid, nodeid))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: object, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        report = yield
        if report.when == "call" or report.outcome != "passed":
            self._facts.note_result(self._result(item, report, call))
        return report

    def _name(self, item: Any) -> str:
        """Return the name of a test's class; those of the check are named after their subject."""
        made = getattr(item.cls, "made_for", None)
        return made or str(item.nodeid).rpartition("::")[0]

    def _result(self, item: Any, report: Any, call: pytest.CallInfo[None]) -> Result:
        outcome, message = str(report.outcome), ""
        name = getattr(item, "originalname", None) or item.name
        if hasattr(report, "wasxfail"):
            outcome, message = "gap", str(report.wasxfail)
        elif call.excinfo is not None:
            skipped = report.outcome == "skipped"
            message = str(call.excinfo.value) if skipped else call.excinfo.exconly(tryshort=True)
        elif report.failed:
            message = describe_stale_gap(item.cls, name)
        hint = " ".join((item.function.__doc__ or "").split())
        about = find_subjects(item.cls, getattr(item, "funcargs", {}))
        return Result(self._name(item), name, outcome, about, _shorten(message), hint)


def find_subjects(cls: type[Suite], arguments: Mapping[str, Any]) -> list[str]:
    """Return the parts of a package that a test ran on, from its fixtures."""
    made_on = getattr(cls, "made_on", None)
    if made_on is not None:
        return list(made_on)
    if issubclass(cls, PluginSuite):
        return [cls.plugin]
    if issubclass(cls, SecretsSuite):
        return [cls.name]
    if cls.kind == "task":
        return sorted(arguments.get("examples", {}))
    if cls.kind != "block":
        return ["*"]
    several = [
        each if isinstance(each, Sequence) and not isinstance(each, str) else [each]
        for each in arguments.values()
    ]
    blocks = [each for found in several for each in found if isinstance(each, Block)]
    of = cls.interface or Block
    return sorted({block.block_type_slug() for block in blocks if isinstance(block, of)})


def _is_standard(item: Any) -> bool:
    cls = getattr(item, "cls", None)
    suite = find_suite(cls)
    only = getattr(cls, "only", None)
    name = getattr(item, "originalname", None) or item.name
    if suite is None or not hasattr(suite, name) or list_lacks(item.cls, name):
        return False
    return only is None or name in only


def _shorten(message: str) -> str:
    text = " ".join(redact(message).split())
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} …"
