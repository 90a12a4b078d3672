"""`flowstone run graph`: prints the graph of a run as a Mermaid diagram or an SVG picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowstone.cli.candidates import complete_runs
from flowstone.cli.output import emit, json_option, say
from flowstone.cli.run.attempts import Attempts
from flowstone.cli.run.choice import find_run
from flowstone.context.current import services
from flowstone.errors import ConfigurationError
from flowstone.flow_runs.subruns import find_tree
from flowstone.graphs import build_graph

if TYPE_CHECKING:
    from flowstone.graphs import Graph

#: The beginnings of files that this command has written; it overwrites no others.
_OURS = ("flowchart LR\n  n0", '<svg xmlns="http://www.w3.org/2000/svg" class="flowstone-graph"')
_SUFFIXES = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid"}
#: Suffixes of files that may contain any text.
_TEXTS = ("", ".md", ".txt")


@click.command("graph")
@click.argument("run", shell_complete=complete_runs)
@click.option("--all", "whole", is_flag=True, help="Draw every run of long maps.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "svg"]),
    help="By default, the format of the file's suffix, or else mermaid.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Write to a file; - is standard output.",
)
@json_option
def show_graph(run: str, whole: bool, form: str | None, output: Path | None, as_json: bool) -> None:
    """Print the graph of a run as a Mermaid diagram, or draw it as SVG.

    A solid arrow means that a result was passed to a run, and a dotted arrow that a run called
    another. Many calls of one task are one node. For a run that was retried, the last attempt is
    shown. Markdown pages draw Mermaid between ```mermaid and ```; every browser shows SVG.
    """
    if as_json and (form or output):
        raise click.UsageError("--json prints a JSON document: omit --format and -o.")
    store = services().runs
    found = find_run(run)
    tree = find_tree(found.root_id)
    last = Attempts(store, tree).keep_last(tree)
    tree = last if found in last else tree
    graph = build_graph(found, tree, now=services().clock.time(), whole=whole)
    if as_json:
        emit(_describe(graph))
        return
    to_file = output is not None and str(output) != "-"
    suffix = output.suffix.lower() if output is not None and to_file else ""
    if form is None and suffix not in {*_SUFFIXES, *_TEXTS}:
        problem = f"{suffix!r} is not the suffix of a known format"
        remedy = "Use .svg or .mmd, or --format."
        raise ConfigurationError(f"-o {output}", problem, remedy)
    form = form or _SUFFIXES.get(suffix, "mermaid")
    text = graph.svg() if form == "svg" else graph.mermaid()
    if output is not None and to_file:
        _write(output, text)
    else:
        say(text)


def _write(path: Path, text: str) -> None:
    """Write a file; overwrite an older graph, but no other file.

    Raises:
        ConfigurationError: there is another file, or it can't be written.
    """
    try:
        if path.exists() and path.stat().st_size and not _is_ours(path):
            problem = "the file exists already, and was not written by this command"
            raise ConfigurationError(f"-o {path}", problem, "Name another file, or remove it.")
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        problem = f"it can't be written: {error.strerror}"
        raise ConfigurationError(f"-o {path}", problem, "Name another file.") from error


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        begin = file.read(max(map(len, _OURS)))
    return begin.startswith(tuple(mark.encode() for mark in _OURS))


def _describe(graph: Graph) -> dict[str, object]:
    return {
        "nodes": [
            {
                "id": node.number,
                "kind": node.kind,
                "unit": node.unit,
                "label": node.label,
                "states": {tally.name: tally.count for tally in node.states},
                "runs": list(node.runs),
                "is_incomplete": node.is_incomplete,
                "tests": {tally.name: tally.count for tally in node.tests},
            }
            for node in graph.nodes
        ],
        "edges": [{"from": edge.begin, "to": edge.end, "kind": edge.kind} for edge in graph.edges],
    }
