from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstone import flow, task

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

    from .conftest import InProcess


@task
def extract(name: str) -> str:
    return name


@task
def join(*parts: Any) -> int:
    return len(parts)


@task
def load(x: Any) -> Any:
    return x


@task
def store(x: Any) -> Any:
    return x


@flow(flow_run_name="inner")
def inner(x: Any) -> Any:
    return load(x)


def graph(cli: InProcess, run: str, *more: str) -> tuple[dict[str, Any], set[tuple[str, str, str]]]:
    """Return the nodes by label, and the edges by labels."""
    found = cli("run", "graph", run, "--json", *more).json
    labels = {node["id"]: node["label"] for node in found["nodes"]}
    edges = {(labels[e["from"]], labels[e["to"]], e["kind"]) for e in found["edges"]}
    assert len(edges) == len(found["edges"])
    return {node["label"]: node for node in found["nodes"]}, edges


def test_results_that_go_into_runs_are_edges(cli: InProcess) -> None:
    @flow(flow_run_name="etl")
    def etl() -> None:
        a, b = extract.submit("a"), extract.submit("b")
        joined = join.submit(a, [b])
        inner(joined)
        store.submit(1, wait_for=[joined]).wait()

    etl()
    nodes, edges = graph(cli, "etl")
    assert edges == {
        ("etl", "extract-0", "call"),
        ("etl", "extract-1", "call"),
        ("extract-0", "join-0", "input"),
        ("extract-1", "join-0", "input"),
        ("join-0", "inner", "input"),
        ("inner", "load-0", "call"),
        ("join-0", "store-0", "input"),
    }
    assert nodes["etl"]["kind"] == nodes["inner"]["kind"] == "flow"
    assert nodes["join-0"]["states"] == {"Completed": 1}


def test_of_a_flow_that_tried_again_the_last_attempt_is_drawn(cli: InProcess) -> None:
    seen: list[int] = []

    @task(retries=1)
    def shaky() -> Any:
        seen.append(1)
        inner("x")
        if len(seen) == 3:
            raise ValueError("once more")

    @flow(flow_run_name="again", retries=1)
    def again() -> None:
        extract("a")
        seen.append(1)
        if len(seen) == 1:
            inner(1)
            raise ValueError("at first")
        shaky()

    again()
    assert [node["label"] for node in cli("run", "graph", "again", "--json").json["nodes"]] == [
        "again", "extract-1", "shaky-0", "inner", "load-0", "inner", "load-0",
    ]  # fmt: skip
    first = cli("run", "show", "again", "--json").json["children"][0]
    assert first["name"] == "extract-0"
    assert list(graph(cli, first["id"])[0]) == ["extract-0"]


def test_a_part_of_a_tree_is_drawn_alone(cli: InProcess) -> None:
    @flow(flow_run_name="outer")
    def outer() -> None:
        extract("a")
        inner(1)

    outer()
    nodes, edges = graph(cli, "inner")
    assert set(nodes) == {"inner", "load-0"}
    assert edges == {("inner", "load-0", "call")}


def test_an_input_from_elsewhere_keeps_the_call(cli: InProcess) -> None:
    @flow(flow_run_name="outer")
    def outer() -> None:
        one = extract.submit("a")

        @flow(flow_run_name="closed")
        def closed() -> None:
            load.submit(one).wait()

        closed()

    outer()
    _, edges = graph(cli, "outer")
    assert ("extract-0", "load-0", "input") in edges
    assert ("closed", "load-0", "call") in edges


def test_long_maps_are_one_node(cli: InProcess) -> None:
    @task
    def part(x: int) -> int:
        if x == 13:
            raise ValueError("thirteen")
        return load(x)  # type: ignore[no-any-return]

    @flow(flow_run_name="mapped")
    def mapped() -> None:
        parts = part.map(range(40))
        join.submit(*[each for number, each in enumerate(parts) if number != 13]).wait()

    mapped(return_state=True)
    nodes, edges = graph(cli, "mapped")
    assert nodes["part, 40 runs"]["states"] == {"Completed": 39, "Failed": 1}
    assert len(nodes["part, 40 runs"]["runs"]) == 40
    assert edges == {
        ("mapped", "part, 40 runs", "call"),
        ("part, 40 runs", "load, 39 runs", "call"),
        ("part, 40 runs", "join-0", "input"),
    }
    assert len(graph(cli, "mapped", "--all")[0]) >= 41


def test_it_is_printed_in_mermaids_words(cli: InProcess) -> None:
    @flow(flow_run_name='odd "name" <b>#1`')
    def odd() -> None:
        join.submit(extract.submit("a")).wait()
        raise ValueError("no")

    odd(return_state=True)
    lines = cli("run", "graph", cli("run", "ls", "--json").json[0]["id"]).out.splitlines()
    assert lines[0] == "flowchart LR"
    head = '  n0[["odd #quot;name#quot; #lt;b#gt;#35;1#96;<br/>Failed · '
    assert lines[1].startswith(head)
    assert lines[1].endswith('"]]:::bad')
    assert lines[2].startswith('  n1("extract-0<br/>Completed · ')
    assert lines[2].endswith('"):::good')
    assert lines[4:6] == ["  n0 -.-> n1", "  n1 --> n2"]
    assert [line.split()[1] for line in lines[6:]] == ["good", "bad"]


def test_what_is_mapped_over_goes_into_each(cli: InProcess) -> None:
    @task
    def listed() -> list[int]:
        return [1, 2]

    @flow(flow_run_name="mapping")
    def mapping() -> None:
        load.map(listed.submit()).wait()
        load.map(listed.submit(), max_in_flight=1).wait()

    mapping()
    _, edges = graph(cli, "mapping")
    inputs = {edge[:2] for edge in edges if edge[2] == "input"}
    assert inputs == {
        ("listed-0", "load-0"),
        ("listed-0", "load-1"),
        ("listed-1", "load-2"),
        ("listed-1", "load-3"),
    }


@flow(flow_run_name="small")
def small(token: str = "") -> None:
    store.submit(load.submit(token)).wait()


def test_it_is_drawn_as_a_picture(cli: InProcess) -> None:
    small()
    printed = cli("run", "graph", "small", "--format", "svg").out
    assert printed.startswith("<svg ")
    assert "store-0" in printed
    assert printed == cli("run", "graph", "small", "--format", "svg", "-o", "-").out


def test_a_file_s_name_says_which_form(cli: InProcess, tmp_path: Path) -> None:
    small()
    for name, begin in (("a.svg", "<svg "), ("a.mmd", "flowchart"), ("a", "flowchart")):
        path = tmp_path / name
        for _ in range(2):  # an older graph is written over
            done = cli("run", "graph", "small", "-o", str(path))
            assert (done.code, done.out) == (0, "")
            assert path.read_text().startswith(begin)
    assert cli("run", "graph", "small", "-o", str(tmp_path / "a"), "--format", "svg").code == 0
    assert (tmp_path / "a").read_text().startswith("<svg ")


def test_a_name_of_another_form_is_refused(cli: InProcess, tmp_path: Path) -> None:
    small()
    done = cli("run", "graph", "small", "-o", str(tmp_path / "a.png"))
    assert (done.code, list(tmp_path.glob("a.*"))) == (1, [])
    assert "'.png' is not the suffix of a known format. Use .svg" in done.err
    for name in ("a.md", "b.png --format svg"):
        path, *form = name.split()
        assert cli("run", "graph", "small", "-o", str(tmp_path / path), *form).code == 0


def test_no_other_file_is_written_over(cli: InProcess, tmp_path: Path) -> None:
    small()
    path = tmp_path / "notes.svg"
    path.write_text("<svg>mine</svg>")
    done = cli("run", "graph", "small", "-o", str(path))
    assert done.code == 1
    assert "was not written by this command" in done.err
    assert path.read_text() == "<svg>mine</svg>"
    missing = cli("run", "graph", "small", "-o", str(tmp_path / "none" / "a.svg"))
    assert (missing.code, "can't be written" in missing.err) == (1, True)
    both = cli("run", "graph", "small", "--json", "-o", str(path))
    assert (both.code, "--json" in both.err) == (2, True)


def test_what_a_run_was_given_is_not_drawn(cli: InProcess) -> None:
    small("canary-77aa")
    for form in ("svg", "mermaid"):
        assert "canary" not in cli("run", "graph", "small", "--format", form).out


SCRIPT = """
from flowstone import flow, task

@task
def never():
    raise SystemExit("a task was run")

@flow
def drawn():
    never()

drawn.visualize()
"""


def test_a_flow_is_shown_in_the_browser_on_a_terminal_only(home: Home) -> None:
    browser, told = home.directory / "browser", home.directory / "told"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {told}\n')
    browser.chmod(0o755)
    home.python(SCRIPT, BROWSER=str(browser))
    assert not told.exists()
    program = str(home.write(SCRIPT))
    done = home.terminal(
        sys.executable, program, BROWSER=str(browser), TMPDIR=str(home.directory)
    ).finish()
    assert (done.code, done.out) == (0, "")
    shown = Path(told.read_text().removeprefix("file://"))
    assert shown.parent == home.directory
    assert "never-0" in shown.read_text()
    assert not home.path.exists()
