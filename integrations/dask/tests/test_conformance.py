from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.services.cluster_runners import ClusterRunnerSuite

from flowstone_dask import DaskTaskRunner
from flowstone_testing import PluginSuite
from flowstone_testing.conformance import RunnerSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import LocalCluster
    from tests.services.dask_processes import DaskProcesses

    from flowstone.task_runners import TaskRunner


class TestLocalCluster(RunnerSuite):
    @pytest.fixture
    def task_runner(self, cluster: LocalCluster) -> TaskRunner:
        return DaskTaskRunner(cluster=cluster)


class TestRemoteCluster(ClusterRunnerSuite):
    worker_loss = "its Dask worker tcp://127"

    @pytest.fixture
    def whole_cluster(self, remote: DaskProcesses) -> Iterator[None]:
        yield
        remote.wait_for_workers(2)

    @pytest.fixture
    def task_runner(self, remote: DaskProcesses) -> TaskRunner:
        return DaskTaskRunner(address=remote.address)


class TestPlugin(PluginSuite):
    plugin = "dask"
    package = "flowstone_dask"
    sdks = ("dask", "distributed", "tornado")
