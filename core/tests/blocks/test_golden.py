"""Golden documents: fields that change without a version, or leave old ones behind, are seen."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest
from pydantic import Field

from flowstone.blocks import Block
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.golden import describe_hint, describe_shape

pytest_plugins = ["pytester"]

#: Loaded before pytester takes its snapshot of modules, so that there is one of each.
SUITE = BlockSuite

TYPE = """
import pytest
from typing import Any
from pydantic import Field, SecretStr
from flowstone.blocks import Block
from flowstone_testing.conformance.blocks import BlockSuite

class Parcel(Block):
{body}

class TestParcel(BlockSuite):
    @pytest.fixture
    def examples(self):
        return [Parcel(**each) for each in {examples}]
"""
# It is registered as a secret, and stays so for the tests that follow: nobody else has this value.
TOKEN = "token of a parcel"
FIRST = ("weight: int\n    token: SecretStr = SecretStr('')", [{"weight": 1, "token": TOKEN}])
SECOND = ("schema_version = 2\n    grams: int\n    token: SecretStr = SecretStr('')",
          [{"grams": 1}])  # fmt: skip
MIGRATION = "\n    migrations = {1: lambda old: {'grams': old['weight'], 'token': old['token']}}"
FIELDS = "test_the_fields_are_those_of_the_version"
OLD = "test_documents_of_every_released_version_load"


def outcome(
    pytester: pytest.Pytester, kind: tuple[str, object], *options: str
) -> tuple[set[str], str]:
    """Return the names of the golden tests that fail, and what is printed."""
    body, examples = kind
    pytester.makepyfile(TYPE.format(body=f"    {body}", examples=examples))
    words = ("-q", "-p", "no:cacheprovider", "-k", f"{FIELDS} or {OLD}", *options)
    done = pytester.runpytest_inprocess(*words)
    names = {report.nodeid.rpartition("::")[2] for report in _failures(done)}
    return names, done.stdout.str()


def _failures(done: pytest.RunResult) -> list[pytest.TestReport]:
    reports = done.reprec.getreports("pytest_runtest_logreport")  # type: ignore[attr-defined]
    return [report for report in reports if report.failed]


def files(pytester: pytest.Pytester) -> list[str]:
    return sorted(path.name for path in Path(pytester.path / "golden").glob("*"))


def test_a_version_is_written_once(pytester: pytest.Pytester) -> None:
    failed, told = outcome(pytester, FIRST)
    assert failed == {FIELDS, OLD}
    assert "there is no golden document of 'parcel', schema version 1: `pytest --write" in told
    assert "json is gone" not in told
    assert outcome(pytester, FIRST, "--write-golden")[0] == set()
    assert files(pytester) == ["parcel.1.json"]
    assert TOKEN not in Path(pytester.path / "golden/parcel.1.json").read_text()
    assert outcome(pytester, FIRST)[0] == set()
    written = Path(pytester.path / "golden/parcel.1.json").read_bytes()
    changed = (FIRST[0] + "\n    more: int = 0", FIRST[1])
    assert outcome(pytester, changed, "--write-golden")[0] == {FIELDS}
    assert Path(pytester.path / "golden/parcel.1.json").read_bytes() == written


@pytest.mark.parametrize(
    "body",
    [
        "weight: float\n    token: SecretStr = SecretStr('')",
        "weight: int = 1\n    token: SecretStr = SecretStr('')",
        "weight: int\n    token: str = ''",
        "weight: int\n    token: SecretStr = SecretStr('')\n    more: list[int] = []",
        "weight: int = Field(alias='Weight')\n    token: SecretStr = SecretStr('')",
    ],
)
def test_fields_that_change_want_a_version(pytester: pytest.Pytester, body: str) -> None:
    outcome(pytester, FIRST, "--write-golden")
    key = "Weight" if "alias" in body else "weight"
    assert FIELDS in outcome(pytester, (body, [{key: 1, "token": TOKEN}]))[0]


def test_a_new_version_wants_a_migration_and_keeps_the_old(pytester: pytest.Pytester) -> None:
    outcome(pytester, FIRST, "--write-golden")
    assert outcome(pytester, SECOND, "--write-golden")[0] == {OLD}
    assert files(pytester) == ["parcel.1.json", "parcel.2.json"]
    migrated = (SECOND[0] + MIGRATION, SECOND[1])
    assert outcome(pytester, migrated)[0] == set()
    Path(pytester.path / "golden/parcel.1.json").unlink()
    failed, told = outcome(pytester, migrated)
    assert failed == {OLD}
    assert "parcel.1.json is missing: users have such documents" in told


class One(Block):
    a: int | None = None
    b: dict[str, list[int]] = Field(default_factory=dict)


class Two(Block):
    b: dict[str, list[int]] = Field(default_factory=dict)
    a: Optional[int] = None  # noqa: UP045 - the other way to write it


def test_hints_are_the_same_however_they_are_written() -> None:
    assert (
        describe_shape(One)
        == describe_shape(Two)
        == {"a": "None | int = …", "b": "dict[str, list[int]] = …"}
    )
    assert describe_hint(list[One]) == "list[block one]"
