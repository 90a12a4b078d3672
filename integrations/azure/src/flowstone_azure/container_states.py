"""What a container group tells: its status, why it failed, how much it used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.blocks import JobStatus

if TYPE_CHECKING:
    from azure.mgmt.containerinstance.models import ContainerGroup, ContainerState, Event

#: States of a group, as Azure names them.
SUCCEEDED, FAILED, STOPPED, RUNNING = "Succeeded", "Failed", "Stopped", "Running"
#: The state of a container that has ended.
TERMINATED = "Terminated"


def find_status(group: ContainerGroup) -> JobStatus:
    """Return where a group is; one that was stopped is never completed."""
    state = group.instance_view.state if group.instance_view else None
    if state == STOPPED:
        return JobStatus.CANCELLED
    if state == SUCCEEDED:
        # A state is written in steps: what the container ended with has the last word.
        return JobStatus.FAILED if _find_exit_code(group) else JobStatus.COMPLETED
    if state == FAILED or group.provisioning_state == FAILED:
        return JobStatus.FAILED
    return JobStatus.RUNNING if state == RUNNING else JobStatus.PENDING


def find_container_state(group: ContainerGroup) -> ContainerState | None:
    """Return the state of the group's only container; None before it has one."""
    view = group.containers[0].instance_view if group.containers else None
    return view.current_state if view else None


def _find_exit_code(group: ContainerGroup) -> int:
    state = find_container_state(group)
    return (state.exit_code or 0) if state else 0


def describe_failure(group: ContainerGroup) -> str:
    """Return why a group failed, in Azure's words: the exit code, the last warnings."""
    words = []
    state = find_container_state(group)
    if state and state.exit_code:
        words.append(f"exit code {state.exit_code}")
    if state and state.detail_status and state.detail_status not in {"Error", "Completed"}:
        words.append(state.detail_status)
    words += [
        f"{event.name}: {(event.message or '').strip(' .')}"
        for event in _list_events(group)
        if event.type == "Warning"
    ][-1:]
    return "; ".join(words) or "Azure gives no reason"


def _list_events(group: ContainerGroup) -> list[Event]:
    own = (group.instance_view.events or []) if group.instance_view else []
    view = group.containers[0].instance_view if group.containers else None
    return [*own, *((view.events or []) if view else [])]


def measure(group: ContainerGroup) -> dict[str, float]:
    """Return how long a container ran, and the CPU and memory that it was given."""
    state = find_container_state(group)
    if state is None or not state.start_time or not state.finish_time:
        return {}
    seconds = max((state.finish_time - state.start_time).total_seconds(), 0.0)
    requests = group.containers[0].resources.requests
    return {
        "run_seconds": seconds,
        "vcpu_seconds": seconds * requests.cpu,
        "memory_gb_seconds": seconds * requests.memory_in_gb,
    }
