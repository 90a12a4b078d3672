"""Background tasks, as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.parity.conftest import Program, Script


def test_tasks_are_served_and_sent_by_one_program(script: Script) -> None:
    """`serve(*tasks)` in a process of its own, and each way to send and to ask."""
    done = script("""
        import asyncio, os, signal, subprocess, sys
        from prefect import flow, task
        from prefect.task_worker import serve

        @task(retries=1, task_run_name="greet-{name}")
        def greet(name: str, loud: bool = False) -> str:
            return f"hello {name}".upper() if loud else f"hello {name}"

        @task
        async def count(text: str) -> int:
            return len(text)

        @flow
        def send() -> str:
            greeting = greet.delay("Marvin")
            return greeting.task_run_id

        async def handle() -> int:
            future = count.delay("in a handler")
            return await future.result_async(timeout=60)

        if __name__ == "__main__" and "serve" in sys.argv:
            serve(greet, count, limit=10, status_server_port=None)
        elif __name__ == "__main__":
            served = subprocess.Popen([sys.executable, __file__, "serve"])
            try:
                first = greet.apply_async(args=("Arthur",), kwargs={"loud": True})
                second = count.apply_async((first,), wait_for=[first], dependencies={"x": [first]})
                first.wait(timeout=60)
                print(first.state.is_completed(), first.result(timeout=60, raise_on_failure=True))
                print(second.result(timeout=60))
                print(asyncio.run(handle()))
                from prefect.futures import DistributedFuture
                print(DistributedFuture(task_run_id=send()).result(timeout=60))
            finally:
                served.send_signal(signal.SIGTERM)
                assert served.wait(60) == 0
    """)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if " | " not in line]
    assert told == ["True HELLO ARTHUR", "12", "12", "hello Marvin"]


def test_a_worker_is_an_object(program: Program) -> None:
    made = program("""
        import asyncio
        from prefect import task
        from prefect.task_worker import TaskWorker

        @task
        def add(a: int, b: int = 1) -> int:
            return a + b

        worker = TaskWorker(add, limit=2)
        future = add.delay(1)
        asyncio.run(worker.astart(timeout=0))
        told = worker.limit, future.result(timeout=0)
    """)
    assert made.told == (2, 2)
