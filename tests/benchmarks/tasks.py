"""What a task run costs: in sequence, mapped over threads, and in memory."""

from __future__ import annotations

from tests.benchmarks.fresh import OURS, Library
from tests.benchmarks.rows import Row


def sequence(count: int, peer: Library | None) -> list[Row]:
    """Measure a task called in a loop, its flush included."""
    ours = OURS.run("sequence", count)
    floors = OURS.run("floors", count)
    theirs = peer.run("sequence", min(count, 200))["us"] if peer else None
    what = f"a task in sequence, recorded, of {count}"
    return [
        Row(what, ours["us"], "us", floors["insert_us"], "insert", 40).against(theirs),
        Row("... beside a bare call", ours["us"], "us", floors["call_us"], "call"),
    ]


def mapped(count: int, peer: Library | None) -> list[Row]:
    """Measure `.map` over threads, its flush included."""
    ours = OURS.run("mapped", count)
    floors = OURS.run("floors", count)
    theirs = peer.run("mapped", min(count, 200))["us"] if peer else None
    what = f".map of {count} on threads, recorded, each"
    row = Row(what, ours["us"], "us", floors["pool_us"], "pool", 100)
    return [row.against(theirs)]


def memory(counts: list[int], peer: Library | None) -> list[Row]:
    """Measure how memory grows with the number of tasks, each number in a fresh process."""
    rows = []
    for how in ("called", "mapped"):
        found = {count: OURS.run("memory", how, count)["kb"] for count in counts}
        theirs = peer.run("memory", how, 200)["kb"] / 200 if peer else None
        for count, grown in found.items():
            each = grown / count
            row = Row(f"memory, {how}, {count} tasks, each", each, "kB")
            rows.append(row.against(theirs) if count == counts[0] else row)
        slope = (found[counts[-1]] - found[counts[0]]) / (counts[-1] - counts[0])
        rows.append(Row(f"... slope from {counts[0]} to {counts[-1]}", slope, "kB"))
    return rows
