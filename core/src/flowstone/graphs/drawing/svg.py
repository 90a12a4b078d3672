"""A graph as a self-contained SVG picture: without scripts, fonts or other files."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from zlib import crc32

from flowstone.graphs.drawing.cards import (
    BETWEEN,
    FACTS,
    MARK,
    PAD,
    SMALL_MARK,
    STACK,
    TITLE,
    measure_tally,
    measure_text,
)
from flowstone.graphs.drawing.layout import Size
from flowstone.graphs.drawing.scene import HEADER, make_scene
from flowstone.graphs.drawing.style import MARKS, find_mark, write_style_sheet
from flowstone.graphs.parts import join_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowstone.graphs.drawing.layout import Point
    from flowstone.graphs.drawing.scene import Placed
    from flowstone.graphs.parts import Edge, Node, Tally

_MARGIN = 12.0
_TIP = (
    '<marker id="{}-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'markerUnits="userSpaceOnUse" orient="auto"><path class="tip" d="M0 .6L7.4 4L0 7.4z"/></marker>'
)


def draw_svg(nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """Return the picture of a graph, whose first node is the outermost."""
    scene = make_scene(nodes, edges)
    inner = [
        *(line for frame in scene.frames for line in _draw_frame(frame)),
        *(_draw_edge(edge, points) for edge, points in scene.paths),
        *(line for box in scene.boxes for line in _draw_box(box)),
    ]
    title, told = _escape(nodes[0].label), _escape(_summarize(nodes))
    # Several pictures may be on one page, which share ids and class names.
    own = f"g{crc32(chr(10).join([title, *inner]).encode()):08x}"
    left, width, height = -_MARGIN, *(round(length + 2 * _MARGIN) for length in scene.size)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flowstone-graph" width="{width}"'
        f' height="{height}" viewBox="{left:g} {left:g} {width} {height}" role="img"'
        f' aria-labelledby="{own}-title {own}-desc">'
    )
    lines = [head, f'<title id="{own}-title">{title}</title>']
    lines.append(f'<desc id="{own}-desc">{told}</desc>')
    lines += [f"<style>{write_style_sheet()}</style>", f"<defs>{_TIP.format(own)}</defs>"]
    lines.append(_draw_rect(left, left, Size(width, height), "page", 0))
    lines += [line.replace("url(#tip)", f"url(#{own}-tip)") for line in inner]
    return "\n".join([*lines, "</svg>"])


def _summarize(nodes: Sequence[Node]) -> str:
    """Return the text alternative of the picture, for screen readers."""
    runs = sum(len(node.runs) for node in nodes) - 1
    states: Counter[str] = Counter()
    for node in nodes[1:]:
        for tally in node.states:
            states[tally.name] += tally.count
    told = ", ".join(f"{count:,} {name}" for name, count in states.items())
    top = nodes[0].states[0].name if nodes[0].states else "not run"
    calls = f"{runs:,} run{'' if runs == 1 else 's'}"
    return f"{nodes[0].kind} {nodes[0].unit}: {top}. It called {calls}{f': {told}' * bool(told)}."


def _draw_frame(placed: Placed) -> Iterator[str]:
    corner, card = placed.corner, placed.card
    nested = "" if placed.node.group is None else " nested"
    yield f'<g class="frame{nested}">{_draw_hover(placed.node)}'
    yield _draw_rect(corner.x, corner.y, placed.size, f"frame{_format_outcome(placed.node)}", 12)
    x, middle = corner.x + PAD, corner.y + HEADER / 2
    if card.mark:
        yield _draw_mark(card.mark, x, middle - 8, 16)
        x += MARK
    words = card.count or card.facts
    more = f'<tspan class="facts" dx="{BETWEEN:g}">{_escape(words)}</tspan>' if words else ""
    title = f'<tspan class="title">{_escape(card.title)}</tspan>'
    yield f'<text x="{x:.1f}" y="{middle + 4.5:.1f}">{title}{more}</text>'
    x += measure_text(card.title, TITLE) + (BETWEEN + measure_text(words, FACTS) if words else 0)
    yield from _draw_tallies(card.tallies, x + BETWEEN, middle + 4.5)
    yield "</g>"


def _draw_box(placed: Placed) -> Iterator[str]:
    node, card, (x, y) = placed.node, placed.card, placed.corner
    stack = STACK if node.folded else 0.0
    size = Size(placed.size.width - stack, card.size.height - stack)
    round_ = 14 if node.kind == "flow" else 8
    yield f'<g class="node">{_draw_hover(node)}'
    for step in (stack, stack / 2) if stack else ():
        yield _draw_rect(x + step, y + step, size, f"card{_format_outcome(node)}", round_)
    yield _draw_rect(x, y, size, f"card{_format_outcome(node)}", round_)
    left = x + PAD
    if card.mark:
        yield _draw_mark(card.mark, left, y + size.height / 2 - 8, 16)
        left += MARK
    second = bool(card.facts or card.tallies)
    base = y + (20 if second else size.height / 2 + 4.5)
    yield _draw_text(card.title, left, base, "title")
    if card.count:
        yield _draw_text(card.count, x + size.width - PAD, base, "facts end")
    if card.facts:
        yield _draw_text(card.facts, left, y + 37, "facts")
    yield from _draw_tallies(card.tallies, left, y + 37)
    yield "</g>"


def _draw_tallies(tallies: Sequence[Tally], x: float, base: float) -> Iterator[str]:
    for tally in tallies:
        yield _draw_mark(tally, x, base - 10, 12)
        yield _draw_text(f"{tally.count:,}", x + SMALL_MARK, base, "facts")
        x += measure_tally(tally)


def _draw_mark(tally: Tally, x: float, y: float, size: float) -> str:
    kind = find_mark(tally)
    scale = "" if size == 16 else f" scale({size / 16:g})"
    return f'<g class="mark {kind}" transform="translate({x:.1f} {y:.1f}){scale}">{MARKS[kind]}</g>'


def _draw_edge(edge: Edge, points: Sequence[Point]) -> str:
    """Draw a curve that is horizontal at its ends and in each bend."""
    begin, *rest = points
    path = [f"M{begin.x:.1f} {begin.y:.1f}"]
    for number, point in enumerate(rest):
        if number % 2:
            path.append(f"H{point.x:.1f}")
        else:
            half = (begin.x + point.x) / 2
            path.append(
                f"C{half:.1f} {begin.y:.1f} {half:.1f} {point.y:.1f} {point.x:.1f} {point.y:.1f}"
            )
        begin = point
    return f'<path class="edge {edge.kind}" d="{"".join(path)}" marker-end="url(#tip)"/>'


def _draw_rect(x: float, y: float, size: Size, kind: str, round_: float) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{size.width:.1f}" '
        f'height="{size.height:.1f}" rx="{round_:g}"/>'
    )


def _draw_text(text: str, x: float, y: float, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{_escape(text)}</text>'


def _format_outcome(node: Node) -> str:
    return "" if node.outcome is None else f" {node.outcome}"


def _draw_hover(node: Node) -> str:
    """Return the tooltip: the full names."""
    told = ", ".join(
        f"{tally.count:,} {tally.name}" if node.folded else tally.name for tally in node.states
    )
    lines = [node.label, f"{node.kind} {node.unit}", told]
    return f"<title>{_escape('; '.join(filter(None, lines)))}</title>"


def _escape(text: str) -> str:
    codes = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    return "".join(codes.get(char, char) for char in join_lines(text))
