"""SIGTERM and Ctrl-C, wherever they meet a flow: it ends honestly, and soon."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from flowstone.records.runs import RunQuery
from flowstone.records.states import CANCELLED, COMPLETED, CRASHED

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Ended, Facts, Place

    from flowstone.stores.sqlite import SqliteStore

SCENARIOS = (
    "in_flow", "in_task", "in_subflow", "in_retry", "in_wait", "in_async", "in_async_step",
    "in_async_subflow", "in_async_tasks",
)  # fmt: skip


def _awaits_retry(store: SqliteStore) -> bool:
    return any(run.state.name == "AwaitingRetry" for run in store.runs(RunQuery(unit="failing")))


def _has_let_go(store: SqliteStore) -> bool:
    return any(run.state.type is CANCELLED for run in store.runs(RunQuery(unit="late")))


def _stop(place: Place, scenario: str, number: int) -> Ended:
    program = place.start("stopped.py", scenario)
    if scenario == "in_retry":
        place.wait_until(_awaits_retry)
    else:
        program.wait_for("ready")
    return program.stop(number)


@pytest.mark.parametrize(
    ("scenario", "number"),
    [
        (scenario, number)
        for scenario in SCENARIOS
        for number in (signal.SIGTERM, signal.SIGINT)
        # There asyncio itself hears the first Ctrl-C, and only when the loop runs again.
        if (scenario, number) != ("in_async_step", signal.SIGINT)
    ],
)
def test_a_signal_ends_the_run_with_all_its_facts(
    place: Place, scenario: str, number: signal.Signals
) -> None:
    ended = _stop(place, scenario, number)

    def look(facts: Facts) -> None:
        root = facts.root("stopped")
        expected = CRASHED if number == signal.SIGTERM else CANCELLED
        assert (root.state.type, bool(root.state.message)) == (expected, True)
        assert "SIGTERM" in str(root.state.message) or number == signal.SIGINT
        runs = facts.store.runs(RunQuery())
        assert [run.name for run in runs if run.ended is None] == []
        by_unit = {run.unit: run.state.type for run in runs}
        assert by_unit.pop("quick" if scenario != "in_wait" else "stopped")
        assert COMPLETED in {run.state.type for run in runs if run.unit == "quick"}
        assert {by_unit[unit] for unit in by_unit if unit != "quick"} <= {CRASHED, CANCELLED}
        assert any(line.startswith("ended ") for line in facts.lines(root))

    place.read(look)
    assert ended.code == -number, ended.err  # the shell says 128 + number


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["in_deaf_wait", "in_async_deaf"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_thread_in_a_blocking_call_does_not_keep_the_process(
    place: Place, scenario: str, number: signal.Signals
) -> None:
    ended = _stop(place, scenario, number)
    assert ended.code == -number, ended.err

    def look(facts: Facts) -> None:
        assert facts.root("stopped").state.type in {CRASHED, CANCELLED}
        assert facts.unfinished() == []

    place.read(look)


def test_a_second_ctrl_c_does_not_wait_for_what_does_not_hear(place: Place) -> None:
    program = place.start("stopped.py", "in_queue")
    program.wait_for("ready")
    program.process.send_signal(signal.SIGINT)
    place.wait_until(_has_let_go)  # or the two signals would be one
    program.process.send_signal(signal.SIGINT)
    assert program.end().code == -signal.SIGINT

    def look(facts: Facts) -> None:
        assert facts.root("stopped").state.type is CANCELLED
        assert facts.unfinished() == []

    place.read(look)
