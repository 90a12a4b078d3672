"""What a machine can do to a program: a disk that is full, a home that can't be written."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

    from .conftest import InProcess

FULL_DISK = """
import resource
from flowstone import flow, get_run_logger, task

@task(retries=2)
def work(n):
    get_run_logger().info("line %d %s", n, "x" * 200)
    return n

@flow(flow_run_name="heavy")
def heavy():
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limit[1]))
    return sum(work.map(range(3000)).result())

heavy()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file")
def test_a_full_disk_is_said_once(home: Home) -> None:
    done = home.execute([sys.executable, str(home.write(FULL_DISK))])
    lines = [line for line in done.err.splitlines() if "| INFO " not in line]
    assert done.code == 1
    assert sum("ended Failed" in line for line in lines) == 1, done.err[-2000:]
    assert sum("Traceback" in line for line in lines) == 1
    assert "Logging error" not in done.err
    assert "Exception ignored" not in done.err
    assert "flowstone.errors.stores.StoreUnusable: " in lines[-2]
    assert "facts about runs could not be kept: " in lines[-1]
    assert len(lines) < 60
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
