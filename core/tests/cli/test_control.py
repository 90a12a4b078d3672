"""`run start` and `run cancel`, by the real command on real files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each starts programs

COMMAND = str(Path(sys.executable).with_name("flowstone"))
PROGRAM = """
import asyncio, sys, time
from decimal import Decimal
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

@flow
async def nap():
    print("up", flush=True)
    await asyncio.sleep(60)

@flow
def pay(amount: Decimal, currency: Decimal | None = None):
    print(repr(amount), currency)

@flow
def loose(a, /, *rest, self=0, **more):
    print(a, rest, self, more)

@flow
def leave(code: int):
    sys.exit(code)

class Odd(BaseException):
    pass

@flow
def odd():
    raise Odd("odd")

not_a_flow = 3
"""
SECRETS = """
from flowstone import flow, task
from pydantic import BaseModel, SecretStr

class Login(BaseModel):
    user: str
    password: SecretStr

@flow(flow_run_name="entry")
def log_in(pw: SecretStr, user: str = "", more: list[SecretStr] = [], login: Login | None = None):
    values = [pw, *more, *([login.password] if login else [])]
    raise RuntimeError(f"{user} is refused with " + "+".join(v.get_secret_value() for v in values))
"""


class Shop:
    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "shop.py").write_text(PROGRAM)
        self.env = {**os.environ, "FLOWSTONE_HOME": str(home / "home")}

    def run(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, "run", *args],
            input=stdin,
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


def test_a_decimal_has_all_the_digits_that_were_written(shop: Shop) -> None:
    done = shop.run("start", "shop.py:pay", "-p", "amount=12345678901234567.890")
    assert done.stdout == "Decimal('12345678901234567.890') None\n", done.stderr


def test_a_flow_is_started_whatever_kinds_of_parameters_it_has(shop: Shop) -> None:
    done = shop.run(
        "start", "shop.py:loose", "-p", "a=1", "-p", "rest=[2]", "-p", "x=3", "-p", "self=4"
    )
    assert done.stdout == "1 (2,) 4 {'x': 3}\n", done.stderr


def test_a_file_of_parameters_is_json_in_utf8_or_comes_on_standard_input(shop: Shop) -> None:
    (shop.home / "p.json").write_bytes(b"\xef\xbb\xbf" + '{"zip": "\u00fc", "n": 1}'.encode())
    shop.env |= {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    shop.env |= {"PYTHONIOENCODING": "utf-8"}
    done = shop.run("start", "shop.py:send", "--params", "p.json")
    assert done.stdout == "('\u00fc', 1, None)\n", done.stderr
    done = shop.run("start", "shop.py:add", "--params", "-", stdin='{"a": 1}')
    assert done.stdout == "sum 3\n", done.stderr


@pytest.mark.parametrize(
    ("written", "stdin"),
    [("@env:DOOR_WORD", ""), ("@file:word", ""), ("@-", "canary-0815\n"), ("canary-0815", "")],
)
def test_a_secret_parameter_stays_out_of_sight(shop: Shop, written: str, stdin: str) -> None:
    (shop.home / "word").write_text("canary-0815\n")
    (shop.home / "secrets_.py").write_text(SECRETS)
    shop.env["DOOR_WORD"] = "canary-0815"
    started = shop.run("start", "secrets_.py:log_in", f"-ppw={written}", "-puser=me", stdin=stdin)
    again = shop.run("retry", "entry", f"-ppw={written}", stdin=stdin)
    for done in (started, again, shop.run("ls"), shop.run("show", "entry", "--json")):
        assert "canary" not in done.stdout + done.stderr
    for done in (started, again):
        assert "me is refused with ********" in done.stderr
        assert ("Warning: pw was typed" in done.stderr) is (written == "canary-0815")
    kept = b"".join(path.read_bytes() for path in (shop.home / "home").rglob("*.db*"))
    assert b"canary" not in kept


@pytest.mark.parametrize(
    "pair", ['more=["canary-0816"]', 'login={"user": "me", "password": "canary-0816"}']
)
def test_a_typed_secret_inside_of_a_parameter_is_warned_of(shop: Shop, pair: str) -> None:
    (shop.home / "secrets_.py").write_text(SECRETS)
    done = shop.run("start", "secrets_.py:log_in", "-ppw=@env:HOME", "-p", pair)
    assert f"Warning: {pair.partition('=')[0]} was typed" in done.stderr
    assert "canary" not in done.stdout + done.stderr


def test_every_parameter_may_be_in_a_variable(shop: Shop) -> None:
    shop.env["COUNT"] = "3"
    assert shop.run("start", "shop.py:add", "-p", "a=@env:COUNT").stdout == "sum 5\n"
    (shop.home / "p.json").write_text('{"a": "@env:COUNT"}')
    for words, told in (
        (["-p", "a=@env:NOT_THERE"], "environment variable 'NOT_THERE' is not set"),
        (["-p", "a=@p.json"], "write a=@file:p.json"),
        (["-p", "a=@-", "-p", "b=@-"], "standard input is already used for a"),
        (["--params", "-", "-p", "b=@-"], "standard input is already used for --params"),
        (["-p", "=hunter2"], "is not NAME=VALUE"),
    ):
        done = shop.run("start", "shop.py:add", *words, stdin="{}")
        assert done.returncode == 2
        assert told in done.stderr
        assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    ("flow", "told"),
    [
        ("leave -pcode=0", "sys.exit(0)"),
        ("leave -pcode=7", "sys.exit(7)"),
        ("odd", "ended Crashed."),
    ],
)
def test_what_its_own_code_crashes_is_told_as_a_crash(shop: Shop, flow: str, told: str) -> None:
    name, *args = flow.split()
    done = shop.run("start", f"shop.py:{name}", *args)
    assert done.returncode == 3, "sys.exit(0) in a flow is no success"
    assert told in done.stderr.splitlines()[-2]
    assert "`flowstone run retry" in done.stderr.splitlines()[-1]
    assert ("Traceback" in done.stderr) == ("Odd: odd" in done.stderr) == (name == "odd")


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
    told = (
        f"`flowstone run show {ref}` shows what it did; "
        f"`flowstone run retry {ref}` executes it again."
    )
    traceback = done.stderr.partition("Traceback (most recent call last):\n")[2].splitlines()
    assert traceback == [
        f'  File "{shop.home / "shop.py"}", line 17, in bad',
        '    raise ValueError("not today")',
        "ValueError: not today",
        "",
        f"{run['name']} ended Failed.",
        told,
    ]
    assert shop.run("retry", ref).stderr.splitlines()[-1] == told


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["shop.py:ad"], 1, "shop.py has no 'ad'. Did you mean"),
        (["shop.py:not_a_flow"], 1, "is not a flow"),
        (["nowhere.py:x"], 1, "there is no file nowhere.py"),
        (["nowhere:x"], 1, "the module 'nowhere' can't be found"),
        (["shop.py:"], 1, "it is not MODULE:FLOW"),
        (["shop.py"], 1, "flows: 'add', 'send', 'bad', "),
        (["shop.py:add", "-p", "a"], 2, "'a' is not NAME=VALUE"),
        (["shop.py:add", "-p", "a=many"], 1, "a: input should be a valid integer"),
        (["shop.py:add"], 1, "missing a required argument: 'a'"),
        (["shop.py:add", "-p", "a=1", "-p", "self=1"], 1, "unexpected keyword argument 'self'"),
        (["shop.py:loose", "-p", "a=1", "-p", "wait_for=1"], 1, "keyword argument 'wait_for'"),
        (["shop.py:loose", "-p", "a=1", "-p", "rest=5"], 1, "'rest' takes a list of values"),
        (["shop.py:loose", "-p", "a=1", "-p", "more=5"], 1, "'more' takes an object of values"),
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


@pytest.mark.parametrize("flow", ["long", "nap"])
def test_a_run_is_cancelled_from_another_terminal(shop: Shop, flow: str) -> None:
    child = subprocess.Popen(
        [COMMAND, "run", "start", f"shop.py:{flow}"],
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
        _, err = child.communicate(timeout=300)
        assert child.returncode == 130
        assert f"{run['name']} was cancelled." in err
        assert "Traceback" not in err
        again = shop.run("cancel", run["id"], "--json")
        assert json.loads(again.stdout)["state"]["name"] == "Cancelled"
    finally:
        child.kill()
        child.communicate()


def test_an_error_that_ends_with_a_stop_is_not_given_a_second_one(shop: Shop) -> None:
    (shop.home / "broken.py").write_text(
        "from flowstone import flow\nflow(timeout_seconds=0)(print)"
    )
    told = shop.run("start", "broken.py:f").stderr.partition("\n")[0]
    assert told.endswith("Omit it for no limit. Fix it, and try again.")


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
