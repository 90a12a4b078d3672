"""What a validation costs beside Great Expectations alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.fresh import OURS
from tests.benchmarks.rows import Row

if TYPE_CHECKING:
    from tests.benchmarks.fresh import Library


def validations(count: int, rounds: int, _: Library | None) -> list[Row]:
    """Measure a frame of many rows against seven expectations; Prefect has none."""
    found = OURS.run("validations", count, rounds)
    floor = 1000 * found["plain"]
    what = f"a frame validated, {count:,} rows, 7 expectations"
    return [Row(what, 1000 * found["ours"], "ms", floor, "GX", 1.1 * floor)]
