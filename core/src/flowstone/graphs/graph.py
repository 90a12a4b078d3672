"""The graph of a run and everything that it called."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flowstone.errors import ConfigurationError
from flowstone.graphs.mermaid import write_flowchart
from flowstone.graphs.parts import TEST, Edge, Node, Tally
from flowstone.graphs.tree import FOLD, Children
from flowstone.records.durations import duration
from flowstone.records.runs import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowstone.records.runs import Run

#: Text browsers, which would take over the terminal of a program that opens them.
_OF_TERMINALS = {"elinks", "links", "lynx", "w3m", "www-browser"}


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph of runs: data dependencies and calls; a notebook displays it as a picture.

    Attributes:
        nodes: the runs; the outermost one is first. Each flow run is the group of the nodes that
            have its number as their `group`.
        edges: the edges between nodes, by their numbers.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def __str__(self) -> str:
        return self.mermaid()

    def mermaid(self) -> str:
        """Return the graph as a Mermaid flowchart."""
        return write_flowchart(self.nodes, self.edges)

    def svg(self) -> str:
        """Return the graph as a self-contained SVG picture, for light and dark pages."""
        # Takes 5 ms to import; only needed by a program that draws.
        from flowstone.graphs.drawing.svg import draw_svg

        return draw_svg(self.nodes, self.edges)

    def _repr_svg_(self) -> str:
        return self.svg()

    def save(self, path: str | Path) -> Path:
        """Write the graph to a file, and return its path.

        Args:
            path: ends with ``.svg`` for a picture; with ``.mmd`` or ``.mermaid`` for Mermaid.

        Raises:
            ConfigurationError: it ends with something else.
        """
        path = Path(path)
        forms = {".svg": self.svg, ".mmd": self.mermaid, ".mermaid": self.mermaid}
        form = forms.get(path.suffix.lower())
        if form is None:
            problem = f"graphs can't be saved as {path.suffix!r}"
            remedy = f"Use a name that ends with one of {', '.join(forms)}."
            raise ConfigurationError(f"a graph's file {str(path)!r}", problem, remedy)
        path.write_text(f"{form()}\n", encoding="utf-8")
        return path

    def show(self) -> None:
        """Open the picture in the browser; without one, do nothing."""
        # These take 10 ms to import; only needed to show a picture.
        import webbrowser
        from tempfile import NamedTemporaryFile

        with suppress(webbrowser.Error):
            browser = webbrowser.get()
            if getattr(browser, "name", None) in _OF_TERMINALS:
                return
            with NamedTemporaryFile(prefix="flowstone-", suffix=".svg", delete=False) as file:
                path = self.save(file.name)
            browser.open(path.as_uri())


def build_graph(
    top: Run, tree: Iterable[Run], *, now: float, whole: bool = False, ran: bool = True
) -> Graph:
    """Return the graph of a run.

    A call is only an edge if no input from a sibling already connects the run.

    Args:
        top: the run.
        tree: the runs of its tree, in the order of their calls; others are ignored.
        now: seconds since the epoch, for the duration of unfinished runs.
        whole: whether to draw a node for each run, even of long maps.
        ran: False if the runs were only planned, and have no states.
    """
    runs, tests = _split_tests(list(Children(tree).below(top)))
    folder = _Folder(runs, whole=whole)
    nodes = tuple(_make_node(draft, tests, now, ran=ran) for draft in folder.drafts)
    return Graph(nodes, tuple(dict.fromkeys(folder.find_edges())))


def _split_tests(runs: list[Run]) -> tuple[list[Run], dict[str, list[Run]]]:
    """Return the runs without tests of another run's result, and these by the other's id."""
    known = {run.id for run in runs}
    used = {key for run in runs for key in (*run.inputs, run.parent_id)}
    tests: dict[str, list[Run]] = {}
    rest: list[Run] = []
    for run in runs:
        inputs = [key for key in run.inputs if key in known]
        if TEST in run.tags and inputs and run.id not in used:
            tests.setdefault(inputs[-1], []).append(run)
        else:
            rest.append(run)
    return rest, tests


class _Draft:
    """A node that is still being built."""

    def __init__(self, number: int, above: _Draft | None, *, folded: bool) -> None:
        self.number, self.above, self.folded = number, above, folded
        self.runs: list[Run] = []

    @property
    def group(self) -> int | None:
        above = self.above
        while above is not None and above.runs[0].kind != "flow":
            above = above.above
        return None if above is None else above.number


class _Folder:
    """Assigns runs to nodes: many runs of one unit, called by one run in one wave, are one node."""

    def __init__(self, runs: list[Run], *, whole: bool) -> None:
        calls = Counter((run.parent_id, run.unit) for run in runs)
        waves = _count_waves(runs)
        self.drafts: list[_Draft] = []
        self._of: dict[str, _Draft] = {}
        folds: dict[tuple[int, str, int], _Draft] = {}
        for run in runs:
            above = None if run is runs[0] else self._of[run.parent_id or ""]
            many = above is not None and (above.folded or calls[run.parent_id, run.unit] > FOLD)
            if many and not whole and above is not None:
                key = (above.number, run.unit, waves[run.id])
                draft = folds.get(key) or self._new(above, folded=True)
                folds[key] = draft
            else:
                draft = self._new(above, folded=False)
            draft.runs.append(run)
            self._of[run.id] = draft

    def _new(self, above: _Draft | None, *, folded: bool) -> _Draft:
        draft = _Draft(len(self.drafts), above, folded=folded)
        self.drafts.append(draft)
        return draft

    def find_edges(self) -> Iterator[Edge]:
        for draft in self.drafts:
            keys = dict.fromkeys(key for run in draft.runs for key in run.inputs)
            given = {self._of[key].number: self._of[key] for key in keys if key in self._of}
            given.pop(draft.number, None)
            for other in given.values():
                yield Edge(other.number, draft.number, "input")
            if draft.above and not any(other.above is draft.above for other in given.values()):
                yield Edge(draft.above.number, draft.number, "call")


def _count_waves(runs: list[Run]) -> dict[str, int]:
    """Return, for each run, the maximum number of changes of unit on the paths to it from siblings.

    Runs of the same unit and wave can be one node without closing a cycle: with ``f.map``,
    ``g.map``
    of its results and again ``f.map`` of those, ``f`` has two nodes.
    """
    seen: dict[str, Run] = {}
    waves: dict[str, int] = {}
    for run in runs:
        before = [seen[key] for key in run.inputs if key in seen]
        waves[run.id] = max(
            (
                waves[other.id] + (other.unit != run.unit)
                for other in before
                if other.parent_id == run.parent_id
            ),
            default=0,
        )
        seen[run.id] = run
    return waves


def _count_states(runs: Iterable[Run]) -> tuple[Tally, ...]:
    states = Counter((run.state.name, run.state.type) for run in runs)
    return tuple(Tally(*state, count) for state, count in states.items())


def _make_node(draft: _Draft, tests: dict[str, list[Run]], now: float, *, ran: bool) -> Node:
    first = draft.runs[0]
    return Node(
        draft.number,
        first.kind,
        first.unit,
        first.name,
        tuple(run.id for run in draft.runs),
        draft.folded,
        draft.group,
        _count_states(draft.runs) if ran else (),
        None if draft.folded or not ran else duration(first, now),
        max(run.attempt for run in draft.runs),
        any(UNKNOWN in run.inputs for run in draft.runs),
        _count_states(test for run in draft.runs for test in tests.get(run.id, ())),
    )
