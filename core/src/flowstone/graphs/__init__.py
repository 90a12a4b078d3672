"""Graphs of runs and their dependencies, as Mermaid flowcharts and as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.graphs.graph import Graph, build_graph
    from flowstone.graphs.parts import Edge, Node, Tally

__all__ = [
    "Edge",
    "Graph",
    "Node",
    "Tally",
    "build_graph",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".graph": ("Graph", "build_graph"),
            ".parts": ("Edge", "Node", "Tally"),
        },
    )
