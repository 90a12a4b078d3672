"""Keys: the common name of a task in processes that send its calls and that serve it."""

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

#: A task with any parameters and value.
AnyTask = Task[..., Any]

#: The keys that this process serves, or has served.
_served: set[str] = set()


def find_key(task: AnyTask) -> str:
    """Return the key of a task: the module and the name of its function.

    A program that is started as a file uses the name by which others import it.

    Raises:
        ConfigurationError: it is bound to an object, which other processes don't have.
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
    """Allow sending any calls of these tasks from this process, which serves them itself."""
    _served.update(keys)


def find_sent_key(task: AnyTask) -> str:
    """Return the key of a task that is sent to the background; see `find_key`.

    Raises:
        ConfigurationError: other processes can't import the task, and this one has not served it.
    """
    key = find_key(task)
    if key in _served:
        return key
    around, is_local, _ = key.rpartition(".<locals>.")
    if is_local:
        problem = f"it is defined inside {around.rpartition('.')[2]!r}, so workers can't import it"
        remedy = "Define it at the top level of a module."
        raise ConfigurationError(f"task {task.name!r}", problem, remedy)
    if key.startswith("__main__."):
        problem = "it was typed at a prompt, or passed with -c, so workers can't import it"
        raise ConfigurationError(f"task {task.name!r}", problem, "Define it in a module.")
    return key


def _find_name_of_program() -> str:
    """Return the name by which other programs import this one."""
    main = sys.modules["__main__"]
    if main.__spec__ is not None:  # started with `python -m`
        return main.__spec__.name.removesuffix(".__main__")
    if not getattr(main, "__file__", None):
        return main.__name__  # interactive, or started with -c
    path = Path(main.__file__ or "").resolve()
    parts = [path.stem]
    for folder in path.parents:
        if not (folder / "__init__.py").is_file():
            break
        parts.append(folder.name)
    return ".".join(reversed(parts))
