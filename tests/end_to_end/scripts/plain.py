"""The plainest of programs, which stays alive for somebody to look at it."""

from __future__ import annotations

import sys

from flowstone import flow, task


@task
def add(first: int, second: int) -> int:
    return first + second


@flow(name="plain")
def plain() -> int:
    future = add.submit(1, 2)
    total = add(future.result(), 3)
    print("inside", flush=True)
    sys.stdin.readline()
    return total


plain()
print("after", flush=True)
sys.stdin.readline()
