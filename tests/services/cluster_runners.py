"""What every task runner does whose calls are made by the workers of a cluster."""

from __future__ import annotations

import os
import signal
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from pydantic import SecretStr
from tests.services.waiting import until

from flowstone import State, flow, runtime, tags, task, unmapped
from flowstone.artifacts import create_markdown_artifact
from flowstone.errors import ProcessLost, RemoteTraceback
from flowstone.records.runs import RunQuery
from flowstone.records.states import StoredValue
from flowstone.testing import flowstone_test_harness
from flowstone.variables import Variable
from flowstone_testing.conformance import RunnerSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.context.current import Services
    from flowstone.task_runners import TaskRunner

MEGABYTE = 1_000_000


def run_on(runner: TaskRunner | str, fn: Any, *args: Any) -> Any:
    """Return what a task of the function returns, submitted by a flow."""

    @flow(task_runner=runner)
    def f() -> Any:
        return task(fn).submit(*args).result()

    return f()


def mark(folder: Path) -> int:
    """Leave a file, and return how many there are."""
    (folder / f"{time.monotonic_ns()}").touch()
    return len(list(folder.iterdir()))


def wait_for_go(number: int, value: bytes, folder: Path) -> int:
    """Mark that it runs, wait for the file `go`, and add a number and the length of a value."""
    (folder / f"{number} in {os.getpid()}").touch()
    until((folder / "go").exists)
    return number + len(value)


def spin(folder: Path) -> None:
    """Run until it is stopped; leave a file when it begins, and one when it ends."""
    (folder / "began").touch()
    try:
        while True:
            time.sleep(0.01)
    finally:
        (folder / "ended").touch()


def find_end(home: Services, name: str) -> tuple[str, int, str]:
    """Return the state of a run, its attempt, and the message of the state."""
    found = next(run for run in home.runs.runs(RunQuery()) if run.name == name)
    return found.state.name, found.attempt, str(found.state.message)


@task
def make(size: int) -> bytes:
    return bytes(size)


@task
def measure(value: bytes, *more: Any) -> int:
    return len(value) + sum(len(each) for item in more for each in item)


@task
def sum_up(number: int, numbers: list[float]) -> float:
    return number + sum(numbers)


class ClusterRunnerSuite(RunnerSuite):
    """Join by a subclass with the fixture `task_runner`, of a cluster of two workers or more.

    The workers share this machine's files, but neither the home nor the working directory.

    Attributes:
        worker_loss: what the error says of a worker that died, as a regular expression.
    """

    worker_loss: ClassVar[str]

    @pytest.fixture(autouse=True)
    def home(self) -> Iterator[Services]:
        with flowstone_test_harness() as services:
            yield services

    @pytest.fixture
    def whole_cluster(self) -> None:
        """Wait, after a test in which a worker dies, until there is another, where none starts."""

    # ------------------------------------------------------------ calls

    def test_it_runs_in_another_process_and_place(self, task_runner: TaskRunner) -> None:
        def tell() -> tuple[int, str, str]:
            return os.getpid(), str(Path.cwd()), str(Path.home())

        pid, folder, home = run_on(task_runner, tell)
        assert pid != os.getpid()
        assert folder != str(Path.cwd())
        assert home != str(Path.home())

    def test_runtime_and_tags_are_those_of_the_run(self, task_runner: TaskRunner) -> None:
        def tell() -> tuple[Any, ...]:
            return runtime.flow_run.name, runtime.flow_run.parameters, sorted(runtime.task_run.tags)

        @flow(task_runner=task_runner, flow_run_name="outside")
        def f(x: int) -> Any:
            with tags("b", "a"):
                return task(tell).submit().result()

        assert f(7) == ("outside", {"x": 7}, ["a", "b"])

    def test_artifacts_and_variables_are_at_home(self, task_runner: TaskRunner) -> None:
        Variable.set("factor", 3)

        def uses() -> Any:
            Variable.set("made", 5)
            create_markdown_artifact("# told", key="told")
            return Variable.get("factor")

        assert run_on(task_runner, uses) == 3
        assert Variable.get("made") == 5

    def test_secrets_are_opened_by_the_flow(self, task_runner: TaskRunner) -> None:
        """The worker has no key."""

        def uses(secret: SecretStr) -> int:
            return len(secret.get_secret_value())

        assert run_on(task_runner, uses, SecretStr("open sesame")) == 11

    def test_an_error_has_the_traceback_of_the_worker(self, task_runner: TaskRunner) -> None:
        def fails() -> None:
            raise ValueError("on the worker")

        with pytest.raises(ValueError, match="on the worker") as caught:
            run_on(task_runner, fails)
        assert isinstance(caught.value.__cause__, RemoteTraceback)
        assert "in fails" in str(caught.value.__cause__)

    def test_a_module_of_the_program_is_sent_along(
        self, task_runner: TaskRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "only_here.py").write_text("FACTOR = 4\ndef times(x):\n    return x * FACTOR\n")
        monkeypatch.syspath_prepend(tmp_path)
        import only_here  # type: ignore[import-not-found]

        assert run_on(task_runner, only_here.times, 3) == 12

    def test_a_window_bounds_what_is_on_the_cluster(self, task_runner: TaskRunner) -> None:
        @flow(task_runner=task_runner)
        def f() -> int:
            return sum(task(abs).map(range(200), max_in_flight=10).result())

        assert f() == sum(range(200))

    # ------------------------------------------------------------ ends

    @pytest.mark.usefixtures("whole_cluster")
    def test_a_worker_that_dies_crashes_its_run(
        self, task_runner: TaskRunner, home: Services, tmp_path: Path
    ) -> None:
        """The cluster itself would try it again."""

        @task
        def dies() -> None:
            mark(tmp_path)
            os.kill(os.getpid(), signal.SIGKILL)

        @flow(task_runner=task_runner)
        def f() -> None:
            with pytest.raises(ProcessLost, match=self.worker_loss):
                dies.submit().result()

        f()
        assert find_end(home, "dies-0")[0] == "Crashed"
        assert len(list(tmp_path.iterdir())) == 1

    @pytest.mark.usefixtures("whole_cluster")
    def test_retries_count_for_a_worker_that_dies(
        self, task_runner: TaskRunner, home: Services, tmp_path: Path
    ) -> None:
        @task(retries=1)
        def dies() -> int:
            count = mark(tmp_path)
            if count == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return count

        @flow(task_runner=task_runner)
        def f() -> int:
            return dies.submit().result()

        assert f() == 2
        assert find_end(home, "dies-0")[:2] == ("Completed", 2)

    @pytest.mark.usefixtures("whole_cluster")
    def test_what_was_finished_is_not_made_again(
        self, task_runner: TaskRunner, tmp_path: Path
    ) -> None:
        @task
        def marks(number: int) -> bytes:
            mark(tmp_path)
            return bytes(200_000)

        @task
        def dies() -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        @flow(task_runner=task_runner)
        def f() -> int:
            made = marks.map(range(6))
            made.wait()
            with pytest.raises(ProcessLost):
                dies.submit().result()
            return len(made)

        assert f() == 6
        assert len(list(tmp_path.iterdir())) == 6

    def test_a_cancelled_task_is_stopped_on_its_worker(
        self, task_runner: TaskRunner, home: Services, tmp_path: Path
    ) -> None:
        @flow(task_runner=task_runner)
        def f() -> None:
            future = task(spin).submit(tmp_path)
            until((tmp_path / "began").exists)
            future.cancel()
            until((tmp_path / "ended").exists)

        f(return_state=True)
        assert find_end(home, "spin-0")[0] == "Cancelled"

    def test_a_late_task_is_stopped_on_its_worker(
        self, task_runner: TaskRunner, home: Services, tmp_path: Path
    ) -> None:
        @flow(task_runner=task_runner)
        def f() -> None:
            task(timeout_seconds=0.2)(spin).submit(tmp_path)

        f(return_state=True)
        assert find_end(home, "spin-0")[0] == "TimedOut"
        assert (tmp_path / "ended").exists()

    def test_a_late_flow_stops_its_tasks(self, task_runner: TaskRunner, tmp_path: Path) -> None:
        @flow(task_runner=task_runner)
        def warm_up() -> None:
            task(abs).submit(-1).result()

        @flow(task_runner=task_runner, timeout_seconds=3)
        def f() -> None:
            task(spin).submit(tmp_path).result()

        warm_up()
        assert f(return_state=True).name == "TimedOut"
        until(lambda: (tmp_path / "ended").exists() or not (tmp_path / "began").exists())

    # ------------------------------------------------------------ large values

    def test_a_value_goes_from_task_to_task(self, task_runner: TaskRunner) -> None:
        @flow(task_runner=task_runner)
        def f() -> tuple[int, object]:
            made = make.submit(MEGABYTE)
            made.wait()
            length = measure.submit(made, [made, b"x"]).result()
            return length, made.state.data

        length, data = f()
        assert length == 2 * MEGABYTE + 1
        assert isinstance(data, StoredValue)

    def test_it_comes_home_when_it_is_asked_for(self, task_runner: TaskRunner) -> None:
        @flow(task_runner=task_runner)
        def f() -> bytes:
            return make.submit(MEGABYTE).result()

        assert f() == bytes(MEGABYTE)

    def test_what_nobody_can_ask_for_does_not_come_home(self, task_runner: TaskRunner) -> None:
        values: list[weakref.ref[object]] = []

        @flow(task_runner=task_runner)
        def f() -> list[int]:
            made = make.map([MEGABYTE] * 5)
            made.wait()
            values.extend(weakref.ref(each.state.data) for each in made)
            return measure.map(made).result()

        assert f() == [MEGABYTE] * 5
        assert [value() for value in values] == [None] * 5

    def test_it_can_be_asked_for_after_the_flow(self, task_runner: TaskRunner) -> None:
        ends: list[State[bytes]] = []

        @flow(task_runner=task_runner)
        def f() -> None:
            made = make.submit(MEGABYTE)
            made.wait()
            ends.append(made.state)

        f()
        assert ends[0].result() == bytes(MEGABYTE)

    def test_one_that_is_kept_is_kept_by_the_flow(self, task_runner: TaskRunner) -> None:
        kept = make.with_options(persist_result=True)

        @flow(task_runner=task_runner)
        def f() -> bytes:
            return kept.submit(MEGABYTE).result()

        assert f() == bytes(MEGABYTE)

    def test_an_argument_that_is_changed_between_calls_is_sent_as_it_is(
        self, task_runner: TaskRunner
    ) -> None:
        numbers = [0.5] * 100_000

        @flow(task_runner=task_runner)
        def f() -> list[float]:
            first = sum_up.submit(1, numbers)
            first.wait()
            numbers[0] = 1.5
            return [first.result(), sum_up.submit(2, numbers=numbers).result()]

        assert f() == [50_001.0, 50_003.0]

    def test_a_large_argument_may_have_a_held_value_in_it(self, task_runner: TaskRunner) -> None:
        @flow(task_runner=task_runner)
        def f() -> int:
            made = make.submit(MEGABYTE)
            return measure.submit(b"", [made, b"x" * MEGABYTE]).result()

        assert f() == 2 * MEGABYTE

    def test_a_large_argument_is_of_many_calls(self, task_runner: TaskRunner) -> None:
        @flow(task_runner=task_runner)
        def f() -> Any:
            return measure.map(unmapped(bytes(MEGABYTE)), [["x" * number] for number in (1, 2)])

        assert f() == [MEGABYTE + 1, MEGABYTE + 2]
