from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone_testing.programs import Home

    from .conftest import InProcess

PROGRAM = """
from flowstone import flow, task

@task(persist_result=True)
def step():
    return 1

@flow
def job():
    step()

for _ in range(3):
    job()
"""


def test_a_store_is_measured_vacuumed_backed_up_and_checked(home: Home, tmp_path: Path) -> None:
    home.python(PROGRAM)
    info = home.run("store", "info", "--json").json
    assert (info["runs"], info["task_runs"], info["results"]) == (3, 3, 3)
    assert "task runs  3" in home.run("store", "info").out
    assert home.run("run", "delete", "--flow", "job", "-y").code == 0
    freed = home.run("store", "vacuum", "--json").json
    assert (freed["runs"], freed["facts"], freed["free_bytes"]) == (0, 0, 0)
    assert home.run("store", "vacuum", "--full").out.startswith("The store has ")
    copy = tmp_path / "copy.db"
    assert "the copy is intact" in home.run("store", "backup", str(copy)).out
    again = home.run("store", "backup", str(copy))
    assert (again.code, "the file exists already" in again.err) == (1, True)
    assert home.run("store", "check").out.endswith("flowstone.db is intact.\n")
    assert home.run("store", "check", "--json").json["ok"] is True


def test_the_key_is_named_beside_a_backup(home: Home, tmp_path: Path) -> None:
    assert home.run("block", "create", "secret", "s", "value=@-", stdin="hush").code == 0
    done = home.run("store", "backup", str(tmp_path / "copy.db"))
    assert "store" in done.err
    assert "secret.key" in done.err


def test_damage_is_told_and_exits_with_1(home: Home) -> None:
    home.python(PROGRAM)
    file = home.path / "flowstone.db"
    content = bytearray(file.read_bytes())
    content[4096 * 2 : 4096 * 2 + 100] = b"\xff" * 100
    content[4096 * 4 : 4096 * 4 + 100] = b"\xff" * 100
    file.write_bytes(content)
    done = home.run("store", "check")
    assert done.code == 1
    assert "flowstone.db" in done.err


def test_a_store_in_memory_has_no_file(home: Home) -> None:
    done = home.run("store", "info", FLOWSTONE_STORE="memory")
    assert done.code == 1
    assert "is not a file" in done.err


def test_help_names_the_verbs(cli: InProcess) -> None:
    out = cli("store", "--help").out
    assert all(verb in out for verb in ("backup", "check", "info", "vacuum"))
