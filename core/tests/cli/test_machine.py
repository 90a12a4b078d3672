"""What a machine can do to a program: a disk that is full, a home that can't be written."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

    from .conftest import InProcess

FULL_DISK = """
import asyncio, resource, sys
from flowstone import flow, get_run_logger, task

@task(retries=2)
def work(n):
    get_run_logger().info("line %d %s", n, "x" * 200)
    return n

@task
async def awork(n):
    get_run_logger().info("line %d %s", n, "x" * 200)
    return n

def fill():
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limit[1]))

@flow(flow_run_name="heavy")
def heavy():
    fill()
    return sum(work.map(range(3000)).result())

@flow(flow_run_name="heavy")
async def aheavy():
    fill()
    return sum(await asyncio.gather(*[awork(n) for n in range(3000)]))

asyncio.run(aheavy()) if sys.argv[1] == "async" else heavy()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file")
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_full_disk_is_said_once(home: Home, kind: str) -> None:
    done = home.execute([sys.executable, str(home.write(FULL_DISK)), kind])
    lines = [line for line in done.err.splitlines() if "| INFO " not in line]
    assert done.code == 1
    assert sum("ended Failed" in line for line in lines) == 1, done.err[-2000:]
    assert sum("Traceback" in line for line in lines) == 1
    assert "Logging error" not in done.err
    assert "Exception ignored" not in done.err
    assert "flowstone.errors.stores.StoreUnusable: " in lines[-2]
    assert "events of runs could not be written: " in lines[-1]
    assert len(lines) < 200  # one traceback, for thousands of tasks
    [run] = home.run("run", "ls", "--json").json
    assert run["state"]["name"] == "Crashed"


@pytest.mark.skipif(sys.platform == "win32", reason="its home directories come by other variables")
def test_help_needs_no_home(cli: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "~")
    monkeypatch.delenv("FLOWSTONE_HOME", raising=False)
    assert cli("--help").code == 0
    told = cli("doctor")
    assert told.code == 1
    assert "Set it to a directory that this user can write." in told.out
