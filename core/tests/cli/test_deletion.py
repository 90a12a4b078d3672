from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from flowstone import flow, task
from flowstone.artifacts import create_markdown_artifact
from flowstone.cache_policies import INPUTS
from flowstone.context.current import services
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.context.current import Services

    from .conftest import InProcess


@task(persist_result=True, cache_policy=INPUTS)
def square(number: int) -> int:
    create_markdown_artifact(f"# {number}", key=f"square-{number}")
    return number * number


@flow(name="squares", flow_run_name="squares-of-{number}")
def squares(number: int) -> int:
    return square(number)


@flow(name="broken")
def broken() -> None:
    raise ValueError("on purpose")


def list_results(current: Services) -> list[Path]:
    return [path for path in (current.settings.home / "storage").rglob("*") if path.is_file()]


def list_names() -> list[str]:
    return [run.name for run in services().runs.runs(RunQuery(roots=True))]


def test_a_run_is_deleted_with_all_that_is_kept_of_it(
    cli: InProcess, flowstone_services: Services
) -> None:
    squares(2)
    squares(3)
    done = cli("run", "delete", "squares-of-2", "--yes")
    assert done.out == "Deleted 1 run and 1 result.\n"
    assert "squares-of-2 of squares, Completed, ended" in done.err
    assert list_names() == ["squares-of-3"]
    assert len(list_results(flowstone_services)) == 1
    assert "square-2" not in cli("artifact", "ls").out
    assert "square-3" in cli("artifact", "ls").out


def test_a_result_that_another_run_uses_stays(cli: InProcess, flowstone_services: Services) -> None:
    squares(2)
    squares.with_options(flow_run_name="user")(2)
    assert cli("run", "delete", "squares-of-2", "-y", "--json").json["results"] == 0
    assert len(list_results(flowstone_services)) == 1
    squares.with_options(flow_run_name="again")(2)
    assert cli("run", "show", "again").out.count("Cached") == 1


def test_it_asks_first_and_a_no_deletes_nothing(cli: InProcess) -> None:
    squares(2)
    done = cli("run", "delete", "squares-of-2", stdin="n\n")
    assert (done.code, list_names()) == (1, ["squares-of-2"])
    assert "1 run to delete, with the runs that they called" in done.err
    assert cli("run", "delete", "squares-of-2", stdin="y\n").code == 0
    assert list_names() == []


def test_runs_are_chosen_by_state_flow_and_age(cli: InProcess) -> None:
    for number in range(3):
        squares(number)
    broken(return_state=True)
    done = cli("run", "delete", "--older-than", "1d", "--yes")
    assert (done.code, done.out) == (0, "No finished run matches.\n")
    assert cli("run", "delete", "--flow", "squ*", "--state", "failed", "-y", "--json").json == {
        "runs": [],
        "results": 0,
    }
    assert len(cli("run", "delete", "--flow", "squ*", "-y", "--json").json["runs"]) == 3
    assert cli("run", "delete", "--state", "failed", "--older-than", "0s", "-y").code == 0
    assert list_names() == []


def test_a_live_run_is_never_deleted(cli: InProcess) -> None:
    begun, may_end = threading.Event(), threading.Event()

    @flow(name="long", flow_run_name="long")
    def long() -> None:
        begun.set()
        may_end.wait(30)

    thread = threading.Thread(target=long)
    thread.start()
    try:
        assert begun.wait(30)
        done = cli("run", "delete", "long", "-y")
        assert done.code == 1
        assert "is Running, and must end first. Cancel it: `flowstone run cancel" in done.err
        assert cli("run", "delete", "--flow", "long", "-y").out == "No finished run matches.\n"
        assert list_names() == ["long"]
    finally:
        may_end.set()
        thread.join()


def test_a_part_is_deleted_with_its_root(cli: InProcess) -> None:
    squares(2)
    done = cli("run", "delete", "square-0", "-y")
    assert done.code == 2
    assert "square-0 belongs to squares-of-2, and is deleted with it" in done.err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((), "Either name runs, or select them"),
        (("x", "--state", "failed"), "select them by --state"),
        (("--older-than", "soon"), "'soon' is not an age"),
        (("--state", "faild"), "Did you mean 'Failed'"),
        (("nothing", "-y"), "there is no run 'nothing'"),
    ],
)
def test_a_wrong_command_line_is_told(cli: InProcess, args: tuple[str, ...], told: str) -> None:
    done = cli("run", "delete", *args)
    assert done.code in {1, 2}
    assert told in done.err


def test_questions_and_inputs_go_with_their_run(
    cli: InProcess, flowstone_services: Services
) -> None:
    squares(2)
    squares(3)
    documents = flowstone_services.documents
    for name in ("squares-of-2", "squares-of-3"):
        run = services().runs.run(name)
        documents.put(f"input:{run.id}", "one", {})
        documents.put(f"pause:{run.id}", "ask", {})
    documents.put("variable", "stays", {})
    assert cli("run", "delete", "squares-of-2", "-y").code == 0
    kept = services().runs.run("squares-of-3").id
    assert [(each.kind, each.name) for each in documents.find("", prefix=True)] == [
        (f"input:{kept}", "one"),
        (f"pause:{kept}", "ask"),
        ("variable", "stays"),
    ]
