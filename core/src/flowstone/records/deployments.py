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

#: The kind of the documents of deployments.
KIND = "deployment"


class ConcurrencyLimitStrategy(StrEnum):
    """What happens to a run of a deployment that has reached its concurrency limit."""

    ENQUEUE = "ENQUEUE"
    """The run waits."""
    CANCEL_NEW = "CANCEL_NEW"
    """The run is cancelled."""
    CANCEL_RUNNING = "CANCEL_RUNNING"
    """The run waits for the oldest run in progress, which is cancelled."""


@dataclass(frozen=True)
class ConcurrencyLimitConfig:
    """The concurrency limit of a deployment, and what happens to further runs.

    Attributes:
        limit: the maximum number of runs executed at a time, from 1 up.
        collision_strategy: what happens to a run beyond the limit.
    """

    limit: int
    collision_strategy: ConcurrencyLimitStrategy = ConcurrencyLimitStrategy.ENQUEUE


@dataclass(frozen=True)
class Deployment:
    """A flow with everything needed to run it unattended: schedules, parameters and tags.

    Deploying it again preserves what an operator has changed.

    Attributes:
        name: its name among the deployments of the flow.
        flow_name: the flow's name.
        entrypoint: the location of the flow: ``package.module:flow`` or ``/path/to/file.py:flow``;
            a relative path in pinned code.
        code: the version of the code for new runs; None if each run uses the code at the time of
            its execution, as with `serve`.
        environment: the packages of its runs; None for those of the worker.
        parameters: defaults of each run, by name.
        parameter_schema: the JSON schema of the flow's parameters.
        enforce_parameter_schema: whether parameters are checked when a run is created.
        tags: tags of each run.
        description: a description for people, in Markdown.
        version: the version that the code declares.
        schedules: the schedules that the code declares.
        paused: whether the code declares the deployment as paused.
        work_pool_name: the pool whose workers execute its runs; None if a program serves it.
        work_queue_name: the queue of the pool; None for the default one.
        job_variables: variables of its jobs that differ from the pool's defaults, by name.
        concurrency_limit: the maximum number of its runs executed at a time; None for no maximum.
        collision_strategy: what happens to a run beyond the limit.
        declared_in: the file that declares it; None if a program deploys it.
        id: the id of the document, assigned when it is first saved.
        added_schedules: schedules added by an operator.
        paused_by_operator: True or False if an operator has paused or resumed it, which overrides
            the code; None otherwise.
        schedule_pauses: by slug, True for a schedule that an operator has paused, and False for one
            that an operator has resumed, which overrides the code.
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
        """Whether it is paused."""
        if self.paused_by_operator is not None:
            return self.paused_by_operator
        return self.paused or self.paused_at_shutdown

    @property
    def all_schedules(self) -> tuple[Schedule, ...]:
        return (*self.schedules, *self.added_schedules)

    @property
    def active_schedules(self) -> tuple[Schedule, ...]:
        """The schedules that create runs, unless the deployment is paused."""
        return tuple(each for each in self.all_schedules if self.is_active(each))

    def is_active(self, schedule: Schedule) -> bool:
        """Return whether one of its schedules creates runs."""
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
    """Return a deployment as JSON values."""
    return _CODEC.encode(deployment)


def decode_deployment(body: Json) -> Deployment:
    """Return the deployment that `encode_deployment` has encoded."""
    return _CODEC.decode(body)


def read_deployment(document: Document) -> Deployment:
    """Return the deployment in a document of the kind `KIND`."""
    return decode_deployment(dict(document.body))
