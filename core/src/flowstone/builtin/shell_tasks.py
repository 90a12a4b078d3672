"""Shell commands as tasks: run, wait, and give what was written, each with an async twin."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from flowstone.blocks import ShellOperation
from flowstone.calls.task import task

__all__ = ["ashell_run_command", "shell_run_command"]


@task
def shell_run_command(
    command: str,
    env: Mapping[str, str] | None = None,
    helper_command: str | None = None,
    shell: str | None = None,
    extension: str | None = None,
    return_all: bool = False,
    stream_level: int = logging.INFO,
    cwd: str | None = None,
) -> str | list[str]:
    """Run a command in a shell, and return the last line that it wrote to standard output.

    Each line that it writes, of errors too, goes to the run's log as it comes. Where the run is
    cancelled, the command is ended with all that it has started.

    Args:
        command: one or more lines; the shell looks at all of it, so put no text of others in it
            (see `ShellOperation` and its `direct`).
        env: variables, beside those of this process.
        helper_command: is run before it, in the same shell, as ``cd data``.
        shell: by default bash, or else sh.
        extension: what the script's file ends in, as ".ps1".
        return_all: return all lines, as a list.
        stream_level: of the lines in the log.
        cwd: where it runs; by default where you are.

    Raises:
        JobFailed: it ended with another exit code than 0; its last lines are told.
        JobError: it can't be started.

    Example:
        last_line = shell_run_command("echo one; echo two")
    """
    operation = _make_operation([helper_command, command], env, shell, extension, stream_level, cwd)
    return _choose_output(operation.run(), return_all)


@task
async def ashell_run_command(
    command: str,
    env: Mapping[str, str] | None = None,
    helper_command: str | None = None,
    shell: str | None = None,
    extension: str | None = None,
    return_all: bool = False,
    stream_level: int = logging.INFO,
    cwd: str | None = None,
) -> str | list[str]:
    """Do as `shell_run_command`, and let other coroutines run meanwhile."""
    operation = _make_operation([helper_command, command], env, shell, extension, stream_level, cwd)
    return _choose_output(await operation.arun(), return_all)


def _make_operation(
    commands: Sequence[str | None],
    env: Mapping[str, str] | None,
    shell: str | None,
    extension: str | None,
    stream_level: int,
    cwd: str | None,
) -> ShellOperation:
    return ShellOperation(
        commands=[command for command in commands if command is not None],
        env=dict(env or {}),
        shell=shell,
        extension=extension,
        stream_level=stream_level,
        working_dir=None if cwd is None else Path(cwd),
    )


def _choose_output(lines: list[str], return_all: bool) -> str | list[str]:
    return lines if return_all else (lines or [""])[-1]
