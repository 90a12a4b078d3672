"""Container groups of Azure Container Instances, behind the interface of all jobs."""

from __future__ import annotations

import re
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from flowstone import record_measures
from flowstone.blocks import JobProvider, JobStatus, Report
from flowstone.blocks.jobs import EndedJobs, get_job_logger
from flowstone.errors import (
    AccessDenied,
    CredentialsError,
    FlowstoneError,
    JobError,
    JobLost,
    Unreachable,
)
from flowstone_azure.container_definitions import (
    CONTAINER,
    ONCE,
    make_group,
    make_group_name,
    refuse_secrets,
)
from flowstone_azure.container_states import (
    RUNNING,
    TERMINATED,
    ContainerGroupState,
    describe_failure,
    find_status,
    measure,
    read_state,
)
from flowstone_azure.errors import translate_errors
from flowstone_azure.logs import keep_secrets
from flowstone_azure.rules import OF_CONTAINER_GROUPS

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from azure.mgmt.containerinstance import ContainerInstanceManagementClient

    from flowstone_azure.container_instances import AzureContainerInstance

_HANDLE = re.compile(
    "/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    "/providers/Microsoft.ContainerInstance/containerGroups/(?P<name>[^/]+)"
)
#: Known groups that are deleted, with their lines.
ENDED = EndedJobs()
#: When this process first saw a group that had not started, by handle.
_pending: dict[str, float] = {}
#: Groups whose output may not be read; a warning is logged once for each.
_refused: set[str] = set()


class ContainerGroups(JobProvider):
    """The container groups of a job; a handle is the resource id of a group.

    Args:
        block: the block.
    """

    outage_seconds = 300.0
    grace_seconds = 120.0

    def __init__(self, block: AzureContainerInstance) -> None:
        self._block, self._login = block, block.aci_credentials.find_login()
        self.poll_seconds = block.task_watch_poll_interval
        self.timeout_seconds = block.timeout_seconds
        self.streams = not block.stream_output  # otherwise the output would not be logged

    @property
    def where(self) -> str:
        return f"Azure container {self._block.image} in {self._block.resource_group_name}"

    def start(self) -> str:
        refuse_secrets(self._block, self.where)
        block, name = self._block, make_group_name(self._block)
        keep_secrets()
        client = self._client(block.subscription_id)
        handle = (
            f"/subscriptions/{block.subscription_id}/resourceGroups/{block.resource_group_name}"
            f"/providers/Microsoft.ContainerInstance/containerGroups/{name}"
        )
        try:
            with self._translate(None):
                client.container_groups.begin_create_or_update(
                    block.resource_group_name, name, make_group(block), polling=False
                )
        except (AccessDenied, CredentialsError, JobError):
            raise  # the request was refused
        except BaseException:
            self._delete(handle)  # only the response may be lost
            raise
        return handle

    def report(self, handle: str) -> Report:
        if ended := ENDED.find(handle):
            return ended.report
        group = self._read(handle)
        status = find_status(group)
        if status is JobStatus.PENDING and self._is_too_late(handle):
            seconds = self._block.task_start_timeout_seconds
            problem = f"the container has not started within {seconds:g} s"
            return self._finish(handle, group, Report(JobStatus.FAILED, problem))
        if not status.ended:
            return Report(status)
        problem = describe_failure(group) if status is JobStatus.FAILED else ""
        return self._finish(handle, group, Report(status, problem))

    def cancel(self, handle: str) -> None:
        if find_status(self._read(handle)).ended:
            return  # stopping it would change its end
        match = self._parse(handle)
        with suppress(JobLost), self._translate(handle):
            self._client(match["subscription"]).container_groups.stop(match["group"], match["name"])

    def read_logs(self, handle: str, seen: int) -> list[str]:
        if ended := ENDED.find(handle):
            return [*ended.lines[seen:]]
        try:
            return self._read_lines(handle)[seen:]
        except Unreachable:
            pass  # its lines are requested again
        except AccessDenied as error:
            # Credentials that may run containers may lack permission to read their output.
            if handle not in _refused:
                get_job_logger().warning("its output can't be read: %s", error)
            _refused.add(handle)
        return []

    def _finish(self, handle: str, group: ContainerGroupState, report: Report) -> Report:
        """Return the report of a group that has ended, after its cleanup."""
        _pending.pop(handle, None)
        if measures := measure(group):
            record_measures(measures)
        if group.tags.get(ONCE) == "true":
            try:
                lines = self._read_lines(handle)
            except FlowstoneError as error:
                get_job_logger().warning("the group is not deleted, to keep its output: %s", error)
                return report
            ENDED.add(handle, report, lines)
            self._delete(handle)
        return report

    def _read_lines(self, handle: str) -> list[str]:
        """Return the complete lines of a container's output; none before it has started."""
        match = self._parse(handle)
        state = self._read(handle).container
        if state not in {RUNNING, TERMINATED}:
            return []
        with self._translate(handle):
            found = self._client(match["subscription"]).containers.list_logs(
                match["group"], match["name"], CONTAINER
            )
        text = found.content or ""
        if state != TERMINATED:
            text = text[: text.rfind("\n") + 1]  # the last line is incomplete
        return text.splitlines()

    def _is_too_late(self, handle: str) -> bool:
        limit, now = self._block.task_start_timeout_seconds, monotonic()
        return limit is not None and now - _pending.setdefault(handle, now) >= limit

    def _delete(self, handle: str) -> None:
        match = self._parse(handle)
        try:
            with suppress(JobLost), self._translate(handle):
                self._client(match["subscription"]).container_groups.begin_delete(
                    match["group"], match["name"], polling=False
                )
        except FlowstoneError as error:
            get_job_logger().warning("the container group may still be there: %s", error)

    def _read(self, handle: str) -> ContainerGroupState:
        match = self._parse(handle)
        with self._translate(handle):
            found = self._client(match["subscription"]).container_groups.get(
                match["group"], match["name"]
            )
        return read_state(found)

    def _parse(self, handle: str) -> re.Match[str]:
        match = _HANDLE.fullmatch(handle)
        if match is None:
            problem = f"{handle!r} is not the resource id of a container group"
            remedy = "It is in the group's properties, and begins with /subscriptions/."
            raise JobLost(self.where, problem, remedy, handle)
        return match

    def _client(self, subscription_id: str) -> ContainerInstanceManagementClient:
        url = self._block.aci_credentials.management_url
        return self._login.find_container_client(subscription_id, url)

    def _translate(self, handle: str | None) -> AbstractContextManager[None]:
        name = handle.rpartition("/")[2] if handle else None
        return translate_errors(self.where, self._login, name, OF_CONTAINER_GROUPS)
