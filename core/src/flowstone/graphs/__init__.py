"""Graphs of runs: what went into what, as Mermaid's text and as pictures."""

from flowstone.graphs.graph import Graph, build_graph
from flowstone.graphs.parts import Edge, Node, Tally

__all__ = ["Edge", "Graph", "Node", "Tally", "build_graph"]
