"""Unusual ends of a program: exits, drops, failures that nobody looked at, and forks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from flowstone.records.events import LogLine
from flowstone.records.runs import RunQuery
from flowstone.records.states import CANCELLED, COMPLETED, CRASHED, FAILED

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Facts, Place


@pytest.mark.parametrize(("scenario", "code"), [("exits", 3), ("exits_in_task", 1)])
def test_sys_exit_ends_the_run_and_the_program(place: Place, scenario: str, code: int) -> None:
    ended = place.run("endings.py", scenario)
    assert ended.code == code, ended.err

    def look(facts: Facts) -> None:
        root = facts.root("ending")
        assert root.state.type is CRASHED
        assert "sys.exit" in str(root.state.message)
        assert facts.unfinished() == []
        assert facts.root("ending").ended is not None
        units = {run.unit: run.state.type for run in facts.tasks(root)}
        assert units.pop("quick") is COMPLETED
        assert set(units.values()) <= {CRASHED}

    place.read(look)


def test_what_drops_out_is_found_crashed(place: Place) -> None:
    assert place.run("endings.py", "drops_out").code == 7

    def look(facts: Facts) -> None:
        assert facts.root("ending").state.type is CRASHED
        assert "process" in str(facts.root("ending").state.message)
        assert facts.unfinished() == []

    place.read(look)


@pytest.mark.parametrize("scenario", ["forgets", "forgets_many"])
def test_a_failure_that_nobody_looked_at_fails_the_flow(place: Place, scenario: str) -> None:
    ended = place.run("endings.py", scenario)
    assert ended.code == 1
    assert "nobody looked" in ended.err

    def look(facts: Facts) -> None:
        root = facts.root("ending")
        assert root.state.type is FAILED
        count = 1 if scenario == "forgets" else 20
        ends = Counter(run.state.type for run in facts.tasks(root))
        assert ends == {FAILED: count, COMPLETED: count}

    place.read(look)


def test_a_fork_doubles_no_fact_and_loses_none(place: Place) -> None:
    ended = place.run("forks.py")
    assert (ended.code, ended.err.count("Traceback")) == (0, 0), ended.err
    assert "child 0" in ended.out
    assert "total 15" in ended.out

    def look(facts: Facts) -> None:
        assert facts.unfinished() == []
        root = facts.root("forking")
        assert root.state.type is COMPLETED
        tasks = Counter((run.name, run.state.type) for run in facts.tasks(root))
        assert tasks == {(f"work-{number}", COMPLETED): 1 for number in range(70)}
        worked = [line for line in facts.lines(root) if line.startswith("worked")]
        assert worked == [f"worked {number}" for number in range(70)]
        ids = [
            event.id for _, event in facts.store.events() if not isinstance(event.payload, LogLine)
        ]
        assert len(ids) == len(set(ids))
        beside = facts.store.runs(RunQuery(unit="beside"))
        assert [run.state.type for run in beside] == [COMPLETED] * 6
        assert CANCELLED not in {run.state.type for run in facts.store.runs(RunQuery())}

    place.read(look)
