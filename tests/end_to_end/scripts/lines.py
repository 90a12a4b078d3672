"""A flow that logs numbered lines, and ends as the argument says."""

from __future__ import annotations

import os
import sys
import time

from flowstone import flow, get_run_logger, task

COUNT = 500


@task
def chatty(numbers: range) -> None:
    for number in numbers:
        get_run_logger().info("line %d", number)


@flow(name="lines", log_prints=True)
def lines(ending: str) -> None:
    for number in range(COUNT // 2):
        print(f"line {number}")
    chatty(range(COUNT // 2, COUNT))
    match ending:
        case "raise":
            raise ValueError("as asked")
        case "exit":
            sys.exit(4)
        case "drop":
            os._exit(5)
        case "wait":
            os.write(1, b"ready\n")
            time.sleep(600)
        case "chatter":
            _chatter()


def _chatter() -> None:
    """Log on and on, and say to the test when each line was."""
    for number in range(COUNT, 1_000_000):
        print(f"line {number}")
        os.write(1, f"said {number} {time.time()}\n".encode())
        time.sleep(0.002)


lines(sys.argv[1])
