"""What comes of much: very many tasks in one flow, and many large results."""

from __future__ import annotations

from tests.benchmarks.fresh import OURS, Library
from tests.benchmarks.rows import Row

#: Megabytes that a flow may take over what it began with, however many tasks it has.
MEMORY = 64
#: The same for many results: the window, the threads' copies, and what the allocator keeps.
LARGE_MEMORY = 160

#: So many tasks are over in a second.
SHORT = 10_000

MILLIONS = {"called": ("a task called", 40), "streamed": ("a task of .map with a window", 100)}
RESULTS = {
    "called": "called",
    "streamed": ".map with a window",
    "completed": "as_completed by windows",
    "persisted": ".map with a window, persisted",
}


def million(counts: list[int], peer: Library | None) -> list[Row]:
    """Measure tasks by the ever more in one flow: each takes the same time, and no memory stays."""
    rows = []
    for how, (what, budget) in MILLIONS.items():
        found = {count: _many(how, count) for count in counts}
        least = found[counts[0]]
        for count, figures in found.items():
            where = f"{what}, of {count:,} in one flow"
            first = f"of {counts[0]:,}"
            rows.append(Row(where, figures["us"], "us", least["us"], first, budget))
            rows.append(Row("... of the processor", figures["cpu"], "us", least["cpu"], first))
            rows.append(Row("... memory, more", figures["kb"] / 1e3, "MB", budget=MEMORY))
        most = found[counts[-1]]
        rows.append(Row("... of the store's file, each", 1e3 * most["file_mb"] / counts[-1], "kB"))
        rows.append(Row("... of its log, all in all", most["log_mb"], "MB", budget=MEMORY))
    return rows


def _many(how: str, count: int) -> dict[str, float]:
    """Return the best of three where that takes no time: what else the machine does only adds."""
    runs = [OURS.run("million", how, count) for _ in range(3 if count <= SHORT else 1)]
    return min(runs, key=lambda figures: figures["us"])


def results(count: int, persisted: int, kilobytes: int, peer: Library | None) -> list[Row]:
    """Measure the most memory that tasks with large results take, each in a fresh process."""
    rows = []
    for how, what in RESULTS.items():
        number = persisted if how == "persisted" else count
        figures = OURS.run("results", how, number, kilobytes)
        all_of_them = number * kilobytes * 1024 / 1e6
        where = f"memory, {number:,} results of {kilobytes} kB, {what}"
        row = Row(where, figures["mb"], "MB", all_of_them, "all of them", LARGE_MEMORY)
        rows += [row, Row("... each takes", figures["us"], "us")]
    return rows
