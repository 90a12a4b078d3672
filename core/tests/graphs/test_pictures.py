from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.errors import ConfigurationError
from flowstone.graphs import Graph, build_graph
from flowstone.graphs.drawing.cards import FACTS, TITLE, measure_text
from flowstone.graphs.drawing.scene import make_scene
from flowstone.graphs.drawing.style import COLOURS, MARKS, find_mark
from flowstone.graphs.parts import Tally
from flowstone.records.runs import Run
from flowstone.records.states import COMPLETED, FAILED, State, StateType

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.graphs.drawing.scene import Placed
    from flowstone.records.runs import Kind

SVG = "{http://www.w3.org/2000/svg}"
#: Advance widths of bold DejaVu Sans, the widest font that people commonly have, in ems.
WIDTHS = {
    "a": 0.675, "e": 0.678, "i": 0.343, "l": 0.343, "m": 1.042, "n": 0.712, "o": 0.687, "r": 0.493,
    "t": 0.478, "w": 0.924, "M": 0.995, "O": 0.850, "W": 1.103, "0": 0.696, "_": 0.5, "-": 0.415,
    " ": 0.348, "&": 0.872, "<": 0.838, "%": 1.002,
}  # fmt: skip


def run(
    key: str,
    unit: str,
    parent: str | None = None,
    kind: Kind = "task",
    inputs: tuple[str, ...] = (),
    state: State | None = None,
    name: str = "",
    tags: tuple[str, ...] = (),
) -> Run:
    state = state or State(COMPLETED, at=12.0)
    return Run(
        id=key,
        kind=kind,
        name=name or key,
        unit=unit,
        root_id="top",
        parent_id=parent,
        inputs=inputs,
        tags=tags,
        state=state,
        started=10.0,
        ended=12.0,
    )


def drawn(*runs: Run, whole: bool = False, ran: bool = True) -> Graph:
    top = run("top", "etl", kind="flow")
    return build_graph(top, [top, *runs], now=20.0, whole=whole, ran=ran)


def texts(graph: Graph) -> list[str]:
    """Return the texts that are seen, in the order of the picture."""
    tree = ET.fromstring(graph.svg())
    return ["".join(found.itertext()) for found in tree.iter(f"{SVG}text")]


@st.composite
def trees(draw: st.DrawFn) -> Graph:
    """Draw the graph of a tree of runs, of which each may have what came before it as inputs."""
    runs: list[Run] = []
    flows = ["top"]
    for number in range(draw(st.integers(0, 25))):
        kind: Kind = draw(st.sampled_from(["task", "task", "task", "flow"]))
        before = [each.id for each in runs]
        some = draw(st.lists(st.sampled_from(before), max_size=3, unique=True)) if before else []
        parent = draw(st.sampled_from([*flows, *before[-2:]]))
        state = State(draw(st.sampled_from(list(StateType))))
        unit = draw(st.sampled_from(["f", "a_longer_name", "WWWWWW", "名前"]))
        runs.append(run(f"r{number}", unit, parent, kind, tuple(some), state, name=unit * 3))
        if kind == "flow":
            flows.append(f"r{number}")
    return drawn(*runs, whole=draw(st.booleans()), ran=draw(st.booleans()))


@given(trees())
def test_everything_stands_in_its_frame_and_clear_of_the_others(graph: Graph) -> None:
    scene = make_scene(graph.nodes, graph.edges)
    placed = {each.node.number: each for each in (*scene.frames, *scene.boxes)}
    assert set(placed) == {node.number for node in graph.nodes}
    for each in placed.values():
        assert each.card.size.width <= each.size.width + 0.001
        if each.node.group is not None:
            assert encloses(placed[each.node.group], each)
        for other in placed.values():
            if other is not each and other.node.group == each.node.group:
                assert apart(each, other)


@given(trees())
def test_every_picture_is_well_formed_and_needs_no_other_file(graph: Graph) -> None:
    tree = ET.fromstring(graph.svg())
    assert tree.find(f"{SVG}title") is not None
    assert tree.find(f"{SVG}desc") is not None
    kinds = {found.tag.removeprefix(SVG) for found in tree.iter()}
    assert not kinds & {"script", "image", "foreignObject", "a", "use"}
    assert "url(" not in graph.svg().replace("url(#g", "")
    assert "http" not in graph.svg().replace(SVG[1:-1], "")


def encloses(frame: Placed, inner: Placed) -> bool:
    return (
        frame.corner.x <= inner.corner.x
        and frame.corner.y <= inner.corner.y
        and inner.corner.x + inner.size.width <= frame.corner.x + frame.size.width + 0.001
        and inner.corner.y + inner.size.height <= frame.corner.y + frame.size.height + 0.001
    )


def apart(one: Placed, other: Placed) -> bool:
    return (
        one.corner.x + one.size.width <= other.corner.x
        or other.corner.x + other.size.width <= one.corner.x
        or one.corner.y + one.size.height <= other.corner.y
        or other.corner.y + other.size.height <= one.corner.y
    )


def test_words_are_no_wider_than_was_thought() -> None:
    for char, width in WIDTHS.items():
        assert measure_text(char, 1) >= width
    assert measure_text("abc", TITLE) > measure_text("abc", FACTS)


def test_a_run_says_how_it_went() -> None:
    again = Run(
        "b", "task", "flaky-0", "flaky", "top", "top", state=State(FAILED, "TimedOut"), attempt=3
    )
    cached = run("c", "double", "top", state=State(COMPLETED, "Cached"), name="double-0")
    graph = drawn(run("a", "extract", "top", name="extract-0"), again, cached)
    assert texts(graph) == [
        "topflow etl · Completed · 2.0s",
        "extract-0", "Completed · 2.0s",
        "flaky-0", "TimedOut · 3 attempts",
        "double-0", "Cached · 2.0s",
    ]  # fmt: skip
    classes = [found.get("class") for found in ET.fromstring(graph.svg()).iter(f"{SVG}g")]
    assert {"mark completed", "mark failed", "mark cached"} <= set(classes)


def test_a_long_map_is_one_box_with_its_states_counted() -> None:
    states = [State(FAILED) if number % 100 == 0 else State(COMPLETED) for number in range(1000)]
    runs = [run(f"r{n}", "load", "top", state=state) for n, state in enumerate(states)]
    graph = drawn(*runs)
    assert texts(graph)[1:] == ["load", "\N{MULTIPLICATION SIGN}1,000", "10", "990"]
    assert len(drawn(*runs, whole=True).nodes) == 1001


def test_maps_of_one_task_that_go_into_each_other_are_two_boxes() -> None:
    first = [run(f"a{n}", "f", "top") for n in range(20)]
    between = [run(f"b{n}", "g", "top", inputs=(f"a{n}",)) for n in range(20)]
    last = [run(f"c{n}", "f", "top", inputs=(f"b{n}",)) for n in range(20)]
    graph = drawn(*first, *between, *last)
    assert [node.unit for node in graph.nodes] == ["etl", "f", "g", "f"]
    inputs = {(edge.begin, edge.end) for edge in graph.edges if edge.kind == "input"}
    assert inputs == {(1, 2), (2, 3)}
    chain = [run(f"d{n}", "f", "top", inputs=(f"d{n - 1}",)) for n in range(20)]
    assert len(drawn(*chain).nodes) == 2


def test_what_a_person_hears_is_a_summary() -> None:
    graph = drawn(run("a", "x", "top"), run("b", "x", "top", state=State(FAILED)))
    desc = ET.fromstring(graph.svg()).find(f"{SVG}desc")
    assert desc is not None
    assert desc.text == "flow etl: Completed. It called 2 runs: 1 Completed, 1 Failed."


def test_names_are_escaped_and_shortened() -> None:
    odd = '<b>&"\x1b[31m]]>\u202e'
    graph = drawn(run("a", odd, "top", name=odd), run("b", "x", "top", name="n" * 200))
    seen = texts(graph)
    assert '<b>&"\ufffd[31m]]>\ufffd' in seen
    assert f"{'n' * 33}…" in seen
    assert "n" * 200 in graph.svg()  # where the pointer rests


def test_each_kind_of_state_has_a_mark_of_its_own() -> None:
    marks = {find_mark(Tally(kind.value, kind, 1)): kind for kind in StateType}
    assert set(marks) <= set(MARKS)
    different = {"completed", "cached", "failed", "crashed", "cancelled", "paused", "running"}
    assert len({MARKS[kind] for kind in different}) == len(different)


def test_pictures_on_one_page_do_not_share_ids() -> None:
    one, other = drawn(run("a", "x", "top")), drawn(run("b", "y", "top"))

    def ids(graph: Graph) -> set[str]:
        return {
            found.attrib["id"]
            for found in ET.fromstring(graph.svg()).iter()
            if "id" in found.attrib
        }

    assert not ids(one) & ids(other)
    assert one._repr_svg_() == one.svg()


def test_it_is_saved_as_its_name_ends(tmp_path: Path) -> None:
    graph = drawn(run("a", "x", "top"))
    assert graph.save(tmp_path / "a.svg").read_text() == f"{graph.svg()}\n"
    assert graph.save(str(tmp_path / "a.mmd")).read_text() == f"{graph}\n"
    with pytest.raises(ConfigurationError, match=r"'.png'.*\.svg, \.mmd"):
        graph.save(tmp_path / "a.png")


def test_a_deep_tree_is_drawn() -> None:
    runs = [run("f0", "f", "top", "flow")]
    runs += [run(f"f{n}", "f", f"f{n - 1}", "flow") for n in range(1, 400)]
    assert ET.fromstring(drawn(*runs).svg()).tag == f"{SVG}svg"


def test_marks_stand_out_from_the_boxes_that_they_are_in() -> None:
    for colours in COLOURS.values():
        for colour, box in zip(colours, ("#ffffff", "#0d1117"), strict=True):
            light, dark = sorted((lightness(colour), lightness(box)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 3  # as WCAG asks of graphics


def lightness(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [((part + 0.055) / 1.055) ** 2.4 if part > 0.04 else part / 12.92 for part in parts]
    return sum(map(float.__mul__, linear, (0.2126, 0.7152, 0.0722)))


def test_tests_of_a_result_are_a_badge_of_its_run() -> None:
    bad, tests = State(FAILED, at=12.0), ("data-test",)
    warning = State(COMPLETED, "Warning", at=12.0)
    graph = drawn(
        run("orders", "orders", "top"),
        run("items", "items", "top"),
        run("sums", "sums", "top", inputs=("orders",)),
        run("t1", "not_null", "top", inputs=("orders",), tags=tests),
        run("t2", "unique", "top", inputs=("orders",), tags=tests, state=bad),
        run("t3", "positive", "top", inputs=("items", "orders"), tags=tests, state=warning),
        run("t4", "items_not_null", "top", inputs=("items",), tags=tests),
        run("t5", "of_nothing", "top", tags=tests),
    )
    found = {node.name: (node.badge, node.outcome) for node in graph.nodes}
    assert found == {
        "top": ("", "good"),
        "orders": ("3 tests: 1 failed, 1 warning", "bad"),
        "items": ("1 test passed", "good"),
        "sums": ("", "good"),
        "t5": ("", "good"),
    }
    assert "3 tests: 1 failed, 1 warning" in graph.mermaid()
    assert "3 tests: 1 failed, 1 warning" in graph.svg()
