"""Infrastructure: executes the runs of a work pool, with typed variables for its jobs."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.blocks.jobs.provider import JobProvider


class JobVariables(BaseModel):
    """The job variables of a pool, a deployment and a run; infrastructures add their own.

    They must not contain secrets: blocks and references to secrets are resolved inside the run.
    """

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(
        default=None, description="The display name of the job; by default the run's name."
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Environment variables, in addition to those of the worker.",
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels, besides those that name the flow, the deployment and the run.",
    )
    command: str | None = Field(
        default=None,
        description="The command before the run's id; by default `flowstone run execute`.",
    )

    @field_validator("command")
    @classmethod
    def _check_command(cls, command: str | None) -> str | None:
        if command is not None and not shlex.split(command):
            raise ValueError("it names no program")
        return command


class RunJob(NamedTuple):
    """A run for which a job is started.

    Attributes:
        run_id: the job executes ``flowstone run execute RUN_ID``.
        name: its display name.
        command: the program and its arguments, including the run's id; None for the default.
        env: environment variables, in addition to those of the worker.
        labels: what the run belongs to: the keys begin with ``flowstone/``.
        variables: the merged job variables, of the type `Infrastructure.variables`.
    """

    run_id: str
    name: str
    command: tuple[str, ...] | None
    env: Mapping[str, str]
    labels: Mapping[str, str]
    variables: JobVariables


class Infrastructure(ABC):
    """A type of work pool: where and how the runs of such pools are executed.

    A package offers one in the table ``infrastructures`` of its `Collection`; the class needs no
    arguments. Its `JobProvider`, which is also what a `Job` block uses, starts, watches and ends
    jobs.

    Attributes:
        variables: the type of its job variables.
        schema_version: increase it whenever fields of `variables` change.
    """

    variables: ClassVar[type[JobVariables]] = JobVariables
    schema_version: ClassVar[int] = 1

    def prepare(self) -> bool:
        """Prepare for starting many jobs; called first by a worker that runs until it is stopped.

        Returns:
            Whether jobs start faster afterwards.
        """
        return False

    def find_problem(self, variables: JobVariables) -> str | None:
        """Return why jobs with these variables can't start, if this machine can tell.

        Returns:
            The problem, and which variable to change; None if no problem is known.
        """
        assert isinstance(variables, self.variables)
        return None

    @abstractmethod
    def make_provider(self, job: RunJob) -> JobProvider:
        """Return the provider that starts the job of a run, and accesses it afterwards."""

    @abstractmethod
    def attach(self, variables: JobVariables) -> JobProvider:
        """Return the provider for jobs that another worker has started, by their handles."""
