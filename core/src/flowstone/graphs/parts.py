"""The parts of a graph of runs: nodes and edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flowstone.records.states import CANCELLED, CANCELLING, COMPLETED, CRASHED, FAILED

if TYPE_CHECKING:
    from flowstone.records.runs import Kind
    from flowstone.records.states import StateType


#: The tag of a run that only tests the result of another.
TEST = "data-test"
#: The mark of a node whose run has more inputs than were inspected.
INCOMPLETE = "not all inputs known"


@dataclass(frozen=True, slots=True)
class Tally:
    """The number of runs in a state."""

    name: str
    type: StateType
    count: int


@dataclass(frozen=True, slots=True)
class Node:
    """A run, or many runs of one flow or task that one run called.

    Attributes:
        number: its index in the graph.
        kind: ``flow`` or ``task``.
        unit: the flow's or task's name.
        name: the run's name; for a folded node, that of the first run.
        runs: the ids of its runs.
        folded: whether it has many runs.
        group: the number of the flow run around it; None for the outermost.
        states: the states of its runs; empty if they have not run.
        took: the duration of the run so far, in seconds; None for a folded node, or if unknown.
        attempts: the number of times the run was started; for a folded node, the maximum.
        is_incomplete: whether it may have more inputs than the graph shows.
        tests: the states of the runs that test its results.
    """

    number: int
    kind: Kind
    unit: str
    name: str
    runs: tuple[str, ...]
    folded: bool = False
    group: int | None = None
    states: tuple[Tally, ...] = ()
    took: float | None = None
    attempts: int = 1
    is_incomplete: bool = False
    tests: tuple[Tally, ...] = ()

    @property
    def badge(self) -> str:
        """The outcome of the tests of its results, in a few words; empty if there are none."""
        count = sum(tally.count for tally in self.tests)
        if not count:
            return ""
        words = "1 test" if count == 1 else f"{count:,} tests"
        bad = [tally for tally in self.tests if tally.type is not COMPLETED]
        bad += [tally for tally in self.tests if tally.name == "Warning"]
        told = [f"{tally.count:,} {tally.name.lower()}" for tally in bad]
        return f"{words}: {', '.join(told)}" if told else f"{words} passed"

    @property
    def label(self) -> str:
        """Its label, on one line."""
        return f"{self.unit}, {len(self.runs):,} runs" if self.folded else self.name

    @property
    def outcome(self) -> Literal["good", "bad", "stopped", "open"] | None:
        """The overall outcome of its runs and their tests; None if they have not run."""
        kinds = {tally.type for tally in self.states}
        if not kinds:
            return None
        if (kinds | {tally.type for tally in self.tests}) & {FAILED, CRASHED}:
            return "bad"
        if kinds & {CANCELLED, CANCELLING}:
            return "stopped"
        return "good" if kinds == {COMPLETED} else "open"


@dataclass(frozen=True, slots=True)
class Edge:
    """``input``: a result of one is an input of the other; ``call``: one called the other."""

    begin: int
    end: int
    kind: Literal["input", "call"]


def join_lines(text: str) -> str:
    """Return a text on one line, with invisible characters marked."""
    shown = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
    return shown or "\ufffd"
