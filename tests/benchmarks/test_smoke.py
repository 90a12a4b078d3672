"""Each benchmark runs, in a tiny form, so that none rots; no time is judged here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from tests.benchmarks.rows import Row, show

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = [
    "import",
    "hello",
    "help",
    "discovery",
    "sequence",
    "map",
    "processes",
    "cache",
    "memory",
    "million",
    "results",
    "folders",
    "objects",
    "bulk",
    "blobs",
    "tables",
    "streams",
    "stores",
    "dbt",
    "mlflow",
    "validations",
]


@pytest.fixture
def benchmarks() -> dict[str, Callable[[None], list[Row]]]:
    from tests.benchmarks.__main__ import benchmarks

    return {**benchmarks(tiny=True)}


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(benchmarks: dict[str, Callable[[None], list[Row]]], name: str) -> None:
    rows = benchmarks[name](None)
    assert rows
    assert all(math.isfinite(row.figure) for row in rows)
    assert {len(row.cells()) for row in rows} == {7}


def test_none_is_left_out(benchmarks: dict[str, Callable[[None], list[Row]]]) -> None:
    assert list(benchmarks) == NAMES


def test_the_table_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    show([Row("a", 50, "us", 10, "bare", 40), Row("b", 50, "us", budget=60)], peer=False)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["what", "figure", "floor", "ratio", "budget"]
    assert lines[0].split() == ["a", "50", "us", "10", "bare", "5.0x", "40", "MISSED"]
    assert lines[1].split() == ["b", "50", "us", "60", "met"]
