"""One connection to Ray in each test process, to the cluster that a test asks for."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.services.ray import PROGRAM, client_turn

os.environ.update(PROGRAM)  # Ray reads it when it is imported

import pytest
import ray

from flowstone_testing.conformance.runner import meet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.ray import RayCluster


class Connection:
    """The connection of this process: a test that asks for another one closes it."""

    def __init__(self) -> None:
        self._address = ""

    def lead_to(self, address: str) -> None:
        if self._address == address and ray.is_initialized():
            return
        self.close()
        if address == "local":
            ray.init(address, num_cpus=2, object_store_memory=80_000_000, include_dashboard=False)
        else:
            ray.init(address, log_to_driver=False)
        self._address = address
        self._start_workers()

    def _start_workers(self) -> None:
        """Wait until two workers run at once: on a busy machine a process takes long to start."""
        with TemporaryDirectory() as folder:
            meeting: Any = ray.remote(meet)
            ray.get([meeting.remote(Path(folder), number, 2, 300.0) for number in range(2)])

    def close(self) -> None:
        ray.shutdown()


@pytest.fixture(scope="session")
def connection() -> Iterator[Connection]:
    found = Connection()
    yield found
    found.close()


@pytest.fixture
def remote(ray_cluster: RayCluster, connection: Connection) -> RayCluster:
    """A cluster that shares nothing with this process; the process is connected to it."""
    connection.lead_to(ray_cluster.address)
    return ray_cluster


@pytest.fixture
def by_client(ray_cluster: RayCluster, connection: Connection) -> RayCluster:
    """The same, by Ray Client, as from another machine."""
    with client_turn():
        connection.lead_to(ray_cluster.client_address)
    return ray_cluster


@pytest.fixture
def local(connection: Connection) -> None:
    """A Ray that this process has started for itself."""
    connection.lead_to("local")
