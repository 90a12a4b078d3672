"""Reads container groups: status, reason of failure, resources used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstone.blocks import JobStatus

if TYPE_CHECKING:
    from datetime import datetime

    from azure.mgmt.containerinstance.models import ContainerGroup

#: States of a group, as Azure names them.
SUCCEEDED, FAILED, STOPPED, RUNNING = "Succeeded", "Failed", "Stopped", "Running"
#: The state of a container that has ended.
TERMINATED = "Terminated"
#: What a container's end is called that its exit code tells already.
_USUAL = {"", "Error", "Completed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerGroupState:
    """What Azure reports about a group and its only container.

    Attributes:
        provisioning: the provisioning state of the group.
        state: of the group; "" before it has one.
        container: the state of the container; "" before it has one.
        exit_code: None before the end.
        detail: the container's state in more words.
        started: when the container began.
        finished: when it ended.
        warnings: names and messages of events.
        cpu: the number of CPUs.
        memory: in GB.
        tags: of the group.
    """

    provisioning: str
    state: str
    container: str
    exit_code: int | None
    detail: str
    started: datetime | None
    finished: datetime | None
    warnings: tuple[str, ...]
    cpu: float
    memory: float
    tags: dict[str, str]


def read_state(group: ContainerGroup) -> ContainerGroupState:
    """Return what a group tells; the SDK has None where Azure says nothing yet."""
    container = group.containers[0]
    views = [getattr(each, "instance_view", None) for each in (group, container)]
    current = getattr(views[1], "current_state", None)
    events = [event for view in views for event in getattr(view, "events", None) or []]
    requests = container.resources.requests
    return ContainerGroupState(
        provisioning=getattr(group, "provisioning_state", None) or "",
        state=getattr(views[0], "state", None) or "",
        container=getattr(current, "state", None) or "",
        exit_code=getattr(current, "exit_code", None),
        detail=getattr(current, "detail_status", None) or "",
        started=getattr(current, "start_time", None),
        finished=getattr(current, "finish_time", None),
        warnings=tuple(
            f"{event.name}: {(event.message or '').strip(' .')}"
            for event in events
            if event.type == "Warning"
        ),
        cpu=requests.cpu,
        memory=requests.memory_in_gb,
        tags=dict(group.tags or {}),
    )


def find_status(found: ContainerGroupState) -> JobStatus:
    """Return where a group is; one that was stopped is never completed."""
    if found.state == STOPPED:
        return JobStatus.CANCELLED
    if found.state == SUCCEEDED:
        # What the container ended with has the last word.
        return JobStatus.FAILED if found.exit_code else JobStatus.COMPLETED
    if FAILED in {found.state, found.provisioning}:
        return JobStatus.FAILED
    return JobStatus.RUNNING if found.state == RUNNING else JobStatus.PENDING


def describe_failure(found: ContainerGroupState) -> str:
    """Return why a group failed, in Azure's words: the exit code, the last warning."""
    words = [f"exit code {found.exit_code}"] if found.exit_code else []
    if found.detail not in _USUAL:
        words.append(found.detail)
    return "; ".join([*words, *found.warnings[-1:]]) or "Azure gives no reason"


def measure(found: ContainerGroupState) -> dict[str, float]:
    """Return how long a container ran, and the CPU and memory that it was given."""
    if not found.started or not found.finished:
        return {}
    seconds = max((found.finished - found.started).total_seconds(), 0.0)
    return {
        "run_seconds": seconds,
        "vcpu_seconds": seconds * found.cpu,
        "memory_gb_seconds": seconds * found.memory,
    }
