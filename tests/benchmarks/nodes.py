"""What a run for each node of a dbt project costs, beside `dbt build` alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.fresh import OURS, Library
from tests.benchmarks.rows import Row
from tests.services.dbt_projects import write_large_project

if TYPE_CHECKING:
    from collections.abc import Callable


def nodes(count: int, rounds: int, peer: Library | None) -> list[Row]:
    """Measure builds of a project on DuckDB, in turn; all of them parse only what changed."""
    with tempfile.TemporaryDirectory() as home:
        folder = write_large_project(Path(home, "shop"), count)

        def build_alone() -> None:
            command = [str(Path(sys.executable).with_name("dbt")), "build", "--profiles-dir", "."]
            env = OURS.environment(home)
            subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True)

        def build_in_flow() -> None:
            OURS.run("dbt_build", folder, 1)

        build_alone()  # parsed from now on
        alone, ours, warm, theirs = [], [], [], []
        for _ in range(rounds):
            alone.append(_time(build_alone))
            ours.append(_time(build_in_flow))
            warm.append(1000 * OURS.run("dbt_build", folder, 2)["last"])
            if peer is not None:
                theirs.append(_time(partial(peer.run, "dbt_build", folder, 1)))
        floor = median(alone)
        found = Row(
            f"dbt build, {count} nodes, each a task run", median(ours), "ms", floor, "dbt build",
            1.05 * floor,
        )  # fmt: skip
        again = Row(
            "the same by a process that is warm", median(warm), "ms", floor, "dbt build", floor
        )
        return [found.against(median(theirs)) if theirs else found, again]


def _time(work: Callable[[], object]) -> float:
    begin = perf_counter()
    work()
    return 1000 * (perf_counter() - begin)
