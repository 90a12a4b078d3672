"""Tasks for shell commands: run one, wait, and return its output, with an async version."""

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
    """Run a command in a shell, and return the last line of its standard output.

    Each line of output, including errors, is written to the run's log as it comes. If the run is
    cancelled, the command and its child processes are terminated.

    Args:
        command: one or more lines; the shell interprets all of it, so don't insert untrusted text
            (see `ShellOperation` and its `direct`).
        env: environment variables, in addition to those of this process.
        helper_command: a command to run before it in the same shell, such as ``cd data``.
        shell: the shell; by default bash, or sh if there is no bash.
        extension: the suffix of the script's file, such as ".ps1".
        return_all: whether to return all lines, as a list.
        stream_level: the log level of the lines.
        cwd: the working directory; by default the current one.

    Raises:
        JobFailed: its exit code is not 0; the message contains its last lines.
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
    """Async version of `shell_run_command`."""
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
