"""Results of a worker that shares nothing with the flow but the scheduler."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dask.base import annotate
from distributed import Client, get_worker
from pydantic import SecretStr

from flowstone import flow, runtime, tags, task
from flowstone.artifacts import create_markdown_artifact
from flowstone.errors import RemoteTraceback
from flowstone.testing import flowstone_test_harness
from flowstone.variables import Variable
from flowstone_dask import DaskTaskRunner, get_async_dask_client, get_dask_client

from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.dask_processes import DaskProcesses


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    with flowstone_test_harness():
        yield


@pytest.fixture
def runner(remote: DaskProcesses) -> DaskTaskRunner:
    return DaskTaskRunner(address=remote.address)


def run_on(runner: DaskTaskRunner, fn: Any, *args: Any) -> Any:
    """Return the result of a task of the function, submitted by a flow."""

    @flow(task_runner=runner)
    def f() -> Any:
        return task(fn).submit(*args).result()

    return f()


def test_it_runs_in_another_process_and_place(runner: DaskTaskRunner) -> None:
    def tell() -> tuple[int, str, str]:
        return os.getpid(), str(Path.cwd()), str(Path.home())

    pid, folder, home = run_on(runner, tell)
    assert pid != os.getpid()
    assert folder != str(Path.cwd())
    assert home != str(Path.home())


def test_runtime_and_tags_are_those_of_the_run(runner: DaskTaskRunner) -> None:
    def tell() -> tuple[Any, ...]:
        return runtime.flow_run.name, runtime.flow_run.parameters, sorted(runtime.task_run.tags)

    @flow(task_runner=runner, flow_run_name="outside")
    def f(x: int) -> Any:
        with tags("b", "a"):
            return task(tell).submit().result()

    assert f(7) == ("outside", {"x": 7}, ["a", "b"])


def test_artifacts_and_variables_are_at_home(runner: DaskTaskRunner) -> None:
    Variable.set("factor", 3)

    def uses() -> Any:
        Variable.set("made", 5)
        create_markdown_artifact("# told", key="told")
        return Variable.get("factor")

    assert run_on(runner, uses) == 3
    assert Variable.get("made") == 5


def test_secrets_are_opened_by_the_flow(runner: DaskTaskRunner) -> None:
    """The worker has no key."""

    def uses(secret: SecretStr) -> int:
        return len(secret.get_secret_value())

    assert run_on(runner, uses, SecretStr("open sesame")) == 11


def test_an_error_has_the_traceback_of_the_worker(runner: DaskTaskRunner) -> None:
    def fails() -> None:
        raise ValueError("on the worker")

    with pytest.raises(ValueError, match="on the worker") as caught:
        run_on(runner, fails)
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "in fails" in str(caught.value.__cause__)


def test_a_module_of_the_program_is_sent_along(
    runner: DaskTaskRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("FACTOR = 4\ndef times(x):\n    return x * FACTOR\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # type: ignore[import-not-found]

    assert run_on(runner, only_here.times, 3) == 12


def test_resources_choose_the_worker(runner: DaskTaskRunner) -> None:
    def tell() -> str:
        return str(get_worker().state.total_resources)

    @flow(task_runner=runner)
    def f() -> list[str]:
        with annotate(resources={"GPU": 1}):
            futures = [task(tell).submit() for _ in range(4)]
        return [future.result() for future in futures]

    assert f() == ["{'GPU': 1.0}"] * 4


def test_a_task_computes_on_the_cluster(runner: DaskTaskRunner) -> None:
    def outer() -> int:
        with get_dask_client() as client:
            return sum(client.gather(client.map(abs, range(-3, 0))))

    async def aouter() -> int:
        async with get_async_dask_client() as client:
            return int(await client.submit(abs, -2))

    assert run_on(runner, outer) == 6
    assert run_on(runner, aouter) == 2


def test_the_current_client_is_used_and_left_open(remote: DaskProcesses) -> None:
    with Client(remote.address) as client:
        assert run_on(DaskTaskRunner(), abs, -1) == 1
        assert client.submit(abs, -2).result() == 2


def test_it_goes_by_its_name(remote: DaskProcesses) -> None:
    @flow(task_runner="dask")
    def f() -> Any:
        return task(os.getpid).submit().result()

    with Client(remote.address):
        assert f() != os.getpid()


def test_nothing_stays_on_a_shared_scheduler(remote: DaskProcesses) -> None:
    def find(dask_scheduler: Any) -> list[str]:
        topics = dask_scheduler._broker._topics  # Dask keeps one of each client itself
        return [*dask_scheduler.tasks, *(name for name in topics if "flowstone" in name)]

    @flow(task_runner=DaskTaskRunner(address=remote.address))
    def f() -> None:
        task(abs).map(range(20)).result()

    with Client(remote.address, set_as_default=False) as client:
        before = set(client.run_on_scheduler(find))
        f()
        until(lambda: set(client.run_on_scheduler(find)) <= before)


def test_a_window_bounds_what_is_on_the_cluster(remote: DaskProcesses) -> None:
    @flow(task_runner=DaskTaskRunner(address=remote.address))
    def f() -> int:
        return sum(task(abs).map(range(200), max_in_flight=10).result())

    assert f() == sum(range(200))
