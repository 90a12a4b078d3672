"""`run start` and `run cancel`, by the real command on real files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("flowstone"))
PROGRAM = """
import asyncio, time
from dataclasses import dataclass
from flowstone import flow

@flow
def add(a: int, b: int = 2) -> int:
    print("sum", a + b)
    return a + b

@flow
def send(zip: str, n: int, note: str | None = None):
    print((zip, n, note))

@flow
def bad():
    raise ValueError("not today")

@flow
async def later(names: list[str]):
    await asyncio.sleep(0)
    print(names)

@flow
def long():
    print("up", flush=True)
    time.sleep(60)

not_a_flow = 3
"""


class Shop:
    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "shop.py").write_text(PROGRAM)
        self.env = {**os.environ, "FLOWSTONE_HOME": str(home / "home")}

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, "run", *args],
            cwd=self.home,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_flow_is_started_with_typed_parameters(shop: Shop) -> None:
    done = shop.run("start", "shop.py:add", "--param", "a=3")
    assert (done.returncode, done.stdout) == (0, "sum 5\n")
    (shop.home / "p.json").write_text('{"a": 1, "b": 1}')
    done = shop.run("start", "shop:add", "--params", "p.json", "-p", "b=9")
    assert done.stdout == "sum 10\n"
    done = shop.run("start", "shop.py:later", "-p", 'names=["x", "y"]')
    assert done.stdout == "['x', 'y']\n"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (["zip=12345", "n=2"], "('12345', 2, None)"),
        (["zip=true", "n=2", "note=7"], "('true', 2, '7')"),
        (['zip="12345"', "n=2", "note=null"], "('12345', 2, None)"),
        (["zip=0012", "n=2.0", "note=a b"], "('0012', 2, 'a b')"),
    ],
)
def test_a_parameter_is_read_as_its_type_wants(shop: Shop, written: list[str], told: str) -> None:
    done = shop.run("start", "shop.py:send", *(f"-p{pair}" for pair in written))
    assert (done.returncode, done.stdout) == (0, f"{told}\n"), done.stderr


def test_the_exit_code_tells_the_outcome(shop: Shop) -> None:
    done = shop.run("start", "shop.py:bad", "--json")
    assert done.returncode == 1
    run = json.loads(done.stdout)
    assert (run["state"]["name"], run["state"]["message"]) == ("Failed", "ValueError: not today")
    assert run == json.loads(shop.run("retry", run["id"], "--json").stdout) | {
        key: run[key] for key in ("state", "ended", "duration_seconds", "attempts")
    }
    assert "Traceback" not in done.stderr


def test_who_reads_that_a_run_failed_is_told_what_to_do_next(shop: Shop) -> None:
    done = shop.run("start", "shop.py:bad")
    [run] = json.loads(shop.run("ls", "--json").stdout)
    ref = run["id"][-12:]
    told = f"`flowstone run show {ref}` shows what it did; `flowstone run retry {ref}` takes it up."
    assert done.stderr.splitlines()[-2:] == [
        f"{run['name']} ended Failed: ValueError: not today", told
    ]  # fmt: skip
    assert shop.run("retry", ref).stderr.splitlines()[-1] == told


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["shop.py:ad"], 1, "shop.py has no 'ad'. Did you mean"),
        (["shop.py:not_a_flow"], 1, "something else than a flow"),
        (["nowhere.py:x"], 1, "there is no file nowhere.py"),
        (["nowhere:x"], 1, "it can't be found"),
        (["shop.py"], 1, "it is not MODULE:FLOW"),
        (["shop.py:add", "-p", "a"], 2, "'a' is not NAME=VALUE"),
        (["shop.py:add", "-p", "a=many"], 1, "a: input should be a valid integer"),
        (["shop.py:add"], 1, "missing a required argument: 'a'"),
        (["shop.py:add", "--params", "shop.py"], 2, "is not JSON"),
    ],
)
def test_wrong_input_says_what_is_wrong(
    shop: Shop, args: list[str], code: int, message: str
) -> None:
    done = shop.run("start", *args)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("x = 1\nimport nothing_like_this\n", "No module named 'nothing_like_this'"),
        ("def f():\n    1 / 0\nf()\n", "ZeroDivisionError: division by zero"),
        ("x = 1\nx = = 2\n", "SyntaxError: invalid syntax"),
    ],
)
@pytest.mark.parametrize("entrypoint", ["broken.py:f", "broken:f"])
def test_a_file_that_fails_is_told_by_its_own_lines(
    shop: Shop, entrypoint: str, code: str, told: str
) -> None:
    (shop.home / "broken.py").write_text(code)
    done = shop.run("start", entrypoint)
    assert done.returncode == 1
    assert f"{entrypoint.partition(':')[0]} can't be imported: " in done.stderr.partition("\n")[0]
    assert told in done.stderr
    assert 'broken.py", line ' in done.stderr
    assert "flowstone/" not in done.stderr
    assert "importlib" not in done.stderr


def test_a_run_is_cancelled_from_another_terminal(shop: Shop) -> None:
    child = subprocess.Popen(
        [COMMAND, "run", "start", "shop.py:long"],
        cwd=shop.home,
        env=shop.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        [run] = json.loads(shop.run("ls", "--json").stdout)
        done = shop.run("cancel", run["id"])
        assert (done.returncode, done.stdout) == (0, f"{run['name']} is Cancelled.\n")
        _, err = child.communicate(timeout=20)
        assert child.returncode == 130
        assert f"{run['name']} was cancelled." in err
        again = shop.run("cancel", run["id"], "--json")
        assert json.loads(again.stdout)["state"]["name"] == "Cancelled"
    finally:
        child.kill()
        child.communicate()


def test_a_run_whose_process_is_dead_is_not_waited_for(shop: Shop) -> None:
    child = subprocess.Popen(
        [COMMAND, "run", "start", "shop.py:long"],
        cwd=shop.home,
        env=shop.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    child.kill()
    child.communicate()
    [run] = json.loads(shop.run("ls", "--json").stdout)
    done = shop.run("cancel", run["id"])
    assert (done.returncode, done.stdout) == (0, f"{run['name']} is Crashed.\n")
