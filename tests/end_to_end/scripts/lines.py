"""A flow that logs numbered lines, and ends as the argument says."""

from __future__ import annotations

import os
import sys
import time

from flowstone import flow, get_run_logger, task

COUNT = 500
#: With a second argument, the lines are written to standard output, not printed.
WRITES = len(sys.argv) > 2
if WRITES:
    os.environ["FLOWSTONE_LOGGING_CAPTURE_STDOUT"] = "true"


@task
def chatty(numbers: range) -> None:
    for number in numbers:
        get_run_logger().info("line %d", number)


@task
def writes(numbers: range) -> None:
    """Write lines, the last of which is not ended."""
    sys.stdout.write("\n".join(f"line {number}" for number in numbers))


@flow(name="lines", log_prints=not WRITES or None)
def lines(ending: str) -> None:
    for number in range(COUNT // 2):
        print(f"line {number}")
    (writes if WRITES else chatty)(range(COUNT // 2, COUNT))
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
