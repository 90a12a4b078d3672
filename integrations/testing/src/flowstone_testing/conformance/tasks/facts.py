"""Names, types and docstrings of prebuilt tasks; no service is needed."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from flowstone import Task, errors
from flowstone.plugins.docstrings import parse
from flowstone.task_runners.messages import pack, unpacked
from flowstone_testing.conformance.tasks.examples import TaskBase, find_hints

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

#: Words in the names of durations, and of amounts of data.
TIMES = {"timeout", "delay", "interval", "duration", "ttl", "wait", "period", "expires", "age"}
SIZES = {"size", "memory", "buffer", "chunk"}
#: A size of these is a count: objects in a page, rows in a batch.
COUNTED = {"page", "batch", "pool", "window", "sample"}
#: Units that are not used.
OTHERS = {
    "ms",
    "millis",
    "milliseconds",
    "minutes",
    "hours",
    "days",
    "kb",
    "mb",
    "gb",
    "kib",
    "mib",
}
UNITS = {"seconds", "bytes", *OTHERS}


class TaskFacts(TaskBase):
    """Tests of a task without calling it.

    Attributes:
        known_names: parameters without a unit in their name, because people know them from
            elsewhere; the docstring must then name the unit.
    """

    known_names: ClassVar[Container[str]] = frozenset()

    def test_every_listed_task_is_a_task(self) -> None:
        """Look at the target in `tasks` of the `Collection`: is it decorated with `@task`?"""
        found = self.find_listed()
        assert [name for name, task in found.items() if not isinstance(task, Task)] == []
        assert {name: task.name for name, task in found.items()} == {name: name for name in found}

    def test_every_public_task_is_listed(self) -> None:
        """List the named tasks; an async version has the name of its task with the prefix `a`."""
        known = [*self.find_tasks().values(), *self.find_twins().values()]
        tasks = {
            name: found for name, found in self.find_public().items() if isinstance(found, Task)
        }
        assert [name for name, found in tasks.items() if found not in known] == []

    def test_a_twin_takes_and_returns_the_same(self) -> None:
        """Give the async version the parameters, defaults and types of its task."""
        tasks = self.find_tasks()
        for name, twin in self.find_twins().items():
            assert twin.isasync, f"{twin.name} is not async"
            assert str(inspect.signature(twin.fn)) == str(inspect.signature(tasks[name].fn)), name

    def test_an_async_task_does_not_stand_alone(self) -> None:
        """Write the named sync task, which sync flows can call, and list it.

        The async one is its twin: its name is that of the task with the prefix ``a``.
        """
        twins = [*self.find_twins().values()]
        every = {**self.find_public(), **self.find_tasks()}
        assert [
            name
            for name, task in sorted(every.items())
            if isinstance(task, Task) and task.isasync and task not in twins
        ] == []

    def test_everything_has_a_type(self) -> None:
        """Annotate what is named with types that resolve at run time; use `object` for `Any`."""
        assert [problem for task in self._all() for problem in _find_untyped(task)] == []

    def test_it_can_be_sent_to_another_process(self) -> None:
        """Define the task in a module under its name, with no lock, client or file in a closure."""
        for task in self._all():
            arrived = unpacked(pack(task))
            assert isinstance(arrived, Task), task.name
            assert arrived.name == task.name

    def test_a_docstring_says_what_it_does(self) -> None:
        """Begin the docstring with a sentence that ends in a full stop."""
        docs = {task.name: parse(task.fn.__doc__).summary for task in self._all()}
        assert [name for name, summary in docs.items() if not summary.endswith(".")] == []

    def test_every_parameter_is_documented(self) -> None:
        """Write an `Args:` line for each named parameter; remove those that no longer exist."""
        assert [
            problem for task in self.find_tasks().values() for problem in _find_undocumented(task)
        ] == []

    def test_errors_are_documented(self) -> None:
        """Write a `Raises:` section with errors of Flowstone or builtin ones, and their causes."""
        for task in self.find_tasks().values():
            raises = parse(task.fn.__doc__).raises
            assert raises, f"{task.name} does not say what it raises"
            known = {**vars(builtins), **vars(errors), **_globals(task)}
            assert [name for name in raises if not _is_error(known.get(name))] == [], task.name

    def test_units_are_in_the_names(self) -> None:
        """Name durations `…_seconds` and amounts of data `…_bytes`, or use `known_names`."""
        assert [
            f"{task.name}({name})"
            for task in self.find_tasks().values()
            for name in _find_numbers(task)
            if _lacks_unit(name) and not self._says_unit(task, name)
        ] == []

    def test_it_has_an_example(self) -> None:
        """Write an `Example:` section with a call, as code that can be copied."""
        for name, task in self.find_tasks().items():
            code = parse(task.fn.__doc__).example
            called = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
            assert called & {name, f"a{name}"}, f"{name} has no example that calls it"

    def _all(self) -> list[Task[..., object]]:
        return [*self.find_tasks().values(), *self.find_twins().values()]

    def _says_unit(self, task: Task[..., object], name: str) -> bool:
        told = parse(task.fn.__doc__).arguments.get(name, "")
        return name in self.known_names and bool(UNITS & set(re.findall(r"\w+", told)))


def _parameters(task: Task[..., object]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(task.fn).parameters)


def _globals(task: Task[..., object]) -> dict[str, object]:
    return dict(getattr(inspect.unwrap(task.fn), "__globals__", {}))


def _find_untyped(task: Task[..., object]) -> Iterator[str]:
    try:
        found = find_hints(task)
    except NameError as error:
        yield f"{task.name}: {error}, at run time"
        return
    for name, parameter in _parameters(task).items():
        # Keywords that are passed on to an SDK may be anything.
        if name not in found or (
            found[name] is Any and parameter.kind is not parameter.VAR_KEYWORD
        ):
            yield f"{task.name}({name})"
    if found.get("return", Any) is Any:
        yield f"{task.name} -> ?"


def _find_undocumented(task: Task[..., object]) -> Iterator[str]:
    there, told = set(_parameters(task)), set(parse(task.fn.__doc__).arguments)
    yield from (f"{task.name}({name}) is not documented" for name in sorted(there - told))
    yield from (f"{task.name} has no {name}" for name in sorted(told - there))


def _is_error(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, BaseException)


def _find_numbers(task: Task[..., object]) -> Iterator[str]:
    try:
        found = find_hints(task)
    except NameError:
        return
    for name in _parameters(task):
        hint = found.get(name)
        kinds = {hint, *get_args(hint)}
        if kinds & {int, float} and not kinds & {date, timedelta}:
            yield name


def _lacks_unit(name: str) -> bool:
    words = name.split("_")
    if words[-1] in {"seconds", "bytes"}:
        return False
    if words[-1] in OTHERS or TIMES & set(words):
        return True
    return words[-1] in SIZES and not COUNTED & set(words)
