"""Many tasks in many processes on one store: nobody hears of locks."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from flowstone.runs import RunQuery
from flowstone.states import COMPLETED

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Facts, Place

PROCESSES = 4
#: `make soak` sets more.
RUNS = int(os.environ.get("FLOWSTONE_TEST_CROWDS", "20"))


@pytest.mark.slow
def test_processes_share_a_store_in_silence(place: Place) -> None:
    programs = [place.start("crowd.py", str(RUNS // PROCESSES)) for _ in range(PROCESSES)]
    ends = [program.end() for program in programs]
    said = [line for end in ends for line in end.err.splitlines()]
    # What a run says of its beginning and end on standard error is all there is.
    assert [line for line in said if "| INFO " not in line] == []
    assert [end.code for end in ends] == [0] * PROCESSES

    def look(facts: Facts) -> None:
        runs = facts.store.runs(RunQuery())
        assert {run.state.type for run in runs} == {COMPLETED}
        sizes = Counter(run.root_id for run in runs)
        assert list(sizes.values()) == [201] * RUNS

    place.read(look)
