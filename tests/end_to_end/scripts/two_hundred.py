"""A flow of 200 tasks, called and submitted, that notes beside the store when each is done."""

from __future__ import annotations

import os
import sys
import time

from flowstone import flow, get_run_logger, task

side = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
pace = float(sys.argv[2])


@task(task_run_name="work-{number}")
def work(number: int) -> int:
    if number == 0:
        os.write(1, b"working\n")
    time.sleep(pace)
    os.write(side, f"work-{number} {time.time()}\n".encode())
    return number


@flow(name="two-hundred")
def two_hundred() -> int:
    os.write(1, f"run {(get_run_logger().extra or {})['run_id']}\n".encode())
    futures = []
    for number in range(200):
        if number % 4 == 3:
            futures.append(work.submit(number))
        else:
            work(number)
    return sum(future.result() for future in futures)


two_hundred()
