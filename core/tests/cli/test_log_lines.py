"""Numbered lines, from real processes that end in every way: each arrives once, and in order."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flowstone_testing.programs import Home

COUNT = 3000

PROGRAM = f"""
import logging, os, signal, sys
from flowstone import flow, get_run_logger, task

library = logging.getLogger("library.part")

def hook(flow, run, state):
    get_run_logger().info("hook %s", state.name)

@task
def talk(first):
    for number in range(first, first + {COUNT} // 3, 2):
        get_run_logger().info("line %d", number, extra={{"number": number}})
        library.info("line %d", number + 1)

@flow(flow_run_name="talker", log_prints=True, on_completion=[hook], on_failure=[hook],
      on_cancellation=[hook], on_crashed=[hook])
def talker(end):
    talk(0)
    talk.submit({COUNT} // 3).result()
    for number in range(2 * {COUNT} // 3, {COUNT}):
        print("line", number)
    if end == "error":
        raise ValueError("no")
    if end == "exit":
        sys.exit(3)
    if end == "sigterm":
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

talker(sys.argv[1])
"""


@pytest.mark.parametrize(
    ("end", "code", "state"),
    [
        ("return", 0, "Completed"),
        ("error", 1, "Failed"),
        ("exit", 3, "Crashed"),
        ("sigterm", -signal.SIGTERM, "Crashed"),
    ],
)
def test_each_line_arrives_once_and_in_order(home: Home, end: str, code: int, state: str) -> None:
    environ = {**home.environ, "FLOWSTONE_LOGGING_EXTRA_LOGGERS": "library,library.part"}
    done = subprocess.run(
        [sys.executable, str(home.write(PROGRAM)), end],
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr
    found = home.run("run", "logs", "talker", "--json").json
    told = [line["message"] for line in found]
    numbered = [text for text in told if text.startswith("line ")]
    assert numbered == [f"line {number}" for number in range(COUNT)]
    assert f"ended {state}" in told[-2]
    assert told[-1] == f"hook {state}"
    assert found[1]["fields"] == {"number": 0}
    shown = [line for line in done.stderr.splitlines() if "| line " in line]
    assert len(shown) == COUNT
