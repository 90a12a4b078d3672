"""What a graph of runs is made of: nodes and edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flowstone.records.states import CANCELLED, CANCELLING, COMPLETED, CRASHED, FAILED

if TYPE_CHECKING:
    from flowstone.records.runs import Kind
    from flowstone.records.states import StateType


#: The tag of a run that only tests the result of another.
TEST = "data-test"
#: What a node says where its run was given more than is looked at.
INCOMPLETE = "not all inputs known"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many runs are in a state."""

    name: str
    type: StateType
    count: int


@dataclass(frozen=True, slots=True)
class Node:
    """A run, or many runs of one flow or task that one run called.

    Attributes:
        number: its place in the graph.
        kind: of what: ``flow`` or ``task``.
        unit: the flow's or task's name.
        name: the run's name; that of the first, where it stands for many.
        runs: the ids of the runs that it stands for.
        folded: whether it stands for many.
        group: the number of the flow run around it; None for the outermost.
        states: the states of its runs; none where they have not run.
        took: seconds that the run took, or has taken by now; None for many, and where unknown.
        attempts: how often the run was started; of many, the most.
        is_incomplete: whether more may have gone into it than the graph knows.
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
        """How the tests of its results ended, in a few words; empty where there are none."""
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
        """What it is called, in a line."""
        return f"{self.unit}, {len(self.runs):,} runs" if self.folded else self.name

    @property
    def outcome(self) -> Literal["good", "bad", "stopped", "open"] | None:
        """How its runs and their tests are, as a whole; None where they have not run."""
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
    """``input``: a result went from one to the other; ``call``: the one called the other."""

    begin: int
    end: int
    kind: Literal["input", "call"]


def join_lines(text: str) -> str:
    """Return a text on one line, with what can't be seen marked as that."""
    shown = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
    return shown or "\ufffd"
