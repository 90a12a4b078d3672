"""`run start` on a terminal: the tree of the run, while it runs and at its end."""

from __future__ import annotations

import re
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from flowstone_testing.programs import COMMAND

if TYPE_CHECKING:
    from flowstone_testing.programs import Home, Terminal

PROGRAM = """
import atexit, click, logging, sys
from threading import Event, Thread
from flowstone import flow, get_run_logger, task
from flowstone.runtime import flow_run

opened = Event()

@task
def fetch(number):
    if number > 30:
        opened.wait()
    if number == 33:
        get_run_logger().warning("look at number 33")
        print("and at what it prints")
        raise ValueError("number 33 fails for a reason that is longer than what a line can hold")
    return number

@task
def total(numbers):
    return sum(numbers)

@flow(flow_run_name="inner-flow")
def inner():
    return total([1, 2])

@flow(flow_run_name="outer-flow")
def outer():
    Thread(target=read, daemon=True).start()
    inner()
    fetch.map(range(40)).result(raise_on_failure=False)
    return total([3])

@flow(flow_run_name="many-flow")
def many():
    Thread(target=read, daemon=True).start()
    for number in range(60):
        total.with_options(name=f"step-{number}")([number])
    fetch.submit(31).result()

@flow(flow_run_name="fails-once")
def fails_once():
    if flow_run.run_count == 1:
        raise ValueError("at first")
    return total([1])

@flow
def chatty():
    for number in range(3000):
        print("line", number)

@flow
def others():
    handler = logging.StreamHandler(sys.stdout)
    logging.getLogger("other").addHandler(handler)
    logging.getLogger("other").warning("said by a handler")
    click.echo("said by click")
    sys.stderr.writelines(["said ", "in lines\\n"])
    atexit.register(logging.getLogger("other").warning, "said at the end")
    print("without a newline", end="")

@flow
def asks():
    print("hello " + input("your name? "))

def read():
    sys.stdin.readline()
    opened.set()
"""


SAID = [
    "said by a handler",
    "said by click",
    "said in lines",
    "without a newline",
    "said at the end",
]


def start(home: Home, flow: str, *options: str, columns: int = 80, **environ: str) -> Terminal:
    entrypoint = f"{home.write(PROGRAM)}:{flow}"
    return home.terminal(
        COMMAND,
        "run",
        "start",
        entrypoint,
        *options,
        columns=columns,
        rows=16,
        echo=False,
        **environ,
    )


def without_times(lines: list[str]) -> list[str]:
    return [re.sub(r"  (<1ms|\d+m?s|\d+\.\ds)", "  TIME", line).rstrip() for line in lines]


END = """
outer-flow  Completed  TIME
├── inner-flow  flow inner  Completed  TIME
│   └── total-0  Completed  TIME
├── fetch  \N{MULTIPLICATION SIGN}40  ✓ 39  ✗ 1
│   └── fetch-33  Failed  TIME  ValueError: number 33 fails for a reason that …
└── total-0  Completed  TIME
"""


def test_the_tree_grows_and_stays_at_the_end(home: Home) -> None:
    terminal = start(home, "outer")
    terminal.read_until(lambda text: re.search(r"fetch  .\d+ .*● \d", text))
    terminal.type("")
    done = terminal.finish()
    assert done.code == 0
    lines = without_times(terminal.screen)
    wanted = END.strip().splitlines()
    # How many columns a duration takes decides where a long line is cut.
    begins = [line.partition(" for a reason")[0] for line in lines[-len(wanted) - 1 :]]
    assert begins == [line.partition(" for a reason")[0] for line in wanted] + [""]
    assert [line for line in terminal.screen if "look at number 33" in line]
    assert "and at what it prints" in lines
    assert len([line for line in lines if line.startswith("outer-flow")]) == 1
    assert max(map(len, lines[-len(wanted) - 1 :])) <= 80
    assert terminal.raw.count("\x1b[?25l") == terminal.raw.count("\x1b[?25h") == 1
    assert "\x1b[36mRunning" in terminal.raw
    assert "tasks ━" not in terminal.raw


def test_it_is_no_higher_than_the_terminal(home: Home) -> None:
    terminal = start(home, "many")
    terminal.read_until(lambda text: "fetch-0  Running" in text)
    drawn = terminal.text.rpartition("many-flow  Running")[2].split("many-flow")[0]
    assert len(drawn.splitlines()) <= 15
    assert re.search(r"… \d+ more\n", drawn)
    assert "step-59-0  Completed" in drawn
    terminal.type("")
    assert terminal.finish().code == 0
    assert "├── step-0-0  Completed" in "\n".join(terminal.screen)


@pytest.mark.parametrize("columns", [20, 40])
def test_narrow_terminals_cut_lines(home: Home, columns: int) -> None:
    terminal = start(home, "outer", columns=columns)
    terminal.type("")
    assert terminal.finish().code == 0
    tree = terminal.screen[-7:]
    assert tree[0].startswith("outer-flow")
    assert max(map(len, tree)) <= columns


def test_a_run_that_is_executed_again_is_the_root_of_its_tree(home: Home) -> None:
    home.write(PROGRAM)
    assert home.run("run", "start", "program.py:fails_once").code == 1
    terminal = home.terminal(COMMAND, "run", "retry", "fails-once")
    assert terminal.finish().code == 0
    lines = without_times(terminal.screen)
    assert lines[-3:-1] == [
        "fails-once  Completed  TIME  2 attempts",
        "└── total-0  Completed  TIME",
    ]


def test_an_interrupt_leaves_the_tree_and_the_cursor(home: Home) -> None:
    terminal = start(home, "outer")
    terminal.read_until(lambda text: re.search(r"fetch  .40 ", text))
    terminal.interrupt()
    terminal.type("")
    done = terminal.finish()
    assert done.code == 130
    assert "outer-flow  Cancelled" in "\n".join(terminal.screen)
    assert terminal.screen[-3] == "outer-flow was cancelled."
    assert terminal.raw.count("\x1b[?25l") == terminal.raw.count("\x1b[?25h") == 1


def test_a_termination_leaves_the_tree_and_the_cursor(home: Home) -> None:
    terminal = start(home, "outer")
    terminal.read_until(lambda text: re.search(r"fetch  .40 ", text))
    terminal.interrupt(signal.SIGTERM)
    done = terminal.finish()
    assert done.code == -signal.SIGTERM
    assert "outer-flow  Crashed" in "\n".join(terminal.screen)
    assert terminal.raw.count("\x1b[?25l") == terminal.raw.count("\x1b[?25h") == 1


def test_what_others_write_is_all_there(home: Home) -> None:
    terminal = start(home, "others")
    assert terminal.finish().code == 0
    assert [line for line in terminal.screen if line in SAID] == SAID


def test_what_is_printed_in_a_burst_is_all_there_in_order(home: Home) -> None:
    terminal = start(home, "chatty")
    assert terminal.finish().code == 0
    lines = [line for line in terminal.screen if line.startswith("line ")]
    assert lines == [f"line {number}" for number in range(3000)]
    assert terminal.raw.count("\x1b[2K") < 3000


def test_a_question_is_seen_and_answered(home: Home) -> None:
    terminal = start(home, "asks")
    terminal.read_until(lambda text: "your name?" in text)
    terminal.type("Ada")
    terminal.finish()
    assert "hello Ada" in terminal.screen


@pytest.mark.parametrize(
    ("options", "environ"),
    [(["--json"], {}), (["--no-tree"], {}), ([], {"TERM": "dumb"})],
    ids=["json", "no-tree", "dumb"],
)
def test_it_can_do_without(home: Home, options: list[str], environ: dict[str, Any]) -> None:
    terminal = start(home, "inner", *options, **environ)
    assert terminal.finish().code == 0
    assert "\x1b[?" not in terminal.raw
    assert ("\x1b[" in terminal.raw) == (not environ), "lines of the log are coloured"
    assert "└──" not in terminal.raw


def test_no_color_takes_the_colours_away(home: Home) -> None:
    terminal = start(home, "inner", NO_COLOR="1")
    assert terminal.finish().code == 0
    assert "inner-flow  Completed" in terminal.raw.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "\x1b[3" not in terminal.raw


def test_an_encoding_without_marks_has_words(home: Home) -> None:
    terminal = start(home, "outer", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    terminal.type("")
    assert terminal.finish().code == 0
    assert "fetch  x40  39 completed  1 failed" in "\n".join(terminal.screen)


def test_a_pipe_has_no_tree(home: Home) -> None:
    path = home.write(PROGRAM)
    done = home.run("run", "start", f"{path}:inner")
    assert (done.code, done.out) == (0, "")
    assert "inner-flow | ended Completed" in done.err
    assert "└──" not in done.err


def test_what_is_piped_away_stays_whole(home: Home) -> None:
    path = home.directory / "out"
    command = f"{COMMAND} run start {home.write(PROGRAM)}:chatty > {path}"
    terminal = home.terminal("bash", "-c", command)
    assert terminal.finish().code == 0
    assert path.read_text() == "".join(f"line {number}\n" for number in range(3000))
    assert "chatty" not in path.read_text()
    assert "Completed" in terminal.raw


PLAIN = """
import asyncio
from flowstone import flow, get_run_logger, task

@task
def fetch(number):
    get_run_logger().warning("number %d", number)
    return number

@flow(flow_run_name="sync-flow")
def sync():
    return fetch(1)

@flow(flow_run_name="async-flow")
async def later():
    return fetch(2)

print("result", sync())
print("result", asyncio.run(later()))
fetch(3)
"""


def test_a_plain_program_has_colours_and_where_it_is_asked_for_a_tree(home: Home) -> None:
    program = str(home.write(PLAIN))
    terminal = home.terminal(sys.executable, program)
    assert terminal.finish().code == 0
    assert "\x1b[33mWARNING\x1b[0m" in terminal.raw
    assert "Completed  " not in terminal.text

    terminal = home.terminal(sys.executable, program, FLOWSTONE_LIVE_TREE="true")
    assert terminal.finish().code == 0
    trees = [line for line in without_times(terminal.screen) if " | " not in line]
    assert trees[:6] == [
        "sync-flow  Completed  TIME",
        "└── fetch-0  Completed  TIME",
        "result 1",
        "async-flow  Completed  TIME",
        "└── fetch-0  Completed  TIME",
        "result 2",
    ]
    assert terminal.raw.count("\x1b[?25l") == terminal.raw.count("\x1b[?25h") == 2

    no_color: list[dict[str, Any]] = [{"NO_COLOR": "1"}, {"TERM": "dumb"}]
    for environ in (*no_color, {"FLOWSTONE_LOGGING_COLORS": "false"}):
        terminal = home.terminal(sys.executable, program, **environ)
        assert terminal.finish().code == 0
        assert "\x1b" not in terminal.raw, environ
