"""`run resume`, by the real command on real processes: paused, suspended, killed, cancelled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from flowstone_testing.programs import COMMAND

if TYPE_CHECKING:
    from flowstone_testing.programs import Home, ProgramResult

CANARY = "canary-of-an-input"
PROGRAM = """
import sys
from datetime import date
from pydantic import Field, SecretStr
from flowstone import flow, get_run_logger, pause_flow_run, suspend_flow_run, task
from flowstone.input import RunInput

class Approval(RunInput):
    good: bool = Field(description="ship it?")
    rows: int = 3
    day: date = date(2020, 1, 2)
    token: SecretStr

@task(persist_result=True)
def extract() -> int:
    print("extracting", flush=True)
    return 40

@flow(flow_run_name="paused")
def pauses():
    rows = extract()
    print("up", flush=True)
    told = pause_flow_run(Approval.with_initial_data("Ship **this**?"), poll_interval=0.1)
    get_run_logger().info("token %s", told.token.get_secret_value())
    print(rows + told.rows, told.good, told.token, len(told.token.get_secret_value()), flush=True)

@flow(flow_run_name="suspended")
def suspends():
    rows = extract()
    print(rows + suspend_flow_run(int))

if __name__ == "__main__":
    globals()[sys.argv[1]]()
"""


@contextmanager
def paused(home: Home) -> Iterator[subprocess.Popen[str]]:
    """Start the flow that pauses, and wait until it does."""
    child = subprocess.Popen(
        [sys.executable, str(home.write(PROGRAM)), "pauses"],
        cwd=home.directory,
        env=home.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        while child.stdout.readline() != "up\n":
            assert child.poll() is None, child.stderr
        while not home.run("run", "ls", "--state", "paused", "--json").json:
            assert child.poll() is None, child.stderr
        yield child
    finally:
        child.kill()
        child.communicate()


def resume(home: Home, *args: str) -> ProgramResult:
    return home.run("run", "resume", "paused", *args, TOKEN=CANARY)


def test_a_paused_run_is_shown_and_resumed(home: Home) -> None:
    with paused(home) as child:
        assert "waits for input (good, rows, day, token)" in home.run("run", "ls").out
        shown = home.run("run", "show", "paused").out
        for part in (
            "Ship **this**?", "good (boolean): ship it?", "rows (integer, optional)",
            "token (password)",
        ):  # fmt: skip
            assert part in shown
        asks = home.run("run", "show", "paused", "--json").json["asks"]
        assert asks["schema"]["required"] == ["good", "token"]
        wrong = resume(home, "-i", "good=perhaps", "-i", "rows=many", "-i", "token=@env:TOKEN")
        assert wrong.code == 1
        assert "good: Input should be a valid boolean" in wrong.err
        assert "rows: Input should be a valid integer" in wrong.err
        typed = resume(home, "-i", "good=yes", "-i", f"tokken={CANARY}")
        assert "Did you mean 'token'" in typed.err
        done = resume(home, "-i", "good=true", "--input", "rows=2", "-i", "token=@env:TOKEN")
        assert (done.code, done.out) == (0, "paused is resumed.\n"), done.err
        out, errors = child.communicate(timeout=300)
        assert out == f"42 True ********** {len(CANARY)}\n"
        again = resume(home, "-i", "good=true")
        assert again.code == 1
        assert "can't be resumed: it is Completed" in again.err
    everything = [path.read_bytes() for path in home.path.rglob("*") if path.is_file()]
    told = (wrong, typed, done, again, home.run("run", "show", "paused", "--json"))
    texts = [*(result.out + result.err for result in told), errors, shown]
    assert not [text for text in texts if CANARY in text]
    assert not [content for content in everything if CANARY.encode() in content]


def test_input_comes_from_a_file_and_from_a_pipe(home: Home) -> None:
    with paused(home) as child:
        bad = home.run("run", "resume", "paused", "--input-file", "-", stdin='{"good": 7}')
        assert (bad.code, "token: Field required" in bad.err) == (1, True)
        content = f'{{"good": true, "token": "{CANARY}"}}'
        (home.directory / "in.json").write_text(content)
        done = resume(home, "--input-file", "in.json", "--json")
        assert done.json["state"]["name"] in {"Running", "Completed"}
        assert child.communicate(timeout=300)[0].startswith("43 True")


def test_on_a_terminal_each_field_is_asked_for(home: Home) -> None:
    with paused(home) as child:
        person = home.terminal(COMMAND, "run", "resume", "paused", columns=120)
        person.read_until(lambda text: "good (boolean, ship it?)" in text)
        assert "Ship **this**?" in person.text
        person.type("perhaps")
        person.read_until(lambda text: "valid boolean" in text)
        person.type("yes")
        person.read_until(lambda text: "rows (integer; Enter for 3)" in text)
        person.type("")
        person.read_until(lambda text: "day (date; Enter for '2020-01-02')" in text)
        person.type("2024-05-06")
        person.read_until(lambda text: "token (password)" in text)
        person.type(CANARY)
        done = person.finish()
        assert done.code == 0
        assert "paused is resumed." in done.out
        assert CANARY not in done.out
        assert child.communicate(timeout=300)[0].startswith("43 True")


def test_a_paused_run_is_cancelled(home: Home) -> None:
    with paused(home) as child:
        done = home.run("run", "cancel", "paused")
        assert (done.code, done.out) == (0, "paused is Cancelled.\n")
        child.communicate(timeout=300)
        assert child.returncode != 0
    assert "run retry" in resume(home, "-i", "good=true").err


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
def test_a_killed_pause_is_a_crash_that_can_be_retried(home: Home) -> None:
    with paused(home) as child:
        child.kill()
        child.communicate()
        refused = resume(home, "-i", "good=true")
        assert "it is Crashed" in refused.err
        again = subprocess.Popen(
            [COMMAND, "run", "retry", "paused"],
            cwd=home.directory,
            env=home.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert again.stdout is not None
        assert again.stdout.readline() == "up\n"  # nothing was extracted again
        while not home.run("run", "ls", "--state", "paused", "--json").json:
            assert again.poll() is None
        assert resume(home, "-i", "good=true", "-i", "token=@env:TOKEN").code == 0
        out, _ = again.communicate(timeout=300)
        assert (again.returncode, out.partition(" ")[0]) == (0, "43")


def test_a_flow_in_another_process_is_paused_too(home: Home) -> None:
    program = """
from flowstone import flow, pause_flow_run, task
from flowstone.task_runners import ProcessPoolTaskRunner

@flow(flow_run_name="inner")
def inner() -> int:
    return pause_flow_run(int, poll_interval=0.1)

@task
def calls() -> int:
    return inner()

@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def outer():
    print(calls.submit().result())

if __name__ == "__main__":
    outer()
"""
    child = subprocess.Popen(
        [sys.executable, str(home.write(program))],
        cwd=home.directory,
        env=home.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        while not home.run("run", "ls", "--state", "paused", "--json").json:
            assert child.poll() is None
        assert home.run("run", "resume", "inner", "-i", "value=5").out == "inner is resumed.\n"
        assert child.communicate(timeout=300)[0] == "5\n"
    finally:
        child.kill()
        child.communicate()


def test_a_suspended_run_goes_on_in_the_command(home: Home) -> None:
    home.write(PROGRAM)
    began = home.run("run", "start", "program.py:suspends")
    assert (began.code, began.out.splitlines()[0]) == (0, "extracting")
    assert "suspended is Suspended: waits for input (value); resume it with `flow" in began.out
    [run] = home.run("run", "ls", "--state", "suspended", "--json").json
    wrong = home.run("run", "resume", run["id"], "-i", "value=x")
    assert (wrong.code, "value: " in wrong.err) == (1, True)
    assert home.run("run", "resume", run["id"]).code == 1
    done = home.run("run", "resume", run["id"], "-i", "value=2")
    assert (done.code, done.out) == (0, "42\n")
    tree = home.run("run", "show", "suspended").out
    assert "extract-0  Cached" in tree
    assert "attempt 2" in tree


def test_a_suspended_run_is_cancelled_at_once(home: Home) -> None:
    home.write(PROGRAM)
    home.run("run", "start", "program.py:suspends")
    done = home.run("run", "cancel", "suspended")
    assert (done.code, done.out) == (0, "suspended is Cancelled.\n")
    assert home.run("run", "resume", "suspended", "-i", "value=2").code == 1


def test_a_program_that_suspends_says_how_it_goes_on(home: Home) -> None:
    ended = home.execute([sys.executable, str(home.write(PROGRAM)), "suspends"])
    assert ended.code == 1
    assert "SuspendedRun: run 'suspended' is suspended. Resume it with" in ended.err
    home.environ["PATH"] = os.environ.get("PATH", "")
    assert home.run("run", "resume", "suspended", "-i", "value=2").out == "42\n"
