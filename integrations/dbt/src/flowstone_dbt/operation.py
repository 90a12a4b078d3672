"""DbtCoreOperation: dbt commands as typed in a shell, run one after another."""

from __future__ import annotations

import re
import shlex
from contextvars import copy_context
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, PrivateAttr, SecretStr, field_validator

from flowstone.blocks import Block
from flowstone.blocks.external_work import name_block
from flowstone_dbt.cli_profile import DbtCliProfile
from flowstone_dbt.commands import split_command
from flowstone_dbt.engine import run_dbt
from flowstone_dbt.left_behind import end_external
from flowstone_dbt.project import DbtProject, check_profiles_dir
from flowstone_dbt.references import refuse_secret_names
from flowstone_dbt.results import DbtResult, raise_failures
from flowstone_dbt.stopping import run_in_thread, stopping

if TYPE_CHECKING:
    from flowstone.records.events import ExternalHandle


#: Characters that a shell would interpret.
_EXPANDED = re.compile(r"\$[A-Za-z_({]")


class DbtCoreOperation(Block):
    """Runs dbt commands one after another, and stops at the first failure."""

    _block_type_name: ClassVar[str | None] = "dbt Core Operation"
    _description: ClassVar[str | None] = "dbt commands, as typed in a shell."
    _code_example: ClassVar[str | None] = (
        'DbtCoreOperation(commands=["dbt run", "dbt test"], project_dir="shop").save("shop")\n'
        'DbtCoreOperation.load("shop").run()'
    )

    commands: list[str] = Field(
        description="The commands, each beginning with 'dbt'.", examples=[["dbt build"]]
    )
    project_dir: Path | None = Field(
        default=None,
        description="The directory with dbt_project.yml; by default, the current directory.",
    )
    profiles_dir: Path | None = Field(
        default=None, description="The directory with profiles.yml; dbt searches for it by default."
    )
    dbt_cli_profile: DbtCliProfile | None = Field(
        default=None, description="A profile made of blocks; it takes precedence over profiles.yml."
    )
    overwrite_profiles: bool = Field(
        default=False,
        description="Whether `dbt_cli_profile` takes precedence over the profiles.yml in "
        "`profiles_dir`.",
    )
    stream_output: bool = Field(
        default=True, description="Whether dbt's output goes to the run's log."
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Environment variables for dbt, in addition to those of this process.",
    )
    secret_env: dict[str, SecretStr] = Field(
        default_factory=dict, description="Variables whose values are secret."
    )
    working_dir: Path | None = Field(
        default=None, description="The directory of the project, if `project_dir` is not set."
    )
    shell: str | None = Field(default=None, description="Has no effect: no shell is used.")
    extension: str | None = Field(default=None, description="Has no effect: no shell is used.")

    _started: list[DbtOperationRun] = PrivateAttr(default_factory=list)

    @field_validator("env")
    @classmethod
    def _has_no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        return refuse_secret_names(value)

    @field_validator("commands")
    @classmethod
    def _are_commands(cls, value: list[str]) -> list[str]:
        if not value:
            raise ValueError("there are no commands; add one, such as 'dbt build'")
        for command in value:
            _check_command(command)
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await run_in_thread(self.close)

    def close(self) -> None:
        """Stop triggered commands that are still running."""
        while self._started:
            self._started.pop().cancel()

    def run(self) -> list[str]:
        """Run the commands; return their output, and a line ``name: status`` for each node.

        Raises:
            DbtNodesFailed: nodes failed.
            DbtError: the command could not be run.
        """
        lines: list[str] = []
        for result in self._run_all():
            lines += result.lines
            lines += [f"{node.name}: {node.status}" for node in result.nodes]
        return lines

    async def arun(self) -> list[str]:
        """Async version of `run`; cancelling it ends dbt."""
        return await run_in_thread(self.run)

    def trigger(self) -> DbtOperationRun:
        """Start the commands and return at once.

        You need not wait for them. They end with the process at the latest, or with the block's
        ``with`` statement, if it is used in one.
        """
        self._started[:] = [run for run in self._started if not run.has_ended()]
        self._started.append(DbtOperationRun(self))
        return self._started[-1]

    async def atrigger(self) -> DbtOperationRun:
        """Async version of `trigger`."""
        return self.trigger()

    def cancel_external(self, handle: ExternalHandle) -> None:
        """Stop a command that a killed process left running; called by `flowstone run cleanup`.

        Raises:
            DbtError: it runs on another machine.
        """
        end_external(handle)

    def make_project(self) -> DbtProject:
        """Return the project that the commands run in.

        Raises:
            DbtError: two profiles are set.
        """
        if self.dbt_cli_profile is not None and self.profiles_dir is not None:
            check_profiles_dir(self.profiles_dir, overwrite=self.overwrite_profiles)
        return DbtProject(
            project_dir=self.project_dir or self.working_dir,
            profiles_dir=None if self.dbt_cli_profile is not None else self.profiles_dir,
            profile=self.dbt_cli_profile,
            env=self.env,
            secret_env=self.secret_env,
            stream_output=self.stream_output,
        )

    def _run_all(self) -> list[DbtResult]:
        results: list[DbtResult] = []
        with self.make_project().open(block=name_block(self)) as place:
            for command in self.commands:
                results.append(run_dbt(place, split_command(command)))
                raise_failures(results[-1])
        return results


class DbtOperationRun:
    """Commands that run in a thread; wait for them or cancel them.

    Args:
        operation: the block with the commands.
    """

    def __init__(self, operation: DbtCoreOperation) -> None:
        self._lines: list[str] = []
        self._error: BaseException | None = None
        self._stop = Event()
        self._operation = operation
        context = copy_context()
        context.run(stopping.set, self._stop)
        self._thread = Thread(target=context.run, args=(self._run,), daemon=True)
        self._thread.start()

    def wait_for_completion(self) -> None:
        """Wait until the commands have ended.

        Raises:
            DbtNodesFailed: nodes failed.
            DbtError: the command could not be run.
        """
        try:
            while self._thread.is_alive():
                self._thread.join(0.2)  # a run in a thread is stopped when its code next runs
        except BaseException:
            self.cancel()
            raise
        if self._error is not None:
            raise self._error

    async def await_for_completion(self) -> None:
        """Async version of `wait_for_completion`."""
        await run_in_thread(self.wait_for_completion)

    def fetch_result(self) -> list[str]:
        """Wait until the commands have ended, and return the same as `DbtCoreOperation.run`.

        Raises:
            DbtNodesFailed: nodes failed.
            DbtError: the command could not be run.
        """
        self.wait_for_completion()
        return self._lines

    async def afetch_result(self) -> list[str]:
        """Async version of `fetch_result`."""
        return await run_in_thread(self.fetch_result)

    def has_ended(self) -> bool:
        """Return whether the commands have ended, successfully or not."""
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """Stop the commands, and return when they have ended."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._lines = self._operation.run()
        except BaseException as error:  # noqa: BLE001 - raised by the waiting methods
            self._error = error


def _check_command(command: str) -> None:
    """Refuse a command that is not dbt's, or that needs a shell.

    Raises:
        ValueError: the command is refused.
    """
    try:
        words = shlex.split(command)
        marks = list(shlex.shlex(command, posix=True, punctuation_chars=";<>|&"))
    except ValueError as error:
        problem = f"{command!r} can't be read: {str(error).lower()}"
        raise ValueError(problem) from error
    if words[:1] != ["dbt"]:
        raise ValueError(f"{command!r} is not a dbt command; use ShellOperation for others")
    if len(words) < 2:
        raise ValueError(f"{command!r} names no command of dbt; write 'dbt build', for example")
    if any(set(mark) <= set(";<>|&") for mark in marks if mark) or _EXPANDED.search(command):
        raise ValueError(f"{command!r} uses shell syntax; list each command separately")
