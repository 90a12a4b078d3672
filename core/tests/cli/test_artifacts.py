from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowstone import flow
from flowstone.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
)
from flowstone_testing.programs import COMMAND

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

    from .conftest import InProcess


@flow(flow_run_name="maker")
def make() -> None:
    create_table_artifact([{"city": "Oslo", "°C": -1.5}, {"city": "Rome", "rain": True}], "temps")
    create_markdown_artifact("# Report\n\n*fine*", "report", "what **it** says")
    create_link_artifact("https://x.org", "the link", "link")
    create_image_artifact("https://x.org/i.png", "image")
    create_progress_artifact(12.5, "load")
    create_markdown_artifact("no key")


def test_nothing_is_listed_of_nothing(cli: InProcess) -> None:
    assert cli("artifact", "ls").out == "There are no artifacts yet.\n"
    assert cli("artifact", "ls", "--kind", "table").out == "No artifact matches.\n"


def test_artifacts_are_listed_the_last_saved_first(cli: InProcess) -> None:
    make()
    make()
    lines = cli("artifact", "ls").out.splitlines()
    assert lines[0].split() == ["ID", "KEY", "KIND", "CONTENT", "SAVED", "VERSIONS"]
    assert [line.split()[1] for line in lines[1:]] == [
        "-", "load", "image", "link", "report", "temps", "-",
    ]  # fmt: skip
    assert lines[2].split()[2:4] == ["progress", "12.5%"]
    assert lines[-2].split()[-1] == "2"
    assert "2 rows" in lines[-2]
    assert [each["key"] for each in cli("artifact", "ls", "--kind", "table", "--json").json] == [
        "temps"
    ]


def test_a_list_may_be_cut_and_of_one_run(cli: InProcess) -> None:
    make()
    make()
    cut = cli("artifact", "ls", "--limit", "1")
    assert len(cut.out.splitlines()) == 2
    assert "--limit 100" in cut.err
    assert len(cli("artifact", "ls", "--run", "maker", "--json").json) == 6
    assert cli("artifact", "ls", "--run", "nobody").code == 1


def test_a_table_is_shown_with_its_own_headings(cli: InProcess) -> None:
    make()
    lines = cli("artifact", "show", "temps").out.splitlines()
    assert lines[0] == "artifact  temps"
    assert any(line.startswith("by        maker (") for line in lines)
    assert lines[-3:] == ["city    °C  rain", "Oslo  -1.5", "Rome        True"]


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        ({"a": [1, 2], "b": ["x"]}, ["a  b", "1  x", "2"]),
        ([["x", 1], ["y"]], ["1  2", "x  1", "y"]),
        ([[{"deep": 1}]], ["1", "{'deep': 1}"]),
        ([], ["It has no rows."]),
        ({}, ["It has no rows."]),
    ],
)
def test_every_form_of_table_is_shown(cli: InProcess, table: Any, lines: list[str]) -> None:
    @flow
    def one() -> None:
        create_table_artifact(table, key="t")

    one()
    assert cli("artifact", "show", "t").out.splitlines()[-len(lines) :] == lines


def test_a_text_is_shown_as_it_was_written_in_a_pipe(cli: InProcess) -> None:
    make()
    out = cli("artifact", "show", "report").out
    assert "description  what **it** says\n" in out
    assert out.endswith("\n\n# Report\n\n*fine*\n")
    told = cli("artifact", "show", "report", "--json").json
    assert (told["kind"], told["data"]) == ("markdown", "# Report\n\n*fine*")


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("link", "link      https://x.org"),
        ("image", "image     https://x.org/i.png"),
        ("load", "progress  12.5%"),
    ],
)
def test_small_ones_are_facts(cli: InProcess, key: str, line: str) -> None:
    make()
    assert line in cli("artifact", "show", key).out.splitlines()


def test_versions_are_listed(cli: InProcess) -> None:
    make()
    make()
    found = cli("artifact", "show", "report", "--versions", "--json").json
    assert [each["versions"] for each in found] == [1, 2]
    lines = cli("artifact", "show", "report", "--versions").out.splitlines()
    assert lines[1].split()[:3] == ["1", found[0]["id"], "Report"]
    assert cli("artifact", "show", found[0]["id"], "--json").json["id"] == found[0]["id"]


def test_an_unknown_one_is_told_with_near_ones(cli: InProcess) -> None:
    make()
    done = cli("artifact", "show", "raport")
    assert done.code == 1
    assert "Did you mean 'report'" in done.err


def test_a_terminal_sets_the_text_and_folds_long_tables(home: Home) -> None:
    home.python("""
from flowstone import flow
from flowstone.artifacts import create_markdown_artifact, create_table_artifact

@flow
def make():
    create_markdown_artifact("# Weather\\n\\n* **sunny** [red]x[/red]\\x1b[2J", key="text")
    create_table_artifact([{"n": n, "[bold]": "v"} for n in range(250)], key="long")

make()
""")
    command = [COMMAND, "artifact", "show"]
    shown = home.terminal(*command, "text").finish().out
    assert "Weather" in shown
    assert "# Weather" not in shown
    assert "• sunny [red]x[/red]" in shown
    long = home.terminal(*command, "long").finish().out
    assert "[bold]" in long
    assert "… and 150 more rows" in long
    assert "249" in home.terminal(*command, "long", "--all").finish().out
    assert len(home.run("artifact", "show", "long").out.splitlines()) > 250


def test_an_artifact_of_no_run_is_shown_without_one(cli: InProcess) -> None:
    create_markdown_artifact("# Report", "report")
    shown = cli("artifact", "show", "report").out
    assert "# Report" in shown
    assert "by" not in [line.split()[0] for line in shown.splitlines() if line.strip()]
    [listed] = cli("artifact", "ls", "--json").json
    assert (listed["key"], listed["run_id"], listed["root_id"]) == ("report", None, None)
    assert cli("artifact", "show", "report", "--versions").code == 0
