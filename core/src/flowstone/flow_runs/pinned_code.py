"""The code of runs, pinned when they were created."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from flowstone.calls.entrypoints import load_flow_from_entrypoint
from flowstone.context.current import services
from flowstone.errors import ConfigurationError
from flowstone.settings import make_child_environ, read_environment

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.calls.flow import Flow
    from flowstone.records.runs import CodeVersion, RestartInfo


def load_pinned_flow(recipe: RestartInfo) -> Flow[..., object]:
    """Return the flow of a run from this process's copy of the code that the run was created with.

    Raises:
        ConfigurationError: there is none, or importing its code fails, which is the cause; or its
            code no longer exists.
    """
    assert recipe.entrypoint is not None
    _check_environment(recipe)
    return load_flow_from_entrypoint(recipe.entrypoint, _open_copy(recipe.code))


def enter_environment(recipe: RestartInfo) -> None:
    """Restart the command in the environment of a run, with the same arguments.

    The command `flowstone` calls it, in a process that is that command or a copy of one.

    Raises:
        ConfigurationError: the environment can't be created; the message says why.
    """
    if recipe.environment is None:
        return
    # Only runs with their own environment need it.
    from flowstone.code import environments, run_environments

    if run_environments.is_in_environment(recipe.environment, recipe.code):
        return
    folder = run_environments.make_run_environment(recipe.environment, recipe.code)
    python = environments.find_python(folder)
    path = f"{python.parent}{os.pathsep}{read_environment().get('PATH', '')}"
    variables = {**make_child_environ(services().settings), "PATH": path}
    variables["VIRTUAL_ENV"] = str(folder)
    arguments = [str(python), "-m", "flowstone", *sys.argv[1:]]
    os.execve(python, arguments, variables)  # noqa: S606 - no shell is wanted


def enter_code(recipe: RestartInfo) -> None:
    """Change to this process's copy of a run's code, the working directory of its runs.

    Raises:
        ConfigurationError: the code no longer exists.
    """
    if recipe.code is not None and recipe.code.is_workdir:
        folder = _open_copy(recipe.code)
        if folder is not None:
            os.chdir(folder)


def _check_environment(recipe: RestartInfo) -> None:
    """Refuse to load a flow in an environment other than that of its run."""
    if recipe.environment is None:
        return
    from flowstone.code.run_environments import is_in_environment  # as above

    if not is_in_environment(recipe.environment, recipe.code):
        problem = "the run has its own, and this process uses another"
        remedy = "Use `flowstone run execute`, `retry` or `resume`, which start in it."
        raise ConfigurationError("environment", problem, remedy)


def _open_copy(code: CodeVersion | None) -> Path | None:
    if code is None or code.snapshot is None:
        return None
    # Archives take 15 ms to import; only runs of pinned code need them.
    from flowstone.code.snapshots import open_copy

    return open_copy(code.snapshot)
