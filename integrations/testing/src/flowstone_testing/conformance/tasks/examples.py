"""Shared by the tests of tasks: a package's tasks, their async versions, and example arguments."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from flowstone import Task
from flowstone.plugins import get_host
from flowstone.testing.memory import flowstone_test_harness
from flowstone_testing.conformance.reaching import make_unreachable
from flowstone_testing.conformance.suite import Suite
from flowstone_testing.conformance.tasks.fitting import fits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.blocks import Block
    from flowstone.context.current import Services

#: The arguments of one call, by parameter.
Arguments = Mapping[str, Any]
#: Returns new arguments for one call.
Example = Callable[[], Arguments]


class TaskBase(Suite):
    """Fixtures and the tasks of the package.

    Attributes:
        plugin: the name of the entry point in group ``flowstone``.
    """

    kind = "task"
    plugin: ClassVar[str]

    @pytest.fixture
    def examples(self) -> Mapping[str, Example]:
        """Functions that create the arguments of a call, by the name of each listed task."""
        raise NotImplementedError("give the suite a fixture `examples`")

    @pytest.fixture
    def unreachable(self) -> Callable[[Block], Block | None]:
        """Returns a block whose service is unreachable; None if it needs no service."""
        return make_unreachable

    @pytest.fixture(autouse=True)
    def services(self) -> Iterator[Services]:
        with flowstone_test_harness() as current:
            yield current

    def find_listed(self) -> dict[str, Any]:
        """Return the objects that the package lists as tasks."""
        found = [plugin for plugin in get_host().plugins() if plugin.name == self.plugin]
        assert found, f"no installed package has an entry point {self.plugin!r}: install it"
        return {name: get_host().load("task", name) for name in found[0].collection.tasks}

    def import_package(self) -> Any:
        """Return the package's module, whose `__all__` is public."""
        found = [plugin for plugin in get_host().plugins() if plugin.name == self.plugin]
        return import_module(found[0].module.partition(".")[0])

    def find_public(self) -> dict[str, Any]:
        """Return the public objects of the package, by name."""
        package = self.import_package()
        return {name: getattr(package, name) for name in getattr(package, "__all__", ())}

    def find_tasks(self) -> dict[str, Task[..., Any]]:
        """Return the listed tasks by name; a separate test reports objects that are no tasks."""
        return {name: task for name, task in self.find_listed().items() if isinstance(task, Task)}

    def find_twins(self) -> dict[str, Task[..., Any]]:
        """Return the async versions of listed tasks, by the name of the sync one."""
        public = self.find_public()
        named = {
            name: public.get(f"a{name}", _find_beside(task))
            for name, task in self.find_tasks().items()
        }
        return {name: twin for name, twin in named.items() if isinstance(twin, Task)}


def _find_beside(task: Task[..., object]) -> object:
    """Return the object with the name of a task's async version in the task's module."""
    return getattr(import_module(task.fn.__module__), f"a{task.name}", None)


@contextmanager
def name_in_errors(name: str) -> Iterator[None]:
    """Add the task's name to errors."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"Task: {name!r}.")
        raise


def find_hints(task: Task[..., object]) -> dict[str, Any]:
    """Return the type hints of a task's parameters, and of ``return``.

    Raises:
        NameError: a hint names something that only type checkers import.
    """
    return typing.get_type_hints(inspect.unwrap(task.fn), include_extras=True)


def assert_fits(task: Task[..., Any], value: object) -> None:
    """Fail if a value does not match the task's return type."""
    try:
        hint = find_hints(task)["return"]
    except (NameError, KeyError):
        return  # a separate test reports it
    if not fits(value, hint):
        pytest.fail(f"{task.name} says `-> {hint}`, and returned a {type(value).__name__}")
