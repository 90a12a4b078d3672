from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from flowstone.graphs.drawing.layout import Layout, Point, Size, arrange

sizes = st.lists(st.builds(Size, st.floats(20, 300), st.floats(20, 200)), min_size=1, max_size=30)


@st.composite
def graphs(draw: st.DrawFn, *, forward: bool) -> tuple[list[Size], list[tuple[int, int]]]:
    boxes = draw(sizes)
    places = st.integers(0, len(boxes) - 1)
    pairs = draw(st.lists(st.tuples(places, places), max_size=60))
    edges = dict.fromkeys((min(a, b), max(a, b)) if forward else (a, b) for a, b in pairs if a != b)
    return boxes, list(edges)


def test_nothing_takes_no_room() -> None:
    assert arrange([], []) == Layout((), (), Size(0, 0))


@given(graphs(forward=False))
def test_no_two_boxes_overlap_and_all_are_inside(
    graph: tuple[list[Size], list[tuple[int, int]]],
) -> None:
    boxes, edges = graph
    layout = arrange(boxes, edges)
    places = list(zip(layout.corners, boxes, strict=True))
    for (one, size), (other, other_size) in combinations(places, 2):
        beside = one.x + size.width <= other.x or other.x + other_size.width <= one.x
        above = one.y + size.height <= other.y or other.y + other_size.height <= one.y
        assert beside or above
    for corner, size in places:
        assert corner.x >= 0
        assert corner.y >= -0.001
        assert corner.x + size.width <= layout.size.width + 0.001
        assert corner.y + size.height <= layout.size.height + 0.001


@given(graphs(forward=True))
def test_all_edges_go_to_the_right_from_box_to_box(
    graph: tuple[list[Size], list[tuple[int, int]]],
) -> None:
    boxes, edges = graph
    layout = arrange(boxes, edges)
    for (begin, end), path in zip(edges, layout.paths, strict=True):
        xs = [point.x for point in path]
        assert xs == sorted(xs)
        left, right = layout.corners[begin], layout.corners[end]
        assert path[0] == Point(left.x + boxes[begin].width, path[0].y)
        assert path[-1].x == right.x
        assert left.y <= path[0].y <= left.y + boxes[begin].height
        assert right.y <= path[-1].y <= right.y + boxes[end].height


@given(graphs(forward=True))
def test_edges_keep_clear_of_the_boxes_between(
    graph: tuple[list[Size], list[tuple[int, int]]],
) -> None:
    boxes, edges = graph
    layout = arrange(boxes, edges)
    for path in layout.paths:
        for one, other in zip(path[1:-1:2], path[2:-1:2], strict=True):
            assert one.y == other.y
            for corner, size in zip(layout.corners, boxes, strict=True):
                beside = corner.x >= other.x or corner.x + size.width <= one.x
                assert beside or not corner.y < one.y < corner.y + size.height


def test_a_circle_has_an_edge_to_the_left() -> None:
    layout = arrange([Size(10, 10)] * 3, [(0, 1), (1, 2), (2, 0)])
    ahead = [path[0].x < path[-1].x for path in layout.paths]
    assert ahead == [True, True, False]


def test_neighbours_stand_side_by_side() -> None:
    chain = arrange([Size(10, 10)] * 4, [(0, 1), (1, 2), (2, 3)])
    assert len({corner.y for corner in chain.corners}) == 1
    # What goes only into the third stands next to that.
    late = arrange([Size(10, 10)] * 4, [(0, 1), (1, 2), (3, 2)])
    assert late.corners[3].x == late.corners[1].x


def test_lines_cross_only_where_they_must() -> None:
    layout = arrange([Size(10, 10)] * 6, [(0, 5), (1, 4), (2, 3)])
    heights = [layout.corners[place].y for place in range(6)]
    assert heights[0] == heights[5]
    assert heights[1] == heights[4]
    assert heights[2] == heights[3]


def test_what_has_no_edges_comes_in_rows_in_order() -> None:
    layout = arrange([Size(10, 10)] * 12, [])
    assert list(layout.corners) == sorted(layout.corners, key=lambda corner: (corner.y, corner.x))
    assert len({corner.y for corner in layout.corners}) == 3


def test_a_chain_is_straight_whatever_else_goes_to_its_end() -> None:
    chain = [(place, place + 1) for place in range(11)]
    layout = arrange([Size(10, 10)] * 12, [*chain, *((place, 11) for place in range(10))])
    assert max(corner.y for corner in layout.corners) - min(c.y for c in layout.corners) < 1
