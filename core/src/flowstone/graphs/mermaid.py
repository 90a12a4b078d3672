"""A graph as a Mermaid flowchart, which Markdown pages render."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.graphs.parts import INCOMPLETE, join_lines
from flowstone.records.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.graphs.parts import Edge, Node

#: Characters with a meaning in a Mermaid label, and their entity codes; "#" is first.
_CODES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"}
_COLOURS = {
    "good": "fill:#d9f2e1,stroke:#2e7d4f,color:#1b3b29",
    "bad": "fill:#f9d9d6,stroke:#b3261e,color:#4a0f0b",
    "stopped": "fill:#fdf0cf,stroke:#9a6b00,color:#453000",
    "open": "fill:#dbe9fb,stroke:#2f5f9e,color:#14304f",
}


def write_flowchart(nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """Return the text, without a newline at its end."""
    lines = ["flowchart LR", *(f"  {_write_node(node)}" for node in nodes)]
    for edge in edges:
        arrow = "-->" if edge.kind == "input" else "-.->"
        lines.append(f"  n{edge.begin} {arrow} n{edge.end}")
    used = {node.outcome for node in nodes}
    lines += [f"  classDef {name} {_COLOURS[name]}" for name in _COLOURS if name in used]
    return "\n".join(lines)


def _write_node(node: Node) -> str:
    states = ", ".join(
        f"{tally.count:,} {tally.name}" if node.folded else tally.name for tally in node.states
    )
    took = "" if node.folded or not states else f" · {format_duration(node.took)}"
    text = _escape(node.label) + (f"<br/>{_escape(states + took)}" if states else "")
    text += f"<br/>{INCOMPLETE}" if node.is_incomplete else ""
    text += f"<br/>{_escape(node.badge)}" if node.tests else ""
    begin, end = ("[[", "]]") if node.kind == "flow" else ("(", ")")
    outcome = "" if node.outcome is None else f":::{node.outcome}"
    return f'n{node.number}{begin}"{text}"{end}{outcome}'


def _escape(text: str) -> str:
    return "".join(_CODES.get(char, char) for char in join_lines(text))
