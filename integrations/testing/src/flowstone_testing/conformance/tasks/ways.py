"""Each way to run a prebuilt task: called, submitted, mapped; in sync and async flows."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import flowstone
from flowstone import flow
from flowstone.blocks import Block
from flowstone.plugins.docstrings import parse
from flowstone.records.runs import RunQuery
from flowstone.records.states import COMPLETED
from flowstone_testing.conformance.leaks import assert_nothing_is_left
from flowstone_testing.conformance.loops import assert_lets_others_run
from flowstone_testing.conformance.reaching import assert_own_errors
from flowstone_testing.conformance.tasks.examples import TaskBase, assert_fits, name_in_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone import Task
    from flowstone.context.current import Services
    from flowstone_testing.conformance.leaks import assert_nothing_is_left
from flowstone_testing.conformance.tasks.examples import Example

#: Number of calls in the test of `.map`.
SEVERAL = 3


class TaskWays(TaskBase):
    """Runs every task in each way; the arguments come from `examples`."""

    def test_every_task_has_arguments(self, examples: Mapping[str, Example]) -> None:
        """Add the named tasks to `examples`, and remove those that are not listed."""
        assert sorted(examples) == sorted(self.find_tasks())

    def test_arguments_are_fresh_each_time(self, examples: Mapping[str, Example]) -> None:
        """Create the arguments inside the function: calls must not share them."""
        for name, example in examples.items():
            first, other = example(), example()
            assert first is not other, name
            assert set(first) == set(other), name

    def test_a_call_is_a_run(self, examples: Mapping[str, Example], services: Services) -> None:
        """Read the task's error, which a flow would get. Its value must match its return type."""
        for name, task in self._find_tasks_with_arguments(examples):

            @flow
            def f(task: Any = task, name: str = name) -> Any:
                return task(**examples[name]())

            with name_in_errors(name):
                assert_fits(task, f())
        found = services.runs.runs(RunQuery())
        assert {run.unit for run in found if run.kind == "task"} >= set(self.find_tasks())
        assert [run.name for run in found if run.state.type is not COMPLETED] == []

    def test_the_bare_function_does_the_same(self, examples: Mapping[str, Example]) -> None:
        """Look for a task that needs the current run: its `fn` must work without one."""
        for name, task in self._find_tasks_with_arguments(examples):
            with name_in_errors(name):
                assert_fits(task, _call(task, examples[name]))

    def test_it_is_submitted(self, examples: Mapping[str, Example]) -> None:
        """Look at what the task shares between threads: submitted, it runs in another thread."""
        for name, task in self._find_tasks_with_arguments(examples):

            @flow
            def f(task: Any = task, name: str = name) -> Any:
                return task.submit(**examples[name]()).result()

            with name_in_errors(name):
                assert_fits(task, f())

    def test_it_is_mapped(self, examples: Mapping[str, Example]) -> None:
        """Look at what calls of the task share: mapped, several run at a time."""
        for name, task in self._find_tasks_with_arguments(examples):
            calls = [examples[name]() for _ in range(SEVERAL)]
            columns = {key: [call[key] for call in calls] for key in calls[0]}

            @flow
            def f(task: Any = task, columns: Any = columns) -> Any:
                return task.map(**columns).result()

            with name_in_errors(name):
                values = f() if columns else []
                assert len(values) == (SEVERAL if columns else 0)
                for value in values:
                    assert_fits(task, value)

    def test_it_is_called_from_an_async_flow(self, examples: Mapping[str, Example]) -> None:
        """Look for an `asyncio.run` in the task: it raises if a loop is already running."""
        for name, task in self._find_tasks_with_arguments(examples):

            @flow
            async def f(task: Any = task, name: str = name) -> Any:
                return await _await_if_needed(task(**examples[name]()))

            with name_in_errors(name):
                assert_fits(task, asyncio.run(f()))

    def test_it_is_submitted_and_mapped_from_an_async_flow(
        self, examples: Mapping[str, Example]
    ) -> None:
        """Look for clients that are bound to one event loop or left open by a call."""
        for name, task in self._find_tasks_with_arguments(examples):
            columns = {key: [value] for key, value in examples[name]().items()}

            @flow
            async def f(task: Any = task, name: str = name, columns: Any = columns) -> Any:
                one = await task.submit(**examples[name]()).aresult()
                return [one, *[await each.aresult() for each in task.map(**columns)]]

            with name_in_errors(name):
                for value in asyncio.run(f()):
                    assert_fits(task, value)

    def test_the_async_twin_does_the_same(self, examples: Mapping[str, Example]) -> None:
        """Look at the twin: it must await, or call the task's `fn` in a thread."""
        for name, twin in self.find_twins().items():
            if name not in examples:
                continue

            @flow
            async def f(twin: Any = twin, name: str = name) -> Any:
                submitted = twin.submit(**examples[name]())
                return [await twin(**examples[name]()), await submitted.aresult()]

            with name_in_errors(twin.name):
                for value in asyncio.run(f()):
                    assert_fits(twin, value)

    def test_the_async_twin_lets_others_run(self, examples: Mapping[str, Example]) -> None:
        """Look at the named place: await there, or call the task's `fn` in a thread."""
        for name, twin in self.find_twins().items():
            if name in examples:
                assert_lets_others_run(twin.name, partial(_begin, twin, examples[name]))

    def test_it_leaves_nothing_open(self, examples: Mapping[str, Example]) -> None:
        """Close clients with `with`: sockets and threads are counted before and after calls."""
        for name, task in self._find_tasks_with_arguments(examples):
            assert_nothing_is_left(name, partial(_call, task, examples[name]))

    def test_only_errors_of_ours_come_out(
        self,
        examples: Mapping[str, Example],
        unreachable: Callable[[Block], Block | None],
    ) -> None:
        """Translate the errors that the SDK raises if the connection to a service is refused."""
        for name, task in self._find_tasks_with_arguments(examples):
            arguments = dict(examples[name]())
            lost = {
                key: block
                for key, value in arguments.items()
                if isinstance(value, Block) and (block := unreachable(value)) is not None
            }
            if lost:
                given: Example = partial(dict, {**arguments, **lost})
                assert_own_errors(name, partial(_call, task, given))

    def test_the_example_runs(self, examples: Mapping[str, Example]) -> None:
        """Read the error: the code of the `Example:` section runs with the arguments as variables.

        The public names of the package and of Flowstone are defined, too.
        """
        for name, task in self._find_tasks_with_arguments(examples):
            known = {each: getattr(flowstone, each) for each in ("flow", "task", "unmapped")}
            names = {**known, **self.find_public(), name: task, **examples[name]()}

            @flow
            def f(code: str = parse(task.fn.__doc__).example, names: Any = names) -> None:
                exec(compile(code, "the example", "exec"), names)  # noqa: S102 - the package's own

            with name_in_errors(name):
                f()

    def _find_tasks_with_arguments(
        self, examples: Mapping[str, Example]
    ) -> list[tuple[str, Task[..., Any]]]:
        """Return the tasks that have arguments; a separate test reports those without."""
        return [(name, task) for name, task in self.find_tasks().items() if name in examples]


def _begin(task: Task[..., object], example: Example) -> object:
    return task.fn(**example())


def _call(task: Task[..., object], example: Example) -> object:
    value = _begin(task, example)
    return asyncio.run(_await_if_needed(value)) if task.isasync else value


async def _await_if_needed(value: Any) -> Any:
    return await value if asyncio.iscoroutine(value) else value
