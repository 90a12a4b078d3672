"""The contents of the boxes of a picture, and their sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from flowstone.graphs.drawing.layout import Size
from flowstone.graphs.parts import INCOMPLETE, join_lines
from flowstone.records.durations import format_duration

if TYPE_CHECKING:
    from flowstone.graphs.parts import Node, Tally

#: Font sizes, in pixels.
TITLE, FACTS = 13.0, 11.5
#: The padding of a box; the width of a mark with its gap, large and small.
PAD, MARK, SMALL_MARK = 12.0, 24.0, 17.0
#: The gap between tallies; the offset of the cards behind a folded one.
BETWEEN, STACK = 12.0, 6.0
LINE, HIGH = 32.0, 48.0
_LONGEST = 34


@dataclass(frozen=True, slots=True)
class Card:
    """The text of a box.

    Attributes:
        title: the run's name, or the flow's or task's for a folded node.
        count: the number of runs for a folded node; and a mark if its inputs are incomplete.
        facts: the run's state and duration; empty if there are tallies, or if it has not run.
        tallies: for a folded node, the number of runs by state.
        mark: for a single run, its state.
        size: the size of the box, which fits all of its text.
    """

    title: str
    count: str
    facts: str
    tallies: tuple[Tally, ...]
    mark: Tally | None
    size: Size


def make_card(node: Node) -> Card:
    """Return the card of a run or of a folded node."""
    title, count = _format_title(node), _format_count(node)
    facts = _format_facts(node)
    tallies = node.states if node.folded else ()
    mark = node.states[0] if node.states and not node.folded else None
    first = measure_text(title, TITLE) + (measure_text(f" {count}", FACTS) + 4 if count else 0)
    second = measure_text(facts, FACTS) + sum(measure_tally(tally) for tally in tallies)
    width = 2 * PAD + (MARK if mark else 0) + max(first, second)
    stack = STACK if node.folded else 0
    height = HIGH if node.states else LINE
    return Card(title, count, facts, tallies, mark, Size(width + stack, height + stack))


def make_header(node: Node) -> Card:
    """Return the card of a flow run's frame: all text on one line."""
    title, facts = _format_title(node), _format_facts(node)
    count = _format_count(node)
    if not node.folded and node.name != node.unit:
        facts = " · ".join(filter(None, (f"flow {_shorten(node.unit)}", facts)))
    tallies = node.states if node.folded else ()
    mark = node.states[0] if node.states and not node.folded else None
    words = measure_text(title, TITLE) + sum(measure_tally(tally) for tally in tallies)
    words += sum(BETWEEN + measure_text(text, FACTS) for text in (count, facts) if text)
    return Card(
        title, count, facts, tallies, mark, Size(2 * PAD + (MARK if mark else 0) + words, LINE)
    )


def measure_tally(tally: Tally) -> float:
    return SMALL_MARK + measure_text(f"{tally.count:,}", FACTS) + BETWEEN


def measure_text(text: str, size: float) -> float:
    """Return the maximum width of a text in common fonts, in pixels."""
    return sum(_measure_char(char) for char in text) * size


def _measure_char(char: str) -> float:
    """Return an upper bound of a character's width in the widest common font: bold DejaVu Sans."""
    if east_asian_width(char) in {"W", "F"}:
        return 1.2
    if ord(char) > 0x2FF or char in "mwMW@%":
        return 1.11
    if char in " .,:;|!'ijl-()[]·":
        return 0.46
    return 0.88 if char.isupper() or char in "+=<>&#~^" else 0.72


def _format_count(node: Node) -> str:
    count = f"\N{MULTIPLICATION SIGN}{len(node.runs):,}" if node.folded else ""
    return " · ".join(filter(None, (count, INCOMPLETE if node.is_incomplete else "")))


def _format_title(node: Node) -> str:
    return _shorten(node.unit if node.folded else node.name)


def _shorten(text: str) -> str:
    line = join_lines(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _format_facts(node: Node) -> str:
    if node.folded or not node.states:
        return node.badge
    took = "" if node.took is None else format_duration(node.took)
    again = f"{node.attempts} attempts" if node.attempts > 1 else ""
    return " · ".join(filter(None, (_shorten(node.states[0].name), took, again, node.badge)))
