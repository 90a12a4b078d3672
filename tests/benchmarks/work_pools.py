"""Work pools: how soon a worker executes what is due, and what a claim costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.fresh import OURS
from tests.benchmarks.rows import Row

if TYPE_CHECKING:
    from tests.benchmarks.fresh import Library

#: How many times bare Python's start it may take from when a run is due until its flow runs.
DUE = 3


def due_runs(rounds: int, peer: Library | None) -> list[Row]:
    """Measure how long a due run waits for its flow's code to run, in a worker that has begun."""
    found = OURS.run("due_runs", rounds)
    theirs = peer.run("due_runs", 3) if peer else {}
    what = "a due run until its flow runs, in a worker"
    row = Row(f"{what}, median", found["due"], "ms", found["bare"], "bare", times=DUE)
    return [
        row.against(theirs.get("due")),
        Row("... the longest", found["most"], "ms", found["bare"], "bare").against(
            theirs.get("most")
        ),
    ]


def claims(scheduled: int, claimed: int, _: Library | None) -> list[Row]:
    """Measure a claim with so many scheduled runs in the store."""
    found = OURS.run("claims", scheduled, claimed)
    what = f"a claim of a run, beside {scheduled:,} scheduled ones"
    return [
        Row(f"{what}, median", found["middle"], "ms"),
        Row("... 99 of 100 are sooner", found["p99"], "ms", budget=50),
    ]
