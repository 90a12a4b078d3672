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


def processes(count: int, peer: Library | None) -> list[Row]:
    """Measure `.map` over processes, their start included, and once they are there."""
    ours = OURS.run("processes", count)
    theirs = peer.run("processes", min(count, 200)) if peer else {}
    what = f".map of {count} over processes, their start included, each"
    warm = Row("... once they are there", ours["warm"], "us", ours["bare_warm"], "bare pool", 1000)
    return [
        Row(what, ours["cold"], "us", ours["bare_cold"], "bare pool", 1000).against(
            theirs.get("cold")
        ),
        warm.against(theirs.get("warm")),
    ]


def cache(count: int, peer: Library | None) -> list[Row]:
    """Measure a task whose result is found, and one whose result has to be made and kept."""
    ours = OURS.run("cache", count)
    theirs = peer.run("cache", min(count, 100)) if peer else {}
    hit = Row("a hit in the cache", ours["hit"], "us", ours["read"], "a file read", 150)
    miss = Row("... a miss, and the result kept", ours["miss"], "us", ours["write"], "one written")
    return [hit.against(theirs.get("hit")), miss.against(theirs.get("miss"))]


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
