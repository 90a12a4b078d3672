"""What it costs to begin: imports, a first flow, the command, and many installed plugins."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from tests.benchmarks.fresh import OURS, PROGRAMS, Library, Times, timed
from tests.benchmarks.rows import Row

PLUGINS, OTHERS = 12, 300
#: How many times bare Python's start an import, and a first flow, may take.
IMPORT, HELLO = 5, 8


def imports(rounds: int, peer: Library | None) -> list[Row]:
    """Measure `from flowstone import flow, task`, Python's start included."""
    full, bare = _import(OURS, rounds)
    theirs = _import(peer, min(rounds, 3))[0].middle if peer else None
    what = "import flow and task, Python's start included"
    row = Row(f"{what}, median", full.middle, "ms", bare.middle, "bare", times=IMPORT)
    return [
        row.against(theirs),
        Row("... least", full.least, "ms", bare.least, "bare", times=IMPORT),
        Row("... over bare Python, least", full.least - bare.least, "ms", budget=60),
        Row(
            "... of the processor, least", min(full.cpu), "ms", min(bare.cpu), "bare", times=IMPORT
        ),
    ]


def _import(library: Library, rounds: int) -> tuple[Times, Times]:
    code = f"from {library.module} import flow, task"
    python = library.python
    found = timed(library, {"bare": [python, "-c", ""], "full": [python, "-c", code]}, rounds)
    return found["full"], found["bare"]


def hello(rounds: int, peer: Library | None) -> list[Row]:
    """Measure `python hello.py`: one flow, one task, kept in SQLite."""
    ours, bare = _hello(OURS, rounds)
    row = Row("cold hello flow, kept in SQLite", ours.middle, "ms", bare.middle, "bare", 150, HELLO)
    return [
        row.against(_hello(peer, 1)[0].middle if peer else None),
        Row("... least", ours.least, "ms", bare.least, "bare", 150, HELLO),
        Row("... of the processor, least", min(ours.cpu), "ms", min(bare.cpu), "bare", times=HELLO),
    ]


def _hello(library: Library, rounds: int) -> tuple[Times, Times]:
    program = str(PROGRAMS / "hello.py")
    commands = {
        "full": [library.python, program, library.module],
        "bare": [library.python, "-c", ""],
    }
    found = timed(library, commands, rounds)
    return found["full"], found["bare"]


def command(rounds: int, peer: Library | None) -> list[Row]:
    """Measure `flowstone --help`."""
    ours = _help(OURS, rounds)
    theirs = _help(peer, 1) if peer else None
    return [Row("flowstone --help", ours, "ms", budget=150).against(theirs)]


def _help(library: Library, rounds: int) -> float:
    script = Path(library.python).parent / library.module
    return timed(library, {"help": [str(script), "--help"]}, rounds)["help"].middle


def discovery(rounds: int, peer: Library | None) -> list[Row]:
    """Measure what 12 plugins among 300 other distributions cost the first look."""
    with tempfile.TemporaryDirectory() as site, tempfile.TemporaryDirectory() as none:
        _install(Path(site))
        runs = [
            (OURS.run("discovery", PYTHONPATH=site), OURS.run("discovery", PYTHONPATH=none))
            for _ in range(rounds + 1)
        ][1:]
    full = median(one["ms"] for one, _ in runs)
    bare = median(other["ms"] for _, other in runs)
    assert all(one["tasks"] - other["tasks"] == 5 * PLUGINS for one, other in runs)
    what = f"discovery, {PLUGINS} plugins among {OTHERS} others, more"
    return [Row(what, full - bare, "ms", bare, "without", 30)]


def _install(site: Path) -> None:
    for number in range(PLUGINS + OTHERS):
        name = f"made_up_{number}"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (site / f"{name}.py").write_text(_PLUGIN.format(name=name))
        group = "flowstone" if number < PLUGINS else "console_scripts"
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}\n")


_PLUGIN = """
from flowstone.plugins import Collection, hookimpl

@hookimpl
def collection():
    names = [f"{name}_{{number}}" for number in range(5)]
    return Collection(tasks={{name: f"{name}.tasks:{{name}}" for name in names}})
"""
