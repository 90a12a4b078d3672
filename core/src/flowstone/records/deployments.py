"""Deployments, as documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from flowstone.records.codec import FieldForm, RecordCodec
from flowstone.records.encoding import CODE_CODEC, ENVIRONMENT_CODEC
from flowstone.records.schedules import decode_schedule, encode_schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.records.codec import Json
    from flowstone.records.documents import Document
    from flowstone.records.runs import CodeVersion, Environment
    from flowstone.records.schedules import Schedule

#: The kind of the documents that deployments are.
KIND = "deployment"


class ConcurrencyLimitStrategy(StrEnum):
    """What becomes of a run of a deployment that has as many runs as it may have at a time."""

    ENQUEUE = "ENQUEUE"
    """It waits."""
    CANCEL_NEW = "CANCEL_NEW"
    """It is cancelled."""
    CANCEL_RUNNING = "CANCEL_RUNNING"
    """It waits for the oldest run that is being executed, which is cancelled."""


@dataclass(frozen=True)
class ConcurrencyLimitConfig:
    """How many runs of a deployment are executed at a time, and what becomes of the others.

    Attributes:
        limit: from 1 up.
        collision_strategy: what becomes of a run for which there is no room.
    """

    limit: int
    collision_strategy: ConcurrencyLimitStrategy = ConcurrencyLimitStrategy.ENQUEUE


@dataclass(frozen=True)
class Deployment:
    """A flow with what is needed to run it unattended: schedules, parameters and tags.

    Deploying it again keeps what an operator has changed.

    Attributes:
        name: its name among the deployments of the flow.
        flow_name: the flow's name.
        entrypoint: where the flow is defined: ``package.module:flow`` or ``/path/to/file.py:flow``;
            in pinned code a relative path.
        code: the version of its code that runs get that are created now; None where each run has
            the code as it is then, as with `serve`.
        environment: the packages of its runs; None for those of the worker.
        parameters: defaults of each run, by name.
        parameter_schema: the JSON schema of the flow's parameters.
        enforce_parameter_schema: whether parameters are checked when a run is made.
        tags: of each run.
        description: what a person should know of it, as Markdown.
        version: what the code says of its version.
        schedules: when runs are due, as the code says.
        paused: whether the code says that its schedules make no runs.
        work_pool_name: the pool whose workers execute its runs; None where a program serves it.
        work_queue_name: the queue of the pool; None for the default one.
        job_variables: what its jobs have that differs from the pool's defaults, by name.
        concurrency_limit: how many of its runs are executed at a time; None for any number.
        collision_strategy: what becomes of a run for which there is no room.
        declared_in: the file that declares it; None where a program deploys it.
        id: of the document; given when it is first saved.
        added_schedules: an operator's, beside those of the code.
        paused_by_operator: True or False where an operator has paused or resumed it, whatever the
            code says; None otherwise.
        schedule_pauses: by slug, True for a schedule that an operator has paused, and False for one
            that an operator has resumed, whatever the code says.
        paused_at_shutdown: whether it is paused because the last process that served it has ended.
    """

    name: str
    flow_name: str
    entrypoint: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    parameter_schema: Mapping[str, object] = field(default_factory=dict)
    enforce_parameter_schema: bool = True
    tags: tuple[str, ...] = ()
    description: str | None = None
    version: str | None = None
    schedules: tuple[Schedule, ...] = ()
    paused: bool = False
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    job_variables: Mapping[str, object] = field(default_factory=dict)
    concurrency_limit: int | None = None
    collision_strategy: ConcurrencyLimitStrategy = ConcurrencyLimitStrategy.ENQUEUE
    declared_in: str | None = None
    code: CodeVersion | None = None
    environment: Environment | None = None
    id: str = ""
    added_schedules: tuple[Schedule, ...] = ()
    paused_by_operator: bool | None = None
    schedule_pauses: Mapping[str, bool] = field(default_factory=dict)
    paused_at_shutdown: bool = False

    @property
    def full_name(self) -> str:
        """Its name among all deployments: ``flow/name``."""
        return f"{self.flow_name}/{self.name}"

    @property
    def is_paused(self) -> bool:
        """Whether its schedules make no runs."""
        if self.paused_by_operator is not None:
            return self.paused_by_operator
        return self.paused or self.paused_at_shutdown

    @property
    def all_schedules(self) -> tuple[Schedule, ...]:
        return (*self.schedules, *self.added_schedules)

    @property
    def active_schedules(self) -> tuple[Schedule, ...]:
        """The schedules that make runs, where the deployment is not paused."""
        return tuple(each for each in self.all_schedules if self.is_active(each))

    def is_active(self, schedule: Schedule) -> bool:
        """Tell whether one of its schedules makes runs."""
        return not self.schedule_pauses.get(schedule.slug or "", not schedule.active)


_SCHEDULES = FieldForm(
    lambda values: [encode_schedule(each) for each in values],
    lambda bodies: tuple(decode_schedule(each) for each in bodies),
)
_JSON = FieldForm(dict, dict)
_CODEC = RecordCodec(
    Deployment,
    {
        "parameters": _JSON,
        "parameter_schema": _JSON,
        "schedule_pauses": _JSON,
        "tags": FieldForm(list, tuple),
        "job_variables": _JSON,
        "ConcurrencyLimitStrategy": FieldForm(str, ConcurrencyLimitStrategy),
        "tuple[Schedule, ...]": _SCHEDULES,
        "CodeVersion": CODE_CODEC.form,
        "Environment": ENVIRONMENT_CODEC.form,
    },
)


def encode_deployment(deployment: Deployment) -> Json:
    """Return what is kept of a deployment."""
    return _CODEC.encode(deployment)


def decode_deployment(body: Json) -> Deployment:
    """Return the deployment that `encode_deployment` has encoded."""
    return _CODEC.decode(body)


def read_deployment(document: Document) -> Deployment:
    """Return the deployment that a document of the kind `KIND` is."""
    return decode_deployment(dict(document.body))
