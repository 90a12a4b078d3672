from __future__ import annotations

import pytest

from flowstone.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from flowstone_testing.conformance import RunnerSuite


class TestThreads(RunnerSuite):
    @pytest.fixture
    def task_runner(self) -> TaskRunner:
        return ThreadPoolTaskRunner()


class TestProcesses(RunnerSuite):
    @pytest.fixture
    def task_runner(self) -> TaskRunner:
        return ProcessPoolTaskRunner(max_workers=2)
