from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.services.cluster_runners import ClusterRunnerSuite

from flowstone_ray import RayTaskRunner
from flowstone_testing import PluginSuite
from flowstone_testing.conformance import RunnerSuite

if TYPE_CHECKING:
    from tests.services.ray import RayCluster

    from flowstone.task_runners import TaskRunner


class TestRemoteCluster(ClusterRunnerSuite):
    worker_loss = "its Ray worker died"

    @pytest.fixture
    def task_runner(self, remote: RayCluster) -> TaskRunner:
        return RayTaskRunner(address=remote.address)


@pytest.mark.check
class TestRayClient(ClusterRunnerSuite):
    worker_loss = "its Ray worker died"

    @pytest.fixture
    def task_runner(self, by_client: RayCluster) -> TaskRunner:
        return RayTaskRunner(address=by_client.client_address)


@pytest.mark.check
@pytest.mark.usefixtures("local")
class TestLocalRay(RunnerSuite):
    @pytest.fixture
    def task_runner(self) -> TaskRunner:
        return RayTaskRunner()


class TestPlugin(PluginSuite):
    plugin = "ray"
    package = "flowstone_ray"
    sdks = ("ray",)
