"""Graphs of runs: what went into what, as Mermaid's text and as pictures."""

from flowstone.graphs.graph import Graph, graph_of
from flowstone.graphs.parts import Edge, Node, Tally

__all__ = ["Edge", "Graph", "Node", "Tally", "graph_of"]
