"""Flows of 200 concurrent tasks, one after the other."""

from __future__ import annotations

import sys

from flowstone import flow, task


@task
def work(number: int) -> int:
    return number


@flow(name="crowd")
def crowd() -> int:
    return sum(work.map(range(200)).result())


for _ in range(int(sys.argv[1])):
    assert crowd() == 19900
