"""Each benchmark runs, in a tiny form, so that none rots; no time is judged here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from tests.benchmarks.rows import Row, show
from tests.services.fixtures import refuse
from tests.services.servers import Absent

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = [
    "calibration",
    "import",
    "hello",
    "help",
    "discovery",
    "sequence",
    "map",
    "processes",
    "dask",
    "dask_values",
    "cache",
    "memory",
    "ray",
    "ray_values",
    "million",
    "results",
    "folders",
    "objects",
    "bulk",
    "blobs",
    "tables",
    "streams",
    "stores",
    "ticks",
    "due_runs",
    "claims",
    "dbt",
    "mlflow",
    "validations",
]
#: Its programs run under valgrind, fifty times as long.
SLOW = pytest.param("instructions", marks=[pytest.mark.check, pytest.mark.timeout(900)])


@pytest.fixture
def benchmarks() -> dict[str, Callable[[None], list[Row]]]:
    from tests.benchmarks.__main__ import benchmarks

    return {**benchmarks(tiny=True)}


@pytest.mark.parametrize("name", [*NAMES, SLOW])
@pytest.mark.check
def test_it_runs(benchmarks: dict[str, Callable[[None], list[Row]]], name: str) -> None:
    try:
        rows = benchmarks[name](None)
    except Absent as absent:
        refuse(absent)
    assert rows
    assert all(math.isfinite(row.figure) for row in rows)
    assert {len(row.cells()) for row in rows} == {7}


def test_none_is_left_out(benchmarks: dict[str, Callable[[None], list[Row]]]) -> None:
    assert list(benchmarks) == [*NAMES, "instructions"]


def test_the_table_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    show([Row("a", 50, "us", 10, "bare", 40), Row("b", 50, "us", budget=60)], peer=False)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["what", "figure", "floor", "ratio", "budget"]
    assert lines[0].split() == ["a", "50", "us", "10", "bare", "5.0x", "40", "MISSED"]
    assert lines[1].split() == ["b", "50", "us", "60", "met"]


@pytest.mark.parametrize(
    ("budget", "times", "shown"),
    [
        (60, 5, "60 and 5x met"),
        (60, 4, "60 and 4x MISSED"),
        (40, 5, "40 and 5x MISSED"),
        (None, 5, "5x met"),
        (None, 4.5, "4.5x MISSED"),
    ],
)
def test_a_budget_may_be_a_ratio(budget: float | None, times: float | None, shown: str) -> None:
    cells = Row("a", 50, "us", 10, "bare", budget, times).cells()
    assert " ".join(cells[4:6]) == shown
