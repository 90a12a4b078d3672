from __future__ import annotations

from dataclasses import replace

import pytest

from flowstone.cli.pipe import format_lines
from flowstone.cli.views import Branch, Cell, Facts, Row, Table
from flowstone.cli.wording import format_ago, format_count, format_iso, format_time
from flowstone.records.durations import duration, format_duration
from flowstone.records.runs import Lease, Run
from flowstone.records.states import COMPLETED, CRASHED, RUNNING, State

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "-"),
        (0.0, "<1ms"),
        (0.0123, "12ms"),
        (0.9996, "1.0s"),
        (3.14, "3.1s"),
        (59.96, "1m 00s"),
        (125, "2m 05s"),
        (3599.9, "1h 00m"),
        (3 * 3600 + 720, "3h 12m"),
        (50 * 3600, "2d 02h"),
    ],
)
def test_durations_are_short(seconds: float | None, expected: str) -> None:
    assert format_duration(seconds) == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (-60, "just now"),
        (0.4, "just now"),
        (59, "59s ago"),
        (60, "1m ago"),
        (7199, "1h ago"),
        (3 * 86400, "3d ago"),
        (30 * 86400, format_time(NOW - 30 * 86400)[:10]),
    ],
)
def test_times_are_told_from_now(before: float, expected: str) -> None:
    assert format_ago(NOW - before, NOW) == expected


def test_exact_times_have_their_zone() -> None:
    assert format_iso(0.5) == "1970-01-01T00:00:00.500000+00:00"
    assert format_iso(None) is None


def test_numbers_are_grouped() -> None:
    assert [format_count(n, "run") for n in (0, 1, 12345)] == ["0 runs", "1 run", "12,345 runs"]


def a_run(state: State, *, started: float | None = 0.0, ended: float | None = None) -> Run:
    lease = Lease("token", "here/1/mark", 0.0)
    return Run(
        "r", "flow", "r", "f", "r", None, state=state, started=started, ended=ended, lease=lease
    )


def test_a_run_lasts_from_its_start_to_its_end_or_till_now() -> None:
    assert duration(a_run(State(RUNNING), started=None), 9.0) is None
    assert duration(a_run(State(RUNNING), started=2.0), 9.0) == 7.0
    assert duration(a_run(State(COMPLETED), started=2.0, ended=5.0), 9.0) == 3.0


def test_nobody_knows_how_long_a_run_lasted_that_was_found_dead() -> None:
    found_dead = replace(a_run(State(CRASHED), ended=5.0), lease=None)
    assert duration(found_dead, 9.0) is None
    seen_to_crash = a_run(State(CRASHED), ended=5.0)
    assert duration(seen_to_crash, 9.0) == 5.0
    child = replace(found_dead, id="c", parent_id="r", root_id="r")
    assert duration(child, 9.0, found_dead) is None
    done = replace(child, state=State(COMPLETED), ended=4.0)
    assert duration(done, 9.0, found_dead) == 4.0


def test_a_table_is_aligned_and_not_cut() -> None:
    rows = [
        Row((Cell("a" * 90), Cell("1"))),
        Row((Cell("b"), Cell("10")), Cell("why\nit is so")),
    ]
    table = Table(("name", "n"), rows, "reason", right=frozenset({"n"}))
    assert list(format_lines(table)) == [
        f"NAME{' ' * 86}   N  REASON",
        f"{'a' * 90}   1",
        f"b{' ' * 89}  10  why it is so",
    ]
    assert list(format_lines(Table(("name",), [], empty="Nothing."))) == ["Nothing."]


def test_facts_keep_their_lines_and_a_tree_its_depth() -> None:
    assert list(format_lines(Facts([("a", Cell("1\n2")), ("long", Cell(""))]))) == [
        "a     1",
        "      2",
        "long",
    ]
    tree = Branch((Cell("root"), Cell(""), Cell("x")), [Branch((Cell("leaf\n\x1b"),))])
    assert list(format_lines(tree)) == ["root  x", "  leaf \\x1b"]
