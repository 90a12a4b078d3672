"""`flowstone run graph`: what went into what, as a graph in Mermaid's words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from flowstone.ambient import services
from flowstone.cli.output import emit, json_option, say
from flowstone.cli.runtree import FOLD, Children
from flowstone.cli.views import printable
from flowstone.cli.wording import duration, lasted
from flowstone.runs import RunQuery
from flowstone.states import CANCELLED, COMPLETED, CRASHED, FAILED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowstone.runs import Run

#: Characters that mean something in a label of Mermaid's, as its entity codes; "#" is first.
_CODES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"}
_COLOURS = {
    "good": "fill:#d9f2e1,stroke:#2e7d4f,color:#1b3b29",
    "bad": "fill:#f9d9d6,stroke:#b3261e,color:#4a0f0b",
    "stopped": "fill:#fdf0cf,stroke:#9a6b00,color:#453000",
    "open": "fill:#dbe9fb,stroke:#2f5f9e,color:#14304f",
}


@dataclass(slots=True)
class Node:
    """A run, or many runs of one flow or task that one run called.

    Attributes:
        number: its place in the graph.
        runs: the runs that it stands for.
        folded: whether it stands for many.
        above: the node of the run that called it.
    """

    number: int
    folded: bool
    above: Node | None
    runs: list[Run] = field(default_factory=list)

    @property
    def label(self) -> str:
        first = self.runs[0]
        return f"{first.unit}, {len(self.runs):,} runs" if self.folded else first.name

    @property
    def states(self) -> dict[str, int]:
        return dict(Counter(run.state.name for run in self.runs))

    @property
    def colour(self) -> str:
        kinds = {run.state.type for run in self.runs}
        if kinds & {FAILED, CRASHED}:
            return "bad"
        if CANCELLED in kinds:
            return "stopped"
        return "good" if kinds == {COMPLETED} else "open"


@dataclass(frozen=True, slots=True)
class Edge:
    """``input``: a result went from one to the other; ``call``: the one called the other."""

    begin: int
    end: int
    kind: str


class Graph:
    """The graph of a run and all that it called.

    A call is drawn only where no input from a sibling says already where a run hangs.
    """

    def __init__(self, top: Run, tree: Iterable[Run], *, whole: bool = False) -> None:
        runs = list(Children(tree).below(top))
        calls = Counter((run.parent_id, run.unit) for run in runs)
        self.nodes: list[Node] = []
        self._of: dict[str, Node] = {}
        folds: dict[tuple[int, str], Node] = {}
        for run in runs:
            above = None if run is top else self._of[run.parent_id or ""]
            folded = above is not None and (above.folded or calls[run.parent_id, run.unit] > FOLD)
            if folded and not whole and above is not None:
                node = folds.get((above.number, run.unit)) or self._new(above, folded=True)
                folds[above.number, run.unit] = node
            else:
                node = self._new(above, folded=False)
            node.runs.append(run)
            self._of[run.id] = node
        self.edges = list(dict.fromkeys(self._edges()))

    def _new(self, above: Node | None, *, folded: bool) -> Node:
        node = Node(len(self.nodes), folded, above)
        self.nodes.append(node)
        return node

    def _edges(self) -> Iterator[Edge]:
        for node in self.nodes:
            keys = dict.fromkeys(key for run in node.runs for key in run.inputs)
            given = {self._of[key].number: self._of[key] for key in keys if key in self._of}
            given.pop(node.number, None)
            for other in given.values():
                yield Edge(other.number, node.number, "input")
            if node.above and not any(other.above is node.above for other in given.values()):
                yield Edge(node.above.number, node.number, "call")

    def mermaid(self, now: float) -> str:
        """Return the graph as a flowchart."""
        lines = ["flowchart LR", *(f"  {_drawn(node, now)}" for node in self.nodes)]
        for edge in self.edges:
            arrow = "-->" if edge.kind == "input" else "-.->"
            lines.append(f"  n{edge.begin} {arrow} n{edge.end}")
        used = {node.colour for node in self.nodes}
        lines += [f"  classDef {name} {_COLOURS[name]}" for name in _COLOURS if name in used]
        return "\n".join(lines)

    def record(self) -> dict[str, object]:
        """Return the graph as `--json` prints it."""
        return {
            "nodes": [
                {
                    "id": node.number,
                    "kind": node.runs[0].kind,
                    "unit": node.runs[0].unit,
                    "label": node.label,
                    "states": node.states,
                    "runs": [run.id for run in node.runs],
                }
                for node in self.nodes
            ],
            "edges": [
                {"from": edge.begin, "to": edge.end, "kind": edge.kind} for edge in self.edges
            ],
        }


def _drawn(node: Node, now: float) -> str:
    states = ", ".join(
        f"{count:,} {name}" if node.folded else name for name, count in node.states.items()
    )
    took = "" if node.folded else f" · {lasted(duration(node.runs[0], now))}"
    text = f"{_label(node.label)}<br/>{_label(states + took)}"
    begin, end = ("[[", "]]") if node.runs[0].kind == "flow" else ("(", ")")
    return f'n{node.number}{begin}"{text}"{end}:::{node.colour}'


def _label(text: str) -> str:
    line = " ".join(printable(text).split())
    return "".join(_CODES.get(char, char) for char in line)


@click.command("graph")
@click.argument("run")
@click.option("--all", "whole", is_flag=True, help="Draw long maps in full.")
@json_option
def show_graph(run: str, whole: bool, as_json: bool) -> None:
    """Print the graph of a run, as text that Mermaid draws.

    A solid arrow says that a result went into a run; a dotted one that a run called another. What
    one run called many times is one node. Put the text where Mermaid is drawn, as in a Markdown
    file between ```mermaid and ```.
    """
    store = services().runs
    found = store.run(run)
    graph = Graph(found, store.runs(RunQuery(root_id=found.root_id)), whole=whole)
    if as_json:
        emit(graph.record())
    else:
        say(graph.mermaid(services().clock.time()))
