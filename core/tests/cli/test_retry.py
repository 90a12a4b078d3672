"""`run retry`, by the real command on real files: after a kill, after a failure."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

PROGRAM = """
import os, sys
from pathlib import Path
from flowstone import flow, task

@task(persist_result=True)
def extract(n: int) -> list[int]:
    print("extracting", flush=True)
    return list(range(n))

@task
def load(rows: list[int]) -> int:
    if Path("kill").exists():
        os.kill(os.getpid(), 9)
    if not Path("ready").exists():
        raise ValueError("not ready")
    return len(rows)

@flow(flow_run_name="etl")
def etl(n: int, token: str = ""):
    print(load(extract(n)))

if __name__ == "__main__":
    try:
        etl(3)
    except ValueError:
        pass
"""


def the_run(home: Home) -> dict[str, object]:
    [run] = home.run("run", "ls", "--json").json
    assert isinstance(run, dict)
    return run


def test_a_failed_run_is_taken_up_where_it_was(home: Home) -> None:
    assert home.python(PROGRAM).out == "extracting\n"
    again = home.run("run", "retry", "etl")
    assert (again.code, again.out) == (1, "")
    assert "ended Failed: ValueError: not ready" in again.err
    (home.directory / "ready").touch()
    done = home.run("run", "retry", "etl", "--json")
    assert (done.code, done.out.partition("\n")[0]) == (0, "3")
    assert json.loads(done.out.partition("\n")[2])["state"]["name"] == "Completed"
    shown = home.run("run", "show", "etl").out
    tree = [line.split()[:2] for line in shown.partition("\n\n")[2].splitlines()]
    assert tree == [
        ["etl", "Completed"],
        ["attempt", "1"], ["extract-0", "Completed"], ["load-0", "Failed"],
        ["attempt", "2"], ["extract-0", "Cached"], ["load-0", "Failed"],
        ["attempt", "3"], ["extract-0", "Cached"], ["load-0", "Completed"],
    ]  # fmt: skip
    whole = home.run("run", "show", "etl", "--json").json
    assert [child["attempt_of_parent"] for child in whole["children"]] == [1, 1, 2, 2, 3, 3]


def test_a_killed_run_is_taken_up(home: Home) -> None:
    (home.directory / "kill").touch()
    path = home.write(PROGRAM)
    killed = home.execute([sys.executable, str(path)])
    assert killed.code == -9
    run = the_run(home)
    (home.directory / "kill").unlink()
    (home.directory / "ready").touch()
    done = home.run("run", "retry", str(run["id"]))
    assert (done.code, done.out) == (0, "3\n"), done.err
    after = the_run(home)
    assert (after["id"], after["name"]) == (run["id"], "etl")
    assert after["attempts"] == 2


def test_what_can_not_be_retried_says_so(home: Home) -> None:
    home.execute(
        [sys.executable, "-c", "from flowstone import flow\n@flow\ndef f(): 1/0\nf(return_state=1)"]
    )
    refused = home.run("run", "retry", str(the_run(home)["id"]))
    assert refused.code == 1
    assert "was typed at a prompt, or passed with -c" in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.parametrize("gone", ["file", "name"])
def test_a_flow_that_has_moved_is_found_by_its_entrypoint(home: Home, gone: str) -> None:
    home.python(PROGRAM)
    (home.directory / "ready").touch()
    (home.directory / "moved.py").write_text(PROGRAM)
    path = home.directory / "program.py"
    path.unlink() if gone == "file" else path.write_text("")
    refused = home.run("run", "retry", "etl")
    assert refused.code == 1
    assert "can't be loaded again" in refused.err
    assert "--entrypoint" in refused.err
    done = home.run("run", "retry", "etl", "--entrypoint", "moved.py:etl")
    assert (done.code, done.out) == (0, "3\n"), done.err
