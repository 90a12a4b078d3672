"""Many tasks in many processes on one store: nobody hears of locks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from flowstone.records.runs import RunQuery
from flowstone.records.states import COMPLETED

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Facts, Place

PROCESSES = 4
RUNS, SOAK_RUNS = 20, 400


@pytest.mark.slow
def test_processes_share_a_store_in_silence(place: Place, request: pytest.FixtureRequest) -> None:
    runs = SOAK_RUNS if request.config.getoption("--soak") else RUNS
    programs = [place.start("crowd.py", str(runs // PROCESSES)) for _ in range(PROCESSES)]
    ends = [program.end() for program in programs]
    said = [line for end in ends for line in end.err.splitlines()]
    # What a run says of its beginning and end on standard error is all there is.
    assert [line for line in said if "| INFO " not in line] == []
    assert [end.code for end in ends] == [0] * PROCESSES

    def look(facts: Facts) -> None:
        kept = facts.store.runs(RunQuery())
        assert {run.state.type for run in kept} == {COMPLETED}
        sizes = Counter(run.root_id for run in kept)
        assert list(sizes.values()) == [201] * runs

    place.read(look)
