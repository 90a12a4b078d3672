"""The layout of a graph: in columns, with edges to the right and without overlapping boxes."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The gaps between the boxes of a column, and of a row.
GAP, COLUMN_GAP = 18.0, 64.0
#: Number of passes that improve the order within columns, and then the heights.
_SWEEPS = 8
#: The weight of a bend, relative to a box.
_LIGHT = 0.001
#: Minimum width of a row of boxes without edges, in boxes of average width.
_PER_ROW = 5


class Size(NamedTuple):
    width: float
    height: float


class Point(NamedTuple):
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Layout:
    """The positions of everything.

    Attributes:
        corners: the upper left corner of each box.
        paths: the points of each edge, from its source to its target.
        size: the total size.
    """

    corners: tuple[Point, ...]
    paths: tuple[tuple[Point, ...], ...]
    size: Size


def arrange(sizes: Sequence[Size], edges: Sequence[tuple[int, int]]) -> Layout:
    """Lay out boxes of these sizes; boxes without edges are in rows below the rest.

    Args:
        sizes: the sizes of the boxes, in reading order, which is used unless edges decide.
        edges: pairs of indexes in `sizes`. An edge that closes a cycle goes to the left.
    """
    tied = sorted({place for edge in edges for place in edge})
    new = {place: number for number, place in enumerate(tied)}
    corners: dict[int, Point] = {}
    grid = _Grid([sizes[place] for place in tied], [(new[a], new[b]) for a, b in edges])
    corners.update(zip(tied, grid.corners, strict=True))
    loose = [place for place in range(len(sizes)) if place not in new]
    top = grid.size.height + (GAP if tied and loose else 0)
    size = _arrange_rows(sizes, loose, corners, top, grid.size.width)
    whole = Size(max(size.width, grid.size.width), size.height if loose else grid.size.height)
    return Layout(tuple(corners[place] for place in range(len(sizes))), tuple(grid.paths), whole)


def _arrange_rows(
    sizes: Sequence[Size], loose: list[int], corners: dict[int, Point], top: float, width: float
) -> Size:
    """Put boxes into rows, like words in a text; return the new width and height."""
    if not loose:
        return Size(0, top)
    mean = sum(sizes[place].width for place in loose) / len(loose)
    most = max(width, min(len(loose), max(_PER_ROW, len(loose) ** 0.5)) * (mean + GAP))
    x, y, high, wide = 0.0, top, 0.0, 0.0
    for place in loose:
        if x and x + sizes[place].width > most:
            x, y, high = 0.0, y + high + GAP, 0.0
        corners[place] = Point(x, y)
        wide = max(wide, x + sizes[place].width)
        high = max(high, sizes[place].height)
        x += sizes[place].width + GAP
    return Size(wide, y + high)


class _Grid:
    """The columns of the boxes that have edges.

    An edge that spans several columns has a bend, a box without size, in each column between. Edges
    that share an end may share their bends, at whichever of the two ends saves more.
    """

    def __init__(self, sizes: Sequence[Size], edges: Sequence[tuple[int, int]]) -> None:
        self._boxes = range(len(sizes))
        self._sizes = list(sizes)
        forward = _break_circles(len(sizes), edges)
        self._column = _assign_columns(len(sizes), set(forward))
        self._bends: dict[tuple[int, bool, int], int] = {}
        self._chains = self._make_chains(list(dict.fromkeys(forward)))
        self._before: dict[int, list[int]] = defaultdict(list)
        self._behind: dict[int, list[int]] = defaultdict(list)
        pairs = (pair for chain in self._chains.values() for pair in pairwise(chain))
        for one, other in dict.fromkeys(pairs):
            self._behind[one].append(other)
            self._before[other].append(one)
        self._orders: list[list[int]] = [[] for _ in range(max(self._column, default=-1) + 1)]
        for place, column in enumerate(self._column):
            self._orders[column].append(place)
        self._order()
        self._middle = self._find_heights()
        self._place()
        self.paths = [
            self._find_path(edge, ahead=edge == asked)
            for edge, asked in zip(forward, edges, strict=True)
        ]

    def _make_chains(self, edges: list[tuple[int, int]]) -> dict[tuple[int, int], list[int]]:
        """Return the boxes and bends of each edge."""
        out, into = Counter(begin for begin, _ in edges), Counter(end for _, end in edges)
        chains: dict[tuple[int, int], list[int]] = {}
        for begin, end in edges:
            at_begin = out[begin] > into[end]
            between = range(self._column[begin] + 1, self._column[end])
            bends = [
                self._make_bend(begin if at_begin else end, at_begin, column) for column in between
            ]
            chains[begin, end] = [begin, *bends, end]
        return chains

    def _make_bend(self, place: int, at_begin: bool, column: int) -> int:
        key = (place, at_begin, column)
        if key not in self._bends:
            self._bends[key] = len(self._sizes)
            self._sizes.append(Size(0, 0))
            self._column.append(column)
        return self._bends[key]

    # ------------------------------------------------------------ order within columns

    def _order(self) -> None:
        """Order each column by its neighbors' positions, to and fro; use the best order seen."""
        best, fewest = [list(order) for order in self._orders], self._count_crossings()
        for sweep in range(_SWEEPS):
            if not fewest:
                break
            ahead = sweep % 2 == 0
            columns = self._orders[1:] if ahead else self._orders[-2::-1]
            near = self._before if ahead else self._behind
            for order in columns:
                self._sort(order, near)
            crossings = self._count_crossings()
            if crossings < fewest:
                best, fewest = [list(order) for order in self._orders], crossings
        self._orders = best

    def _sort(self, order: list[int], near: dict[int, list[int]]) -> None:
        ranks = self._rank()
        own = {
            place: sum(ranks[other] for other in near[place]) / len(near[place])
            if near.get(place)
            else ranks[place]
            for place in order
        }
        order.sort(key=own.__getitem__)

    def _rank(self) -> dict[int, int]:
        return {place: rank for order in self._orders for rank, place in enumerate(order)}

    def _count_crossings(self) -> int:
        ranks, crossings = self._rank(), 0
        for order in self._orders:
            seen: list[int] = []
            for place in order:
                ends = sorted(ranks[other] for other in self._behind.get(place, ()))
                crossings += sum(len(seen) - _count_above(seen, end) for end in ends)
                for end in ends:
                    insort(seen, end)
        return crossings

    # ------------------------------------------------------------ heights

    def _find_heights(self) -> dict[int, float]:
        """Return the middle of each box: near its neighbors, and without overlaps."""
        middle: dict[int, float] = {}
        for order in self._orders:
            middle.update(zip(order, self._spread(order, [0.0] * len(order)), strict=True))
        for sweep in range(_SWEEPS + 1):
            ahead = sweep % 2 == 0
            near = self._before if ahead else self._behind
            for order in self._orders[1:] if ahead else self._orders[-2::-1]:
                wanted = [self._find_wanted(place, near, middle) for place in order]
                middle.update(zip(order, self._spread(order, wanted), strict=True))
        return middle

    def _find_wanted(
        self, place: int, near: dict[int, list[int]], middle: dict[int, float]
    ) -> float:
        """Return the middle of the neighbors; for a box with boxes as neighbors, only of those.

        So a chain of boxes is straight, whatever other edges begin or end there.
        """
        others = near[place]
        if place in self._boxes:
            others = [other for other in others if other in self._boxes] or others
        return _average([middle[other] for other in others], middle[place])

    def _spread(self, order: list[int], wanted: list[float]) -> list[float]:
        """Return the middles closest to the wanted ones, in order and without overlaps.

        After subtracting the space taken above each box, they only have to be ascending; so
        neighbors in the wrong order are pooled into a block, at the mean of their wanted positions.
        Bends give way to boxes.
        """
        offsets, offset = [], 0.0
        for rank, place in enumerate(order):
            if rank:
                offset += (self._sizes[order[rank - 1]].height + self._sizes[place].height) / 2
                offset += GAP
            offsets.append(offset)
        blocks: list[tuple[float, float, int]] = []
        for place, wish, offset in zip(order, wanted, offsets, strict=True):
            weight = 1.0 if place in self._boxes else _LIGHT
            total, count = (wish - offset) * weight, 1
            while blocks and blocks[-1][0] / blocks[-1][1] >= total / weight:
                more, much, many = blocks.pop()
                total, weight, count = total + more, weight + much, count + many
            blocks.append((total, weight, count))
        starts = [total / weight for total, weight, count in blocks for _ in range(count)]
        return [start + offset for start, offset in zip(starts, offsets, strict=True)]

    # ------------------------------------------------------------ coordinates

    def _place(self) -> None:
        highest = min(
            (self._middle[p] - s.height / 2 for p, s in enumerate(self._sizes)), default=0
        )
        self._left: list[float] = []
        self._right: list[float] = []
        x = 0.0
        for order in self._orders:
            self._left.append(x)
            self._right.append(x + max(self._sizes[place].width for place in order))
            x = self._right[-1] + COLUMN_GAP
        self._middle = {place: middle - highest for place, middle in self._middle.items()}
        self.corners = [
            Point(
                self._left[self._column[place]],
                self._middle[place] - self._sizes[place].height / 2,
            )
            for place in self._boxes
        ]
        low = (self._middle[p] + size.height / 2 for p, size in enumerate(self._sizes))
        self.size = Size(max(self._right, default=0.0), max(low, default=0.0))

    def _find_path(self, edge: tuple[int, int], *, ahead: bool) -> tuple[Point, ...]:
        begin, *bends, end = self._chains[edge]
        points = [self._find_side(begin, right=True)]
        for bend in bends:
            column = self._column[bend]
            points.append(Point(self._left[column], self._middle[bend]))
            points.append(Point(self._right[column], self._middle[bend]))
        points.append(self._find_side(end, right=False))
        return tuple(points if ahead else reversed(points))

    def _find_side(self, place: int, *, right: bool) -> Point:
        width = self._sizes[place].width if right else 0.0
        return Point(self._left[self._column[place]] + width, self._middle[place])


def _break_circles(count: int, edges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the edges, reversed where they would close a cycle."""
    behind: dict[int, list[int]] = defaultdict(list)
    for begin, end in edges:
        behind[begin].append(end)
    open_, done = set[int](), set[int]()
    backward: set[tuple[int, int]] = set()
    for start in range(count):
        if start in done:
            continue
        open_.add(start)
        path = [(start, iter(behind[start]))]
        while path:
            place, rest = path[-1]
            following = next(rest, None)
            if following is None:
                path.pop()
                open_.discard(place)
                done.add(place)
            elif following in open_:
                backward.add((place, following))
            elif following not in done:
                open_.add(following)
                path.append((following, iter(behind[following])))
    return [(end, begin) if (begin, end) in backward else (begin, end) for begin, end in edges]


def _assign_columns(count: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """Return the column of each box: after its predecessors; without any, near its successor."""
    behind: dict[int, list[int]] = defaultdict(list)
    missing = [0] * count
    for begin, end in edges:
        behind[begin].append(end)
        missing[end] += 1
    column = [0] * count
    firsts = [place for place in range(count) if not missing[place]]
    ready = list(firsts)
    for place in ready:
        for following in behind[place]:
            column[following] = max(column[following], column[place] + 1)
            missing[following] -= 1
            if not missing[following]:
                ready.append(following)
    for place in firsts:
        if behind[place]:
            column[place] = min(column[following] for following in behind[place]) - 1
    return column


def _count_above(ranks: list[int], rank: int) -> int:
    """Return how many of the sorted ranks are not greater."""
    return bisect_left(ranks, rank + 1)


def _average(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
