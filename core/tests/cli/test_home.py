"""The real command, on real homes: good ones, dead processes, and all that can be wrong."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from flowstone_testing.programs import COMMAND

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

FLOW = """
from flowstone import flow, task

@task
def add(a, b):
    return a + b

@flow(flow_run_name="sums")
def sums(count: int = 3):
    return sum(add.map(range(count), range(count)).result())

if __name__ == "__main__":
    sums()
"""

DOOMED = """
import sys
from flowstone import flow, task

@task
def hang():
    print("running", flush=True)
    sys.stdin.read()

@flow(flow_run_name="doomed")
def doomed():
    hang()

doomed()
"""


def test_a_flow_in_one_process_is_seen_from_another(home: Home) -> None:
    home.python(FLOW)
    [found] = home.run("run", "ls", "--json").json
    assert (found["name"], found["tasks"]) == ("sums", {"total": 3, "completed": 3})
    assert "add-2  Completed" in home.run("run", "show", "sums").out
    assert "ended Completed" in home.run("run", "logs", "sums").out


def test_after_kill_9_the_next_list_says_crashed_and_why(home: Home) -> None:
    program = home.write(DOOMED)
    process = subprocess.Popen(
        [sys.executable, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=home.environ,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "running\n"
    assert home.run("run", "ls", "--json").json[0]["state"]["type"] == "RUNNING"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()

    line = home.run("run", "ls").out.splitlines()[1]
    assert "Crashed" in line
    assert f"its process (pid {process.pid} on host" in line
    assert "was killed or died; it was last seen at" in line
    assert home.run("run", "ls", "--state", "running").out == "No run matches.\n"
    found = home.run("run", "show", "doomed", "--json").json
    assert found["duration_seconds"] is None
    assert all(child["state"]["type"] == "CRASHED" for child in found["children"])
    assert "its end was not recorded" in home.run("run", "show", "doomed").out


def test_following_a_run_ends_when_its_process_dies(home: Home) -> None:
    program = home.write(DOOMED)
    process = subprocess.Popen(
        [sys.executable, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=home.environ,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    following = subprocess.Popen(
        [COMMAND, "run", "logs", "doomed", "--follow"],
        stdout=subprocess.PIPE,
        env=home.environ,
        text=True,
    )
    assert following.stdout is not None
    assert "began" in following.stdout.readline()
    process.kill()
    process.wait()
    following.stdout.read()
    assert following.wait(timeout=300) == 0
    process.stdin.close()
    process.stdout.close()
    following.stdout.close()


def test_the_version_says_where_things_are_and_opens_nothing(home: Home) -> None:
    done = home.run("--version")
    assert done.code == 0
    assert done.out.startswith("flowstone ")
    assert f"Python    {sys.version.split()[0]}" in done.out
    assert str(home.path / "flowstone.db") in done.out
    assert not home.path.exists()
    assert "in memory" in home.run("--version", FLOWSTONE_STORE="memory").out


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["block", "ls", "--help"]])
def test_help_opens_nothing(home: Home, command: list[str]) -> None:
    assert home.run(*command).code == 0
    assert not home.path.exists()


def refused(home: Home, *args: str, **environ: str) -> str:
    """Run what must fail with one clean message, and return that."""
    done = home.run(*args, **environ)
    assert (done.code, done.out) == (1, ""), done.err
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err
    return done.err


COMMANDS = [["run", "ls"], ["run", "show", "x"], ["block", "ls"], ["block", "show", "a/b"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_foreign_file_is_refused_and_left_as_it_was(home: Home, command: list[str]) -> None:
    home.path.mkdir()
    path = home.path / "flowstone.db"
    path.write_bytes(b"my diary, not a database\n" * 10)
    before = path.read_bytes()
    assert "is not a Flowstone store" in refused(home, *command)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(home: Home) -> None:
    home.path.mkdir()
    with sqlite3.connect(home.path / "flowstone.db") as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    assert "another program's" in refused(home, "run", "ls")


def test_a_newer_schema_is_refused(home: Home) -> None:
    home.python(FLOW)
    with sqlite3.connect(home.path / "flowstone.db") as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    assert "pip install -U flowstone" in refused(home, "run", "ls")


def test_a_home_that_cannot_be_written_is_told(home: Home) -> None:
    # Not by its mode: root may write everything, but for this file system.
    assert "FLOWSTONE_HOME" in refused(home, "run", "ls", FLOWSTONE_HOME="/proc/flowstone")


def test_a_home_that_is_a_file_is_told(home: Home) -> None:
    home.path.write_text("")
    assert "FLOWSTONE_HOME" in refused(home, "run", "ls")


def test_a_setting_that_cannot_be_used_is_named(home: Home) -> None:
    assert "FLOWSTONE_STORE" in refused(home, "run", "ls", FLOWSTONE_STORE="postgres")


def test_a_corrupt_key_is_told_and_spoils_no_list(home: Home) -> None:
    made = home.run("block", "create", "secret", "token", "value=@-", stdin="hunter2hunter2")
    assert made.code == 0, made.err
    home.run("block", "create", "local-directory", "data", "basepath=/data")
    key = home.path / "secret.key"
    key.write_text("garbage\n")
    listed = {each["block"]: each["condition"] for each in home.run("block", "ls", "--json").json}
    assert listed["local-directory/data"] == "ok"
    assert "can't be used" in listed["secret/token"]
    key.unlink()
    assert "no key file" in home.run("block", "ls").out
    assert home.run("block", "show", "token", "--json").json["fields"] == {"value": {"set": True}}
    home.run("block", "create", "secret", "other", "value=@-", stdin="hunter3hunter3")
    assert "encrypted with key" in home.run("block", "ls").out
    assert "secret/token" in refused(home, "block", "check", "secret/token")


def test_a_closed_pipe_is_no_error(home: Home) -> None:
    home.python(FLOW.replace("count: int = 3", "count: int = 3000"))
    command = f"{COMMAND} run show sums --all | head -1"
    done = home.execute(["bash", "-c", command])
    assert done.err == ""
    assert "sums" in done.out


def test_output_survives_a_poor_encoding(home: Home) -> None:
    home.python(FLOW.replace('"sums"', '"süms-和"'))
    done = home.run("run", "ls", PYTHONIOENCODING="latin-1")
    assert (done.code, done.err) == (0, "")
    assert "\\u548c" in done.out
    [found] = home.run("run", "ls", "--json", PYTHONIOENCODING="latin-1").json
    assert found["name"] == "süms-和"


def test_an_unexpected_error_shows_its_traceback(home: Home) -> None:
    home.python(FLOW)
    with sqlite3.connect(home.path / "flowstone.db") as connection:
        connection.execute("UPDATE runs SET state_type = 'WHAT'")
    connection.close()
    done = home.run("run", "ls")
    assert done.code == 1
    assert "Traceback" in done.err
