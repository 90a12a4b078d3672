from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone_dask import DaskTaskRunner
from flowstone_testing import PluginSuite
from flowstone_testing.conformance import RunnerSuite

if TYPE_CHECKING:
    from distributed import LocalCluster
    from tests.services.dask_processes import DaskProcesses

    from flowstone.task_runners import TaskRunner


class TestLocalCluster(RunnerSuite):
    @pytest.fixture
    def task_runner(self, cluster: LocalCluster) -> TaskRunner:
        return DaskTaskRunner(cluster=cluster)


class TestRemoteCluster(RunnerSuite):
    @pytest.fixture
    def task_runner(self, remote: DaskProcesses) -> TaskRunner:
        return DaskTaskRunner(address=remote.address)


class TestPlugin(PluginSuite):
    plugin = "dask"
    package = "flowstone_dask"
    sdks = ("dask", "distributed", "tornado")
