"""RunnerSuite: the standard tests of all task runners."""

from __future__ import annotations

import asyncio
import builtins
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowstone import flow, task, unmapped
from flowstone.errors import UpstreamTaskError
from flowstone.logging import get_run_logger
from flowstone.records.events import LOG_WRITTEN, LogLine
from flowstone.records.runs import RunQuery
from flowstone.testing.memory import flowstone_test_harness
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from flowstone.context.current import Services
    from flowstone.records.runs import Run
    from flowstone.task_runners import TaskRunner

#: Seconds that a run waits for another that should run at the same time.
PATIENCE = 20.0


def meet(folder: Path, me: int, count: int = 2, patience: float = PATIENCE) -> bool:
    """Signal arrival, wait for the others, and return whether they arrived.

    Args:
        folder: the directory in which they meet.
        me: the number of the caller.
        count: how many meet.
        patience: seconds to wait.
    """
    (folder / str(me)).touch()
    end = time.monotonic() + patience
    while len(list(folder.iterdir())) < count:
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def attempts(folder: Path) -> int:
    """Count the calls with a folder, over all processes."""
    (folder / f"{time.monotonic_ns()}").touch()
    return len(list(folder.iterdir()))


def runs(services: Services) -> dict[str, Run]:
    return {run.name: run for run in services.runs.runs(RunQuery())}


def lines(services: Services, name: str) -> list[str]:
    run = runs(services)[name]
    found = services.runs.events(run_id=run.id, kinds=[LOG_WRITTEN])
    return [event.payload.message for _, event in found if isinstance(event.payload, LogLine)]


class RunnerSuite(Suite):
    """Join with a fixture `task_runner` that runs two or more tasks at once.

    It is a value for `@flow(task_runner=...)`. The tasks are closures, some over the test's
    variables.
    """

    kind = "runner"

    def test_values_come_back_in_order(self, task_runner: TaskRunner) -> None:
        """A value was lost or swapped."""
        factor = 3

        @task
        def times(x: int, *, offset: int) -> dict[str, int]:
            return {"value": x * factor + offset}

        @flow(task_runner=task_runner)
        def f() -> Any:
            return times.map(range(20), offset=unmapped(1)).result()

        assert f() == [{"value": x * 3 + 1} for x in range(20)]

    def test_two_run_at_once(self, task_runner: TaskRunner, tmp_path: Path) -> None:
        """The second task waited until the first one ended."""

        @task
        def meets(me: int) -> bool:
            return meet(tmp_path, me, patience=5.0)

        @flow(task_runner=task_runner)
        def f() -> Any:
            return [future.result() for future in [meets.submit(1), meets.submit(2)]]

        assert f() == [True, True]

    def test_each_call_is_made_once(self, task_runner: TaskRunner, tmp_path: Path) -> None:
        """A task ran twice, or not at all."""

        @task
        def leaves(x: int) -> int:
            return attempts(tmp_path) and x

        @flow(task_runner=task_runner)
        def f() -> None:
            leaves.map(range(10))

        f()
        assert len(list(tmp_path.iterdir())) == 10

    def test_an_error_arrives_as_it_was(self, task_runner: TaskRunner) -> None:
        """The type, message or an attribute of an error was lost."""

        @task
        def fails() -> None:
            raise FileNotFoundError(2, "no such file", "/nowhere")

        @flow(task_runner=task_runner)
        def f() -> None:
            fails.submit().result()

        with flowstone_test_harness() as services:
            with pytest.raises(FileNotFoundError, match="no such file") as caught:
                f()
            assert (caught.value.errno, caught.value.filename) == (2, "/nowhere")
            state = runs(services)["fails-0"].state
            assert state.name == "Failed"
            assert "FileNotFoundError" in str(state.message)

    def test_a_failure_that_nobody_asked_for_fails_the_flow(self, task_runner: TaskRunner) -> None:
        """A flow completed although a task failed."""

        @task
        def fails() -> None:
            raise ValueError("x")

        @flow(task_runner=task_runner)
        def f() -> None:
            fails.submit()

        assert f(return_state=True).is_failed()

    def test_a_failed_task_is_retried(self, task_runner: TaskRunner, tmp_path: Path) -> None:
        """An attempt was lost, or not recorded."""

        @task(retries=2)
        def flaky() -> int:
            number = attempts(tmp_path)
            if number < 3:
                raise ValueError(number)
            return number

        @flow(task_runner=task_runner)
        def f() -> int:
            return flaky.submit().result()

        with flowstone_test_harness() as services:
            assert f() == 3
            assert runs(services)["flaky-0"].attempt == 3

    def test_logs_and_prints_belong_to_the_run(self, task_runner: TaskRunner) -> None:
        """A line was lost, duplicated or reordered, or went to another run."""

        @task(log_prints=True)
        def says(x: int) -> None:
            logger = get_run_logger()
            for number in range(3):
                logger.info("line %d of %d", number, x)
            builtins.print("printed", x)  # noqa: T201 - the run logs it

        @flow(task_runner=task_runner)
        def f() -> None:
            says.map([1, 2])

        with flowstone_test_harness() as services:
            f()
            for x in (1, 2):
                wanted = [f"line {number} of {x}" for number in range(3)] + [f"printed {x}"]
                assert lines(services, f"says-{x - 1}") == wanted

    def test_tasks_in_tasks_are_recorded(self, task_runner: TaskRunner) -> None:
        """A run that a task called or submitted was lost, or has another parent."""

        @task
        def inner(x: int) -> int:
            return x + 1

        @task
        def outer(x: int) -> int:
            return inner(x) + inner.submit(x).result() + sum(inner.map([x, x]).result())

        @flow(task_runner=task_runner)
        def f() -> int:
            return outer.submit(1).result(timeout=60)

        with flowstone_test_harness() as services:
            assert f() == 8
            found = runs(services)
            inners = [run for name, run in found.items() if name.startswith("inner-")]
            assert [run.parent_id for run in inners] == [found["outer-0"].id] * 4
            assert {run.state.name for run in inners} == {"Completed"}

    def test_a_flow_in_a_task_is_recorded(self, task_runner: TaskRunner) -> None:
        """A flow run under a task run was lost."""

        @flow(flow_run_name="inside")
        def inside(x: int) -> int:
            return x * 2

        @task
        def outer(x: int) -> int:
            return inside(x)

        @flow(task_runner=task_runner)
        def f() -> int:
            return outer.submit(2).result(timeout=60)

        with flowstone_test_harness() as services:
            assert f() == 4
            found = runs(services)
            assert found["inside"].parent_id == found["outer-0"].id
            assert found["inside"].state.name == "Completed"

    def test_async_tasks_run(self, task_runner: TaskRunner) -> None:
        """An async task did not run to its end."""

        @task
        async def double(x: int) -> int:
            await asyncio.sleep(0)
            return x * 2

        @flow(task_runner=task_runner)
        def f() -> Any:
            return double.map(range(5)).result()

        @flow(task_runner=task_runner)
        async def g() -> int:
            return await double.submit(4)

        assert f() == [0, 2, 4, 6, 8]
        assert asyncio.run(g()) == 8

    def test_futures_are_arguments(self, task_runner: TaskRunner) -> None:
        """A future among the arguments was not replaced by its value, or not waited for."""

        @task
        def add(a: int, b: list[int]) -> int:
            return a + sum(b)

        @task
        def fails() -> int:
            raise ValueError("x")

        @flow(task_runner=task_runner)
        def f() -> int:
            one = add.submit(1, [])
            with pytest.raises(UpstreamTaskError):
                add.submit(1, [fails.submit()]).result()
            return add.submit(one, [one, 5], wait_for=[one]).result()

        assert f() == 7

    def test_a_task_times_out(self, task_runner: TaskRunner, tmp_path: Path) -> None:
        """The task ran longer than its timeout."""

        @task(timeout_seconds=0.1)
        def spins() -> None:
            end = time.monotonic() + 2
            while time.monotonic() < end:
                pass
            (tmp_path / "went on").touch()

        @flow(task_runner=task_runner)
        def f() -> None:
            spins.submit()

        with flowstone_test_harness() as services:
            assert f(return_state=True).is_failed()
            assert runs(services)["spins-0"].state.name == "TimedOut"
            assert not list(tmp_path.iterdir())
