"""Dask clusters of processes on this machine, one of each kind for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from distributed import LocalCluster
from tests.services.dask_processes import DaskProcesses, serve_dask

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """Two workers in processes, with the scheduler in this process."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """A scheduler and two workers that share nothing with this process; one has a resource."""
    with serve_dask(tmp_path_factory.mktemp("dask"), [(), ("--resources", "GPU=1")]) as found:
        yield found
