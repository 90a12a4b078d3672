"""Keys: what a process that sends calls of a task and one that serves it both call the task."""

from __future__ import annotations

from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any

from flowstone.calls.task import Task
from flowstone.engine.functions import unwrap
from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A task of whatever parameters and value.
AnyTask = Task[..., Any]


def find_key(task: AnyTask) -> str:
    """Return the key of a task: the module and the name of its function.

    A program that is started by its file has the name that others import it by.

    Raises:
        ConfigurationError: it is bound to an object, which no other process has.
    """
    if isinstance(task.fn, MethodType):
        problem = "it is a method of an object, which no other process has"
        raise ConfigurationError(f"task {task.name!r}", problem, "Use a function.")
    fn = unwrap(task.fn)
    around: Mapping[str, Any] = getattr(fn, "__globals__", {})
    return f"{_find_module(around)}.{getattr(fn, '__qualname__', task.name)}"


def _find_module(around: Mapping[str, Any]) -> str:
    module = str(around.get("__name__", ""))
    if module != "__main__":
        return module
    spec = around.get("__spec__")  # of `python -m`
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    file = around.get("__file__")
    if not file:
        return module  # typed at a prompt, or given with -c
    path = Path(file).resolve()
    parts = [path.stem]
    for folder in path.parents:
        if not (folder / "__init__.py").is_file():
            break
        parts.append(folder.name)
    return ".".join(reversed(parts))
