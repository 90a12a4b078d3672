"""Deployments, as documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowstone.errors import InvalidName
from flowstone.records.codec import FieldForm, RecordCodec
from flowstone.records.names import check_printable_name
from flowstone.records.schedules import decode_schedule, encode_schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.records.codec import Json
    from flowstone.records.documents import Document
    from flowstone.records.schedules import Schedule

#: The kind of the documents that deployments are.
KIND = "deployment"
_BANNED = frozenset("/%&<>")


@dataclass(frozen=True)
class Deployment:
    """A flow with what is needed to run it unattended: schedules, parameters and tags.

    Deploying it again keeps what an operator has changed.

    Attributes:
        name: its name among the deployments of the flow.
        flow_name: the flow's name.
        entrypoint: where the flow is defined: ``package.module:flow`` or ``/path/to/file.py:flow``.
        parameters: defaults of each run, by name.
        parameter_schema: the JSON schema of the flow's parameters.
        enforce_parameter_schema: whether parameters are checked when a run is made.
        tags: of each run.
        description: what a person should know of it, as Markdown.
        version: what the code says of its version.
        schedules: when runs are due, as the code says.
        paused: whether the code says that its schedules make no runs.
        id: of the document; given when it is first saved.
        added_schedules: an operator's, beside those of the code.
        paused_by_operator: True or False where an operator has paused or resumed it, whatever the
            code says; None otherwise.
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
    id: str = ""
    added_schedules: tuple[Schedule, ...] = ()
    paused_by_operator: bool | None = None
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


def check_name(name: str) -> str:
    """Return a name that a deployment may have.

    Raises:
        InvalidName: nobody could use it.
    """
    check_printable_name(KIND, name)
    if not _BANNED.isdisjoint(name):
        raise InvalidName(KIND, name, "leave out / % & < and >")
    return name


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
        "tags": FieldForm(list, tuple),
        "tuple[Schedule, ...]": _SCHEDULES,
    },
)


def encode_deployment(deployment: Deployment) -> Json:
    """Return what is kept of a deployment."""
    return _CODEC.encode(deployment)


def read_deployment(document: Document) -> Deployment:
    """Return the deployment that a document of the kind `KIND` is."""
    return _CODEC.decode(dict(document.body))
