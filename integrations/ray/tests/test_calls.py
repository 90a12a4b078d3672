"""What is Ray's own: its options, its connection, its objects."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import pytest
import ray
from tests.services.cluster_runners import MEGABYTE, make, mark, run_on, wait_for_go
from tests.services.ray import client_turn
from tests.services.waiting import until

from flowstone import flow, task, unmapped
from flowstone.errors import ConfigurationError
from flowstone.testing import flowstone_test_harness
from flowstone_ray import RayTaskRunner, remote_options
from flowstone_ray.connection import SharedConnection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.ray import RayCluster

    from flowstone.context.current import Services


@pytest.fixture(autouse=True)
def home() -> Iterator[Services]:
    with flowstone_test_harness() as services:
        yield services


@pytest.fixture
def runner(remote: RayCluster) -> RayTaskRunner:
    return RayTaskRunner(address=remote.address)


def tell_resources() -> Any:
    context: Any = ray.get_runtime_context()
    return context.get_assigned_resources()


def test_options_say_what_a_task_needs(runner: RayTaskRunner) -> None:
    told = task(tell_resources)

    @flow(task_runner=runner)
    def f() -> list[Any]:
        with remote_options(num_cpus=2):
            outer = told.submit()
            with remote_options(num_cpus=1, resources={"special": 1}):
                inner = told.submit()
        return [outer.result(), inner.result(), told.submit().result()]

    assert f() == [{"CPU": 2.0}, {"CPU": 1.0, "special": 1.0}, {"CPU": 1.0}]


def test_options_hold_for_a_map(runner: RayTaskRunner) -> None:
    def tell(_: int) -> Any:
        return tell_resources()

    @flow(task_runner=runner)
    def f() -> Any:
        with remote_options(num_cpus=0.5):
            futures = task(tell).map(range(3))
        return futures.result()

    assert f() == [{"CPU": 0.5}] * 3


def test_options_give_an_environment(runner: RayTaskRunner) -> None:
    @flow(task_runner=runner)
    def f() -> Any:
        with remote_options(runtime_env={"env_vars": {"COLOUR": "blue"}}):
            return task(lambda: os.environ["COLOUR"]).submit().result()

    assert f() == "blue"


def test_an_option_that_ray_does_not_have_fails_the_task(runner: RayTaskRunner) -> None:
    @flow(task_runner=runner)
    def f() -> Any:
        with remote_options(num_cpu=1):
            return task(abs).submit(-1).result()

    with pytest.raises(ValueError, match="num_cpu"):
        f()


def test_reserved_remote_options_are_rejected() -> None:
    with pytest.raises(ConfigurationError, match="num_returns"), remote_options(num_returns=3):
        pass


def test_ray_tries_again_where_it_is_asked_to(runner: RayTaskRunner, tmp_path: Path) -> None:
    """The messages of the attempt that was lost don't count."""

    @task(log_prints=True)
    def dies_once() -> int:
        print("it runs")
        count = mark(tmp_path)
        if count == 1:
            os.kill(os.getpid(), 9)
        return count

    @flow(task_runner=runner)
    def f() -> int:
        with remote_options(max_retries=1):
            return dies_once.submit().result()

    assert f() == 2


def test_it_goes_by_its_name(remote: RayCluster) -> None:
    assert run_on("ray", os.getpid) != os.getpid()
    assert ray.is_initialized()


def test_flows_may_share_the_connection(runner: RayTaskRunner) -> None:
    """The program's own, which is left open."""

    def outer(x: int) -> int:
        return x + 1

    @flow(task_runner=runner)
    def inside() -> int:
        return task(outer).submit(1).result()

    @flow(task_runner=runner)
    def f() -> int:
        before = task(outer).submit(0)
        return inside() + before.result()

    assert f() == 3
    assert ray.is_initialized()


def test_a_flow_inside_a_task_may_use_the_cluster(runner: RayTaskRunner) -> None:
    @flow(task_runner="ray")
    def inside() -> int:
        return task(abs).submit(-2).result()

    assert run_on(runner, lambda: inside()) == 2


@pytest.mark.usefixtures("remote")
def test_another_cluster_than_the_connected_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="connected to the Ray cluster at 127"):
        run_on(RayTaskRunner(address="127.0.0.1:1"), abs, -1)


def test_another_cluster_of_a_client_is_refused(by_client: RayCluster) -> None:
    shared = SharedConnection()
    ray.shutdown()
    with client_turn(), shared.use(RayTaskRunner(address=by_client.client_address)):
        with (
            pytest.raises(ConfigurationError, match="wait until the other flow runs end"),
            shared.use(RayTaskRunner(address="ray://10.0.0.4:10001")),
        ):
            raise AssertionError
        with shared.use(RayTaskRunner(address=by_client.client_address)):
            assert ray.is_initialized()


def test_the_same_cluster_may_be_named_otherwise(remote: RayCluster) -> None:
    port = remote.address.rpartition(":")[2]
    assert run_on(RayTaskRunner(address=f"localhost:{port}"), abs, -1) == 1

    @flow(task_runner=RayTaskRunner(address=remote.client_address))
    def inside() -> int:
        return task(abs).submit(-2).result()

    assert run_on(RayTaskRunner(address=remote.address), lambda: inside()) == 2


def test_inputs_are_let_go_before_what_was_made_of_them(runner: RayTaskRunner) -> None:
    @task
    def repeat(value: bytes) -> bytes:
        return value[: 10 * MEGABYTE]

    @flow(task_runner=runner)
    def f() -> None:
        until(lambda: find_plasma() < 10 * MEGABYTE)
        made = make.submit(30 * MEGABYTE)
        part = repeat.submit(made)
        part.wait()
        del made
        until(lambda: find_plasma() < 20 * MEGABYTE)
        assert len(part.result()) == 10 * MEGABYTE

    f()


def test_an_address_is_given_once() -> None:
    with pytest.raises(ConfigurationError, match="init_kwargs contains an address"):
        RayTaskRunner(init_kwargs={"address": "auto"})


# ------------------------------------------------------------ large values


def find_plasma() -> float:
    """Return how many bytes of the cluster's object store are taken."""
    name, cluster = "object_store_memory", cast("Any", ray)
    total: float = cluster.cluster_resources()[name]
    return total - float(cluster.available_resources().get(name, 0.0))


def test_a_value_is_let_go_with_its_future(runner: RayTaskRunner) -> None:
    @flow(task_runner=runner)
    def f() -> None:
        until(lambda: find_plasma() < 20 * MEGABYTE)
        made = make.submit(20 * MEGABYTE)
        made.wait()
        until(lambda: find_plasma() >= 20 * MEGABYTE)
        del made
        until(lambda: find_plasma() < 20 * MEGABYTE)

    f()


def test_a_large_argument_is_sent_once_for_many_calls(
    runner: RayTaskRunner, tmp_path: Path
) -> None:
    @flow(task_runner=runner)
    def f() -> list[int]:
        until(lambda: find_plasma() < 20 * MEGABYTE)
        value = unmapped(bytes(20 * MEGABYTE))
        futures = task(wait_for_go).map(range(4), value, unmapped(tmp_path))
        until(lambda: len(list(tmp_path.iterdir())) == 4)
        until(lambda: 20 * MEGABYTE <= find_plasma() < 40 * MEGABYTE)
        (tmp_path / "go").touch()
        return futures.result()

    assert f() == [20 * MEGABYTE + number for number in range(4)]
    until(lambda: find_plasma() < 20 * MEGABYTE)
