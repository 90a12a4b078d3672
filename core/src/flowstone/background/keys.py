"""Keys: what a process that sends calls of a task and one that serves it both call the task."""

from __future__ import annotations

import sys
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any

from flowstone.calls.task import Task
from flowstone.engine.functions import unwrap
from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: A task of whatever parameters and value.
AnyTask = Task[..., Any]

#: What this process serves, or has served.
_served: set[str] = set()


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
    module = str(getattr(fn, "__module__", ""))
    if module == "__main__":
        module = _find_name_of_program()
    return f"{module}.{getattr(fn, '__qualname__', task.name)}"


def note_served(keys: Iterable[str]) -> None:
    """Let calls of these be sent from this process, whatever they are: it serves them itself."""
    _served.update(keys)


def find_sent_key(task: AnyTask) -> str:
    """Return the key of a task that is sent to the background; see `find_key`.

    Raises:
        ConfigurationError: no other process finds the task, and this one has not served it.
    """
    key = find_key(task)
    if key in _served:
        return key
    around, is_local, _ = key.rpartition(".<locals>.")
    if is_local:
        problem = f"it is defined inside {around.rpartition('.')[2]!r}, where no worker finds it"
        remedy = "Define it at the top level of a module."
        raise ConfigurationError(f"task {task.name!r}", problem, remedy)
    if key.startswith("__main__."):
        problem = "it was typed at a prompt, or given with -c, where no worker finds it"
        raise ConfigurationError(f"task {task.name!r}", problem, "Define it in a module.")
    return key


def _find_name_of_program() -> str:
    """Return the name by which other programs import this one."""
    main = sys.modules["__main__"]
    if main.__spec__ is not None:  # of `python -m`
        return main.__spec__.name.removesuffix(".__main__")
    if not getattr(main, "__file__", None):
        return main.__name__  # typed at a prompt, or given with -c
    path = Path(main.__file__ or "").resolve()
    parts = [path.stem]
    for folder in path.parents:
        if not (folder / "__init__.py").is_file():
            break
        parts.append(folder.name)
    return ".".join(reversed(parts))
