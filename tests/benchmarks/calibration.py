"""A loop that needs the processor alone, so that figures of different machines compare."""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING

from tests.benchmarks.rows import Row

if TYPE_CHECKING:
    from tests.benchmarks.fresh import Library


def calibration(count: int, peer: Library | None) -> list[Row]:
    """Measure a loop of additions, in the processor's time."""
    least = min(_loop(count) for _ in range(15))
    return [Row("calibration: an addition of a loop, least", 1e9 * least / count, "ns")]


def _loop(count: int) -> float:
    began, total = process_time(), 0
    for number in range(count):
        total += number
    return process_time() - began
