"""Infrastructure: what executes the runs of a work pool, and the typed variables of its jobs."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.blocks.jobs.provider import JobProvider


class JobVariables(BaseModel):
    """What a pool, a deployment and a run may say of a job; infrastructures add their own.

    No secret belongs here: blocks and references to secrets are resolved inside the run.
    """

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(
        default=None, description="The job's name, where people see it; by default the run's."
    )
    env: dict[str, str] = Field(
        default_factory=dict, description="Environment variables, beside those of the worker."
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels, beside those that name the flow, the deployment and the run.",
    )
    command: str | None = Field(
        default=None,
        description="What executes the run, before its id; by default `flowstone run execute`.",
    )

    @field_validator("command")
    @classmethod
    def _check_command(cls, command: str | None) -> str | None:
        if command is not None and not shlex.split(command):
            raise ValueError("it names no program")
        return command


class RunJob(NamedTuple):
    """A run for which a job is to be started.

    Attributes:
        run_id: the job executes ``flowstone run execute RUN_ID``.
        name: what people see.
        command: the program and its arguments, the run's id included; None for the usual one.
        env: variables beside those of the worker.
        labels: what the run belongs to: the keys begin with ``flowstone/``.
        variables: all that was said of the job, of the type `Infrastructure.variables`.
    """

    run_id: str
    name: str
    command: tuple[str, ...] | None
    env: Mapping[str, str]
    labels: Mapping[str, str]
    variables: JobVariables


class Infrastructure(ABC):
    """A kind of work pool: where and how the runs of such pools are executed.

    A package offers one by the table ``infrastructures`` of its `Collection`; the class needs no
    arguments. A job is started, watched, and ended by the `JobProvider` that it makes, which is
    what a `Job` block uses as well.

    Attributes:
        variables: the type of what pools and deployments say of its jobs.
        schema_version: counts up whenever fields of `variables` change.
    """

    variables: ClassVar[type[JobVariables]] = JobVariables
    schema_version: ClassVar[int] = 1

    def prepare(self) -> bool:
        """Get ready to start many jobs; a worker that runs until it is stopped begins with this.

        Returns:
            Whether jobs start sooner by that.
        """
        return False

    def find_problem(self, variables: JobVariables) -> str | None:
        """Return why jobs with these variables can't start, as far as this machine can tell.

        Returns:
            What is wrong, and which variable to change; None where nothing is known to be wrong.
        """
        assert isinstance(variables, self.variables)
        return None

    @abstractmethod
    def make_provider(self, job: RunJob) -> JobProvider:
        """Return what starts the job of a run, and reaches it afterwards."""

    @abstractmethod
    def attach(self, variables: JobVariables) -> JobProvider:
        """Return what reaches the jobs that another worker has started, by their handles."""
