"""Small whole programs, as people write them from the public documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone.errors import FailedRun

if TYPE_CHECKING:
    from tests.parity.conftest import Program


def test_failures_are_counted_as_they_come(program: Program) -> None:
    made = program("""
        from prefect import flow, task
        from prefect.futures import as_completed
        from prefect.states import Completed, Failed

        @task
        def work(i):
            if i % 2:
                raise RuntimeError(i)
            return i

        @flow
        def f(n, most):
            failed = [
                future for future in as_completed(work.map(range(n))) if future.state.is_failed()
            ]
            if len(failed) > most:
                return Failed(message=f"{len(failed)} failed")
            return Completed(message="fine", data=n - len(failed))

        state, value = f(6, 2, return_state=True), f(6, 3)
    """)
    assert (made.state.type, made.state.message, made.value) == ("FAILED", "3 failed", 3)
    with pytest.raises(FailedRun, match=r"^the run failed: 3 failed$"):
        made.f(6, 2)


def test_files_are_added_up(program: Program) -> None:
    made = program("""
        import csv
        import io
        from datetime import timedelta
        from prefect import flow, get_run_logger, task
        from prefect.tasks import task_input_hash

        fetched = []

        @task(cache_key_fn=task_input_hash, cache_expiration=timedelta(minutes=5), retries=3)
        def fetch(url: str) -> str:
            get_run_logger().info("fetching %s", url)
            fetched.append(url)
            return "a,b\\n1,2\\n3,4\\n"

        @task
        def parse(text): return list(csv.DictReader(io.StringIO(text)))

        @task
        def total(rows, column): return sum(int(row[column]) for row in rows)

        @flow(name="CSV pipeline", description="adds up", version="1.0", timeout_seconds=60)
        def pipeline(urls: list[str], columns: tuple[str, ...] = ("a", "b")):
            rows = parse.map(fetch.map(urls))
            return {name: sum(total.map(rows, name).result()) for name in columns}

        sums = pipeline(["x", "y"]), pipeline(["y"], ["b"])
        about = pipeline.name, pipeline.description, pipeline.version
    """)
    assert made.sums == ({"a": 8, "b": 12}, {"b": 6})
    assert sorted(made.fetched) == ["x", "y"]
    assert made.about == ("CSV pipeline", "adds up", "1.0")


def test_attempts_are_asked_for(program: Program) -> None:
    made = program("""
        from prefect import flow, runtime, task
        from prefect.runtime import flow_run, task_run

        seen = []

        @task(retries=2)
        def flaky():
            seen.append((flow_run.run_count, task_run.run_count))
            if runtime.task_run.run_count < 3:
                raise RuntimeError
            return "done"

        @flow(retries=1)
        def f():
            value = flaky()
            if flow_run.run_count == 1:
                raise ValueError
            return value

        value = f()
    """)
    assert made.value == "done"
    assert made.seen == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]


def test_steps_are_inherited(program: Program) -> None:
    made = program("""
        from prefect import flow, task

        class Base:
            def __init__(self, n): self.n = n

            @task
            def step(self, x): return x + self.n

            @flow
            def run(self, xs): return self.step.map(xs).result() + [self.step.submit(0).result()]

        class Child(Base):
            @task
            def step(self, x): return super().step(x) * 10

        values = Base(1).run([1, 2]), Child(1).run([1, 2])
    """)
    assert made.values == ([2, 3, 1], [20, 30, 10])
