"""The positions in a picture: flow runs are frames that contain what they called."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstone.graphs.drawing.cards import LINE, Card, make_card, make_header
from flowstone.graphs.drawing.layout import Layout, Point, Size, arrange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.graphs.parts import Edge, Node

#: The padding of a frame; its header is above that.
INSET, HEADER = 18.0, LINE + 6


@dataclass(frozen=True, slots=True)
class Placed:
    """A box or a frame, by its upper left corner."""

    node: Node
    card: Card
    corner: Point
    size: Size


@dataclass(frozen=True, slots=True)
class Scene:
    """The positioned picture; outer frames come first.

    Attributes:
        paths: each drawn edge, with its points. Calls of a flow run have no edge: its frame shows
            them.
    """

    frames: tuple[Placed, ...]
    boxes: tuple[Placed, ...]
    paths: tuple[tuple[Edge, tuple[Point, ...]], ...]
    size: Size


@dataclass(frozen=True, slots=True)
class _Inside:
    """A node without a position: its size, and its contents."""

    node: Node
    card: Card
    size: Size
    members: tuple[_Inside, ...] = ()
    edges: tuple[Edge, ...] = ()
    layout: Layout | None = None


def make_scene(nodes: Sequence[Node], edges: Sequence[Edge]) -> Scene:
    """Lay out the nodes of a graph; the first one is the outermost."""
    measured = _measure(nodes, edges)
    frames: list[Placed] = []
    boxes: list[Placed] = []
    paths: list[tuple[Edge, tuple[Point, ...]]] = []
    waiting = [(measured, Point(0, 0))]
    while waiting:
        inside, corner = waiting.pop()
        placed = Placed(inside.node, inside.card, corner, inside.size)
        if inside.layout is None:
            boxes.append(placed)
            continue
        frames.append(placed)
        origin = Point(corner.x + INSET, corner.y + HEADER)
        members = list(zip(inside.members, inside.layout.corners, strict=True))
        for member, at in reversed(members):  # so that the first one is processed next
            waiting.append((member, Point(origin.x + at.x, origin.y + at.y)))
        for edge, points in zip(inside.edges, inside.layout.paths, strict=True):
            moved = tuple(Point(origin.x + p.x, origin.y + p.y) for p in points)
            paths.append((edge, moved))
    return Scene(tuple(frames), tuple(boxes), tuple(paths), measured.size)


def _measure(nodes: Sequence[Node], edges: Sequence[Edge]) -> _Inside:
    """Return the outermost node with its contents; inner nodes have higher numbers."""
    within: dict[int | None, list[int]] = defaultdict(list)
    for node in nodes:
        within[node.group].append(node.number)
    ties = _lift_edges(nodes, edges)
    made: dict[int, _Inside] = {}
    for node in reversed(nodes):
        members = tuple(made.pop(number) for number in within[node.number])
        if node.kind == "flow" and (members or node.group is None):
            made[node.number] = _make_frame(node, members, ties[node.number])
        else:
            card = make_card(node)
            made[node.number] = _Inside(node, card, card.size)
    return made[nodes[0].number]


def _make_frame(
    node: Node, members: tuple[_Inside, ...], ties: list[tuple[Edge, int, int]]
) -> _Inside:
    members = _even_out(members)
    place = {member.node.number: number for number, member in enumerate(members)}
    pairs = {(place[begin], place[end]): edge for edge, begin, end in ties}
    layout = arrange([member.size for member in members], list(pairs))
    header = make_header(node)
    width = max(header.size.width, layout.size.width + 2 * INSET)
    height = HEADER + (layout.size.height + INSET if members else 0)
    size = Size(width, height)
    return _Inside(node, header, size, members, tuple(pairs.values()), layout)


def _even_out(members: tuple[_Inside, ...]) -> tuple[_Inside, ...]:
    """Make boxes as wide as the widest, which looks calmer."""
    widest = max((each.size.width for each in members if each.layout is None), default=0.0)
    return tuple(
        each
        if each.layout is not None
        else _Inside(each.node, each.card, Size(widest, each.size.height))
        for each in members
    )


def _lift_edges(
    nodes: Sequence[Node], edges: Sequence[Edge]
) -> dict[int, list[tuple[Edge, int, int]]]:
    """Return the edges to draw in each frame, with the two members that each of them connects."""
    ties: dict[int, list[tuple[Edge, int, int]]] = defaultdict(list)
    for edge in edges:
        begin, end = _find_frames(nodes, edge.begin), _find_frames(nodes, edge.end)
        if edge.kind == "call" and nodes[edge.begin].kind == "flow":
            continue
        common = next((number for number in begin if number in end), None)
        if common is None:
            continue
        one, other = begin[common], end[common]
        if one is not None and other is not None and one != other:
            ties[common].append((edge, one, other))
    return ties


def _find_frames(nodes: Sequence[Node], number: int) -> dict[int, int | None]:
    """Return each frame around a node, innermost first, with its member that contains the node."""
    ways: dict[int, int | None] = {number: None}
    group = nodes[number].group
    while group is not None:
        ways[group] = number
        number, group = group, nodes[group].group
    return ways
