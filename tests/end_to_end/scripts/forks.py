"""A flow that forks, before and while the journal has facts in hand."""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings

from flowstone import flow, get_run_logger, task


@task(task_run_name="work-{number}")
def work(number: int) -> int:
    get_run_logger().info("worked %d", number)
    return number


@task(task_run_name="child-{number}")
def in_child(number: int) -> int:
    return number


def plain(number: int) -> int:
    """Use nothing of Flowstone in the child."""
    return number * number


@flow(name="beside")
def beside(number: int) -> int:
    return in_child(number)


def own_flow(number: int) -> int:
    """Run a flow of its own in the child."""
    return beside(number)


@flow(name="forking")
def forking() -> int:
    total = 0
    for number in range(50):
        total += work(number)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        total += sum(pool.map(plain, range(4)))
    for number in range(50, 60):
        total += work(number)
    child = os.fork()
    if child == 0:
        os._exit(0)  # with the parent's facts still in its memory
    os.waitpid(child, 0)
    for number in range(60, 70):
        total += work(number)
    child = os.fork()
    if child == 0:
        sys.exit(0)  # with all that runs at a normal exit
    _, status = os.waitpid(child, 0)
    print("child", os.waitstatus_to_exitcode(status), flush=True)
    return total


def main() -> None:
    # Newer Pythons warn of forks beside threads; that is what this is about.
    warnings.simplefilter("ignore", DeprecationWarning)
    forking()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print("total", sum(pool.map(own_flow, range(6))), flush=True)


main()
