"""The real command on a real terminal, 80 columns wide."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from flowstone_testing.programs import COMMAND

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

RUNS = """
from flowstone import flow, task

@task
def fetch(number):
    if number == 7:
        raise ValueError("the page of number seven is not there, and what is said of it is " * 3)
    return number

@flow(flow_run_name="a-run-with-quite-a-long-name-of-its-own")
def fetch_everything_there_is(count):
    fetch.map(range(count)).result()

try:
    fetch_everything_there_is(40)
except ValueError:
    pass
"""


@pytest.mark.parametrize(
    "command",
    [
        ["run", "ls"],
        ["run", "show", "a-run-with-quite-a-long-name-of-its-own"],
        ["run", "show", "a-run-with-quite-a-long-name-of-its-own", "--all"],
        ["run", "--help"],
        ["block", "create", "--help"],
        ["block", "types"],
        ["block", "types", "secret"],
        ["plugin", "ls"],
        ["--help"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_nothing_is_wider_than_the_terminal(home: Home, command: list[str]) -> None:
    home.python(RUNS)
    done = home.terminal(COMMAND, *command).finish()
    assert done.code == 0
    store = str(home.path)  # as long as the machine's temporary directory wants it
    lines = [line for line in done.out.splitlines() if store not in line]
    assert lines
    assert [line for line in lines if len(line) > 80] == []


def test_a_terminal_has_colours_and_relative_times(home: Home) -> None:
    home.python(RUNS)
    terminal = home.terminal(COMMAND, "run", "ls")
    text = terminal.finish().out
    assert "\x1b[31mFailed" in terminal.raw
    assert "ago" in text or "just now" in text
    assert "the page of number seven" in text


def test_no_color_is_respected(home: Home) -> None:
    home.python(RUNS)
    terminal = home.terminal(COMMAND, "run", "ls", NO_COLOR="1")
    terminal.finish()
    assert "Failed" in terminal.raw
    assert "\x1b[3" not in terminal.raw


def test_a_pipe_has_no_colours_no_boxes_and_nothing_cut(home: Home) -> None:
    home.python(RUNS)
    for command in (["ls"], ["show", "a-run-with-quite-a-long-name-of-its-own"]):
        text = home.run("run", *command).out
        assert text.isascii() or set(text) - set(map(chr, range(128))) <= {"…"}
        assert "a-run-with-quite-a-long-name-of-its-own" in text
        assert "what is said of it is the page of number seven" in text


def test_what_is_missing_is_asked_for_and_secrets_are_not_shown(home: Home) -> None:
    terminal = home.terminal(COMMAND, "block", "create", "secret", "token")
    terminal.read_until(lambda text: text.endswith("value: "))
    terminal.type("hunter2hunter2")
    done = terminal.finish()
    assert done.code == 0
    assert "Saved secret/token, version 1." in done.out
    assert "hunter2" not in terminal.raw
    assert home.run("block", "show", "token", "--json").json["fields"] == {"value": {"set": True}}


def test_a_plain_field_is_asked_for_and_shown(home: Home) -> None:
    terminal = home.terminal(COMMAND, "block", "create", "local-directory", "data")
    terminal.read_until(lambda text: text.endswith("basepath: "))
    terminal.type("/data")
    assert "Saved local-directory/data" in terminal.finish().out
    done = home.terminal(COMMAND, "block", "create", "local-directory", "x", "--no-input").finish()
    assert (done.code, "basepath: Field required" in done.out) == (1, True)


def test_a_taken_name_is_told_before_anything_is_asked(home: Home) -> None:
    home.run("block", "create", "secret", "token", "value=@-", stdin="word")
    done = home.terminal(COMMAND, "block", "create", "secret", "token").finish()
    assert (done.code, "value:" in done.out) == (1, False)


#: Its last tasks go on when a line is typed.
WAITING = """
import sys
from threading import Event, Thread
from flowstone import flow, get_run_logger, task

opened = Event()

def read():
    sys.stdin.readline()
    opened.set()

@task
def wait(number):
    if number < 30:
        return number
    opened.wait()
    if number == 33:
        raise ValueError("number 33 fails")
    if number == 34:
        get_run_logger().warning("look at number 34")
        print("and at what it prints")
    return number

@flow
def many(way):
    futures = wait.map(range(40))
    Thread(target=read, daemon=True).start()
    if way == "result":
        futures.result(raise_on_failure=False)

try:
    many(sys.argv[1])
except ValueError:
    pass
print("done")
"""


@pytest.mark.parametrize("way", ["result", "end"])
def test_a_long_wait_shows_its_progress_on_a_terminal(home: Home, way: str) -> None:
    terminal = home.terminal(sys.executable, str(home.write(WAITING)), way)
    terminal.read_until(lambda text: ("tasks ━" in text and "/40" in text) or "tasks" in text)
    terminal.type("")
    done = terminal.finish()
    assert done.code == 0
    assert "\x1b[?25l" in terminal.raw
    assert terminal.raw.count("\x1b[?25h") == terminal.raw.count("\x1b[?25l")
    last = terminal.raw.rpartition("\x1b[2K")[2]
    assert "tasks" not in last
    assert "done" in last
    assert any("look at number 34" in line for line in done.out.splitlines())
    assert "and at what it prints" in done.out


def test_an_interrupt_leaves_the_terminal_as_it_was(home: Home) -> None:
    terminal = home.terminal(sys.executable, str(home.write(WAITING)), "result")
    terminal.read_until(lambda text: "tasks ━" in text)
    terminal.interrupt()
    terminal.type("")
    done = terminal.finish()
    assert done.code != 0
    assert done.out.endswith("KeyboardInterrupt\n")
    assert terminal.raw.count("\x1b[?25h") == terminal.raw.count("\x1b[?25l") > 0
    assert home.run("run", "ls", "--json").json[0]["state"]["type"] == "CANCELLED"


def test_a_pipe_shows_no_progress(home: Home) -> None:
    done = home.execute([sys.executable, str(home.write(WAITING)), "result"], stdin="\n")
    assert done.code == 0
    assert done.out == "and at what it prints\ndone\n"
    assert "tasks" not in done.err
    assert "\x1b" not in done.err


def test_what_is_piped_away_stays_whole_beside_the_bar(home: Home) -> None:
    path = home.directory / "out"
    program = f"{sys.executable} {home.write(WAITING)} result > {path}"
    terminal = home.terminal("bash", "-c", program)
    terminal.read_until(lambda text: "tasks ━" in text)
    terminal.type("")
    assert terminal.finish().code == 0
    assert path.read_text() == "and at what it prints\ndone\n"


#: The second of its files goes up when a line is typed.
SYNCING = """
import sys
from pathlib import Path
from threading import Event, Thread
from flowstone_testing.objects import MemoryObjects, MemoryProvider

opened = Event()

def read():
    sys.stdin.readline()
    opened.set()

class SlowProvider(MemoryProvider):
    def put(self, key, source, size):
        if key == "b":
            opened.wait()
        super().put(key, source, size)

class Slow(MemoryObjects):
    def make_provider(self):
        return SlowProvider(self.place, self.folder)

folder = Path(__file__).parent / "up"
folder.mkdir(exist_ok=True)
for name in "abc":
    (folder / name).write_text(name * 1000)
Thread(target=read, daemon=True).start()
print(Slow(place="slow").sync_up(folder, progress=eval(sys.argv[1])))
"""


@pytest.mark.parametrize("progress", ["None", "True"])
def test_a_sync_shows_its_progress_on_a_terminal(home: Home, progress: str) -> None:
    terminal = home.terminal(sys.executable, str(home.write(SYNCING)), progress)
    terminal.read_until(lambda text: "sync_up ━" in text and "2/3 files, 2.0 kB" in text)
    terminal.type("")
    done = terminal.finish()
    assert done.code == 0
    assert terminal.raw.count("\x1b[?25h") == terminal.raw.count("\x1b[?25l") > 0
    last = terminal.raw.rpartition("\x1b[2K")[2]
    assert "sync_up" not in last
    assert "SyncResult(transferred=3, unchanged=0, deleted=0, bytes_transferred=3000)" in last


def test_a_sync_draws_nothing_in_a_pipe_or_where_it_should_not(home: Home) -> None:
    program = [sys.executable, str(home.write(SYNCING))]
    for progress in ("None", "True"):
        done = home.execute([*program, progress], stdin="\n")
        assert (done.code, done.err) == (0, "")
    terminal = home.terminal(*program, "False")
    terminal.type("")
    done = terminal.finish()
    assert done.code == 0
    assert "\x1b" not in terminal.raw
