"""What a task run costs: in sequence, mapped over threads, and in memory."""

from __future__ import annotations

from tests.benchmarks.fresh import OURS, Library
from tests.benchmarks.rows import Row

#: How many times a pair of upserts a task's run may cost, in a loop and mapped.
SEQUENCE, MAPPED = 7, 13
#: How many times a program and its floor are measured in turn.
ROUNDS = 5


def sequence(count: int, peer: Library | None) -> list[Row]:
    """Measure a task called in a loop, its flush included."""
    floors, *runs = _alternate(
        ("floors", count), ("sequence", count, "sync"), ("sequence", count, "async")
    )
    rows = []
    for how, ours in zip(("sync", "async"), runs, strict=True):
        theirs = peer.run("sequence", min(count, 200), how)["us"] if peer else None
        what = f"{'an async' if how == 'async' else 'a'} task in sequence, recorded, of {count}"
        times = SEQUENCE if how == "sync" else None
        row = Row(what, ours["us"], "us", floors["upserts_us"], "two upserts", times=times)
        rows += [
            row.against(theirs),
            Row("... beside a bare call", ours["us"], "us", floors["call_us"], "call"),
        ]
    return rows


def mapped(count: int, peer: Library | None) -> list[Row]:
    """Measure `.map` over threads, its flush included."""
    floors, ours = _alternate(("floors", count), ("mapped", count))
    theirs = peer.run("mapped", min(count, 200))["us"] if peer else None
    what = f".map of {count} on threads, recorded, each"
    row = Row(what, ours["us"], "us", floors["upserts_us"], "two upserts", times=MAPPED)
    return [
        row.against(theirs),
        Row("... beside a pool", ours["us"], "us", floors["pool_us"], "pool"),
    ]


def _alternate(*programs: tuple[object, ...]) -> list[dict[str, float]]:
    """Run programs in turn, several times; return the least of each figure of each program.

    The speed of a shared machine changes by half within seconds: in turn, each program meets the
    same fast moments.
    """
    rounds = [[OURS.run(str(name), *args) for name, *args in programs] for _ in range(ROUNDS)]
    return [
        {name: min(run[name] for run in runs) for name in runs[0]}
        for runs in zip(*rounds, strict=True)
    ]


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


def cluster(engine: str, count: int, rounds: int, _: Library | None) -> list[Row]:
    """Measure `.map` of tasks of a millisecond over two workers, beside the engine's own calls."""
    ours = OURS.run("clusters", engine, "calls", count, rounds)
    what = f".map of {count} over two workers of {engine}, 1 ms each"
    return [Row(what, ours["ours"], "us", ours["bare"], engine, times=1.3)]


def cluster_values(engine: str, count: int, size: int, _: Library | None) -> list[Row]:
    """Count the bytes that move when large values go from task to task, beside the engine's own."""
    moved = OURS.run("clusters", engine, "bytes", count, size)
    what = f"moved for {count} values of {size / 1e6:g} MB from task to task by {engine}"
    # What stays where it was made moves nothing; then both say no more than messages.
    floor = max(moved["bare"], count * size / 1e8)
    return [Row(what, moved["ours"], "MB", floor, f"{engine}, or 1 %", times=1.2)]


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
