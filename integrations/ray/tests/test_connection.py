"""Ray is used only while the connection is open."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import ray
from tests.services.ray import client_turn, make_ray_environment, ray_cluster
from tests.services.waiting import until

from flowstone.errors import ConfigurationError
from flowstone_ray import RayTaskRunner
from flowstone_ray.access_gate import AccessGate
from flowstone_ray.connection import SharedConnection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.ray import RayCluster

    from .conftest import Connection


def test_without_a_connection_ray_is_not_used(connection: Connection) -> None:
    connection.close()
    with pytest.raises(ConnectionError, match="not connected"), SharedConnection().access():
        raise AssertionError


def test_a_connection_is_closed_when_no_thread_uses_it() -> None:
    gate, events = AccessGate(), list[str]()

    def close() -> None:
        with gate.close():
            events.append("closed")

    closing = threading.Thread(target=close)
    with gate.access():
        closing.start()
        until(lambda: gate.is_closing)
        with pytest.raises(ConnectionError, match="being closed"), gate.access():
            raise AssertionError
        events.append("used")
    closing.join()
    with gate.access():
        events.append("used again")
    assert events == ["used", "closed", "used again"]


PROGRAM_OF_UV = """
import sys

from flowstone import flow, task
from flowstone_ray import RayTaskRunner


@task
def tell():
    import ray

    return dict(ray.get_runtime_context().runtime_env), sys.executable


@flow(task_runner=RayTaskRunner(address=sys.argv[1]))
def f():
    return tell.submit().result()


print(f() == ({}, sys.executable))
"""


@pytest.mark.slow
@pytest.mark.parametrize("address", ["address", "client_address"])
def test_the_environment_of_uv_run_is_not_copied(
    ray_cluster: RayCluster, address: str, tmp_path: Path
) -> None:
    """Ray finds `uv run` among the parents of a program, and would upload its working directory."""
    (tmp_path / "program.py").write_text(PROGRAM_OF_UV, "utf-8")
    (tmp_path / "run").write_text(
        "import subprocess, sys\nsubprocess.run(sys.argv[1:], check=True)"
    )
    environment = make_ray_environment(tmp_path, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")
    with client_turn():
        done = subprocess.run(
            ["uv", "run", sys.executable, "program.py", getattr(ray_cluster, address)],
            executable=sys.executable,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == "True\n"


@contextmanager
def client_runner(folder: Path, *, deaths: int, seconds: int) -> Iterator[RayTaskRunner]:
    """Yield a task runner for a cluster where the first servers of Ray Clients die."""
    program = folder / "python"
    program.write_text(
        f"#!/bin/sh\necho x >> {folder}/begun\n"
        f'[ $(wc -l < {folder}/begun) -gt {deaths} ] && exec {sys.executable} "$@"\nexit 1\n'
    )
    program.chmod(0o755)
    options = {"runtime_env": {"py_executable": str(program)}}
    with ray_cluster(client_seconds=seconds) as cluster, client_turn():
        yield RayTaskRunner(address=cluster.client_address, init_kwargs=options)


@pytest.mark.check
def test_a_client_whose_server_died_connects_again(
    connection: Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    connection.close()
    with client_runner(tmp_path, deaths=1, seconds=30) as runner:
        with SharedConnection().use(runner):
            assert ray.is_initialized()
        assert not ray.is_initialized()
    assert "GRPC_ENABLE_FORK_SUPPORT=0" in caplog.text


@pytest.mark.check
def test_a_client_whose_servers_die_gives_up(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowstone_ray.connection.CLIENT_ATTEMPTS", 1)  # each takes 30 s
    connection.close()
    with (
        client_runner(tmp_path, deaths=100, seconds=3) as runner,
        pytest.raises(ConfigurationError, match="Proxy failed to Connect"),
        SharedConnection().use(runner),
    ):
        raise AssertionError
    assert (tmp_path / "begun").read_text().count("x") == 1
    assert not ray.is_initialized()
