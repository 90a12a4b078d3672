"""Tests of prebuilt tasks in another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone import flow
from flowstone.task_runners import ProcessPoolTaskRunner
from flowstone.task_runners.messages import pack, unpacked
from flowstone_testing.conformance.tasks.examples import TaskBase, assert_fits, name_in_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone_testing.conformance.tasks.examples import Example


class TaskTravels(TaskBase):
    """A task and its arguments are sent to another process, and the value is returned."""

    def test_arguments_can_be_sent(self, examples: Mapping[str, Example]) -> None:
        """Pass a task blocks and plain values, and open clients in it: they can't be pickled."""
        for name, example in examples.items():
            arguments = dict(example())
            with name_in_errors(name):
                assert set(unpacked(pack(arguments))) == set(arguments)

    def test_it_runs_in_another_process(self, examples: Mapping[str, Example]) -> None:
        """Look for state that the task stores in its module: another process does not have it."""
        here = {name: task for name, task in self.find_tasks().items() if name in examples}

        @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
        def f() -> dict[str, Any]:
            found = {name: task.submit(**examples[name]()) for name, task in here.items()}
            return {name: future.result(raise_on_failure=False) for name, future in found.items()}

        for name, value in f().items():
            with name_in_errors(name):
                if isinstance(value, BaseException):
                    raise value
                assert_fits(here[name], value)
