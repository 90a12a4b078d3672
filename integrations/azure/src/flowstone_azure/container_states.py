"""Status, failure reason and measures of container groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstone.blocks import JobStatus

if TYPE_CHECKING:
    from datetime import datetime

    from azure.mgmt.containerinstance.models import ContainerGroup

#: Azure's names of the states of a group.
SUCCEEDED, FAILED, STOPPED, RUNNING = "Succeeded", "Failed", "Stopped", "Running"
#: The state of a container that has ended.
TERMINATED = "Terminated"
#: Details of a container's end that add nothing to its exit code.
_USUAL = {"", "Error", "Completed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerGroupState:
    """Azure's report about a group and its only container.

    Attributes:
        provisioning: the provisioning state of the group.
        state: the state of the group; "" before it has one.
        container: the state of the container; "" before it has one.
        exit_code: None before the end.
        detail: details of the container's state.
        started: when the container started.
        finished: when it ended.
        warnings: names and messages of events.
        cpu: the number of CPUs.
        memory: the memory in GB.
        tags: the tags of the group.
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
    """Return the state of a group; in the SDK, values that Azure does not report yet are None."""
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
    """Return the status of a group; one that was stopped is never completed."""
    if found.state == STOPPED:
        return JobStatus.CANCELLED
    if found.state == SUCCEEDED:
        # The exit code of the container decides.
        return JobStatus.FAILED if found.exit_code else JobStatus.COMPLETED
    if FAILED in {found.state, found.provisioning}:
        return JobStatus.FAILED
    return JobStatus.RUNNING if found.state == RUNNING else JobStatus.PENDING


def describe_failure(found: ContainerGroupState) -> str:
    """Return the reason of a failure, as Azure states it: the exit code, the last warning."""
    words = [f"exit code {found.exit_code}"] if found.exit_code else []
    if found.detail not in _USUAL:
        words.append(found.detail)
    return "; ".join([*words, *found.warnings[-1:]]) or "Azure gives no reason"


def measure(found: ContainerGroupState) -> dict[str, float]:
    """Return the measures of a container: its run time, and its CPU and memory."""
    if not found.started or not found.finished:
        return {}
    seconds = max((found.finished - found.started).total_seconds(), 0.0)
    return {
        "run_seconds": seconds,
        "vcpu_seconds": seconds * found.cpu,
        "memory_gb_seconds": seconds * found.memory,
    }
