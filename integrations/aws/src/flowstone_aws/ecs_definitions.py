"""ECS task definitions: each is registered once, and found again by its content."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING

from flowstone.errors import JobError, JobLost
from flowstone_aws.cloudwatch import LogStream
from flowstone_aws.job_errors import translate_job_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone_aws.credentials import AwsCredentials
    from flowstone_aws.records import Record

#: The tag with the digest of a definition's content, by which an equal one is found.
CONTENT_TAG = "flowstone_content"
#: Number of the newest revisions of a family that are checked.
MOST_REVISIONS = 10
#: Seconds for which the newest revision of a family is cached.
FAMILY_SECONDS = 60.0
_REVISION = re.compile(r":\d+$")
#: ECS's message if there is no such definition; the code of the error has many other causes.
_MISSING = "Unable to describe task definition"


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """A registered task definition.

    Attributes:
        arn: the ARN, with the revision.
        container: the container whose exit code counts, and that gets the command and variables.
        needs_network: whether a run needs subnets.
        log_group: the log group of that container; "" if it does not write to CloudWatch Logs.
        log_prefix: the prefix of its log streams.
        log_region: the region of the log.
    """

    arn: str
    container: str
    needs_network: bool
    log_group: str = ""
    log_prefix: str = ""
    log_region: str | None = None

    def list_streams(self, task: str) -> list[LogStream]:
        """Return the log streams of a task's container, given the task's ARN.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
        """
        if not (self.log_group and self.log_prefix):
            return []
        name = f"{self.log_prefix}/{self.container}/{task.rpartition('/')[2]}"
        return [LogStream(self.log_group, name, self.log_region)]


@dataclass(slots=True)
class TaskDefinitions:
    """The definitions that a login has found or registered in this process."""

    by_content: dict[str, TaskDefinition] = field(default_factory=dict)
    by_name: dict[str, tuple[float, TaskDefinition]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def find_definition(
    where: str, login: AwsCredentials, name: str, container: str | None
) -> TaskDefinition:
    """Return one of the user's own definitions.

    Args:
        where: the task, for messages.
        login: the credentials.
        name: its ARN, or its family for the newest revision, which is cached for a minute.
        container: the name of its container; None for the first.

    Raises:
        JobLost: there is no such definition.
        JobError: it has no such container.
    """
    shared = login.get_or_make("ecs definitions", TaskDefinitions)
    key = f"{name} {container}"
    # Read under the lock: of a hundred tasks at a time, one sends the request.
    with shared.lock:
        at, known = shared.by_name.get(key, (0.0, None))
        if known is not None and (_REVISION.search(name) or monotonic() - at < FAMILY_SECONDS):
            return known
        found = _describe(where, login, name)
        if found is None:
            problem = f"there is no task definition {name!r}"
            raise JobLost(where, problem, "Check its name, and region_name of the credentials.")
        definition = read_definition(where, found["taskDefinition"], container)
        shared.by_name[key] = monotonic(), definition
        return definition


def ensure_definition(
    where: str, login: AwsCredentials, content: Record, tags: Mapping[str, str]
) -> TaskDefinition:
    """Return the definition with this content; register it if there is none.

    Args:
        where: the task, for messages.
        login: the credentials.
        content: the parameters of ``RegisterTaskDefinition``.
        tags: further tags of a new definition.

    Raises:
        JobError: ECS refuses it.
    """
    digest = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    shared = login.get_or_make("ecs definitions", TaskDefinitions)
    with shared.lock:
        if digest not in shared.by_content:
            found = _find_registered(where, login, content["family"], digest)
            if found is None:
                found = _register(where, login, content, {**tags, CONTENT_TAG: digest})
            shared.by_content[digest] = read_definition(where, found, None)
        return shared.by_content[digest]


def forget_definition(login: AwsCredentials, definition: TaskDefinition) -> None:
    """Remove a definition from the cache; it may have been deregistered."""
    shared = login.get_or_make("ecs definitions", TaskDefinitions)
    with shared.lock:
        by_content, by_name = shared.by_content, shared.by_name
        for digest in [each for each, found in by_content.items() if found == definition]:
            del by_content[digest]
        for name in [each for each, (_, found) in by_name.items() if found == definition]:
            del by_name[name]


def read_definition(where: str, found: Record, container: str | None) -> TaskDefinition:
    """Return a definition from its description by ECS."""
    containers = {each["name"]: each for each in found["containerDefinitions"]}
    name = container or next(iter(containers))
    if name not in containers:
        problem = f"{found['taskDefinitionArn']} has no container {name!r}"
        raise JobError(where, problem, f"Its containers are {', '.join(map(repr, containers))}.")
    log = containers[name].get("logConfiguration") or {}
    options = log.get("options", {}) if log.get("logDriver") == "awslogs" else {}
    return TaskDefinition(
        found["taskDefinitionArn"],
        name,
        found.get("networkMode") == "awsvpc",
        options.get("awslogs-group", ""),
        options.get("awslogs-stream-prefix", ""),
        options.get("awslogs-region"),
    )


def _find_registered(where: str, login: AwsCredentials, family: str, digest: str) -> Record | None:
    """Return the newest revision of a family with this content; usually it is the latest one."""
    newest = _describe(where, login, family)
    if newest is None:
        return None
    if _has_content(newest, digest):
        definition: Record = newest["taskDefinition"]
        return definition
    with translate_job_errors(where, login.describe_login):
        listed = login.client("ecs").list_task_definitions(
            familyPrefix=family, status="ACTIVE", sort="DESC", maxResults=MOST_REVISIONS
        )
    older = (_describe(where, login, arn) for arn in listed["taskDefinitionArns"][1:])
    same = (found for found in older if found is not None and _has_content(found, digest))
    return next((found["taskDefinition"] for found in same), None)


def _has_content(found: Record, digest: str) -> bool:
    tags = {tag["key"]: tag.get("value", "") for tag in found.get("tags", [])}
    is_active = found["taskDefinition"].get("status", "ACTIVE") == "ACTIVE"
    return is_active and tags.get(CONTENT_TAG) == digest


def _describe(where: str, login: AwsCredentials, name: str) -> Record | None:
    try:
        with translate_job_errors(where, login.describe_login):
            found: Record = login.client("ecs").describe_task_definition(
                taskDefinition=name, include=["TAGS"]
            )
    except JobError as error:
        if _MISSING in error.problem:
            return None
        raise
    return found


def _register(
    where: str, login: AwsCredentials, content: Record, tags: Mapping[str, str]
) -> Record:
    listed = [{"key": key, "value": value} for key, value in tags.items()]
    with translate_job_errors(where, login.describe_login):
        answer = login.client("ecs").register_task_definition(**content, tags=listed)
    found: Record = answer["taskDefinition"]
    return found
