"""ECS on this machine: what is registered is kept, and what is run is a real process.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.services.aws_wire import Refusal, make_arn

if TYPE_CHECKING:
    from tests.services.containers import Container, Containers

#: What Fargate stops a task after, unless its definition says otherwise.
STOP_SECONDS = 30


@dataclass
class Task:
    """A task: its container runs, has ended, or could not be started."""

    arn: str
    cluster: str
    definition: dict[str, Any]
    asked: dict[str, Any]
    created_at: datetime
    container: Container | None
    failure: str = ""
    stop_reason: str = ""
    was_stopped: bool = False
    looks: int = 0
    hidden: int = 0
    streams: dict[tuple[str, str], Container] = field(default_factory=dict)

    @property
    def status(self) -> str:
        if self.container is None:
            return "STOPPED"
        if self.container.is_running:
            return "PENDING" if self.looks < 1 else "RUNNING"
        return "STOPPED"

    def describe(self) -> dict[str, Any]:
        main, name = self.container, self.definition["containerDefinitions"][0]["name"]
        holder: dict[str, Any] = {"name": name, "lastStatus": self.status}
        found: dict[str, Any] = {
            "taskArn": self.arn,
            "clusterArn": make_arn("ecs", f"cluster/{self.cluster}"),
            "taskDefinitionArn": self.definition["taskDefinitionArn"],
            "lastStatus": self.status,
            "desiredStatus": "STOPPED" if self.was_stopped else "RUNNING",
            "cpu": self.definition.get("cpu", "256"),
            "memory": self.definition.get("memory", "512"),
            "launchType": self.asked.get("launchType", "FARGATE"),
            "startedBy": self.asked.get("startedBy", ""),
            "overrides": self.asked.get("overrides", {}),
            "tags": self.asked.get("tags", []),
            "createdAt": self.created_at.timestamp(),
            "containers": [holder],
        }
        if main is not None:
            found["startedAt"] = main.started_at.timestamp()
        if self.status != "STOPPED":
            return found
        found["desiredStatus"] = "STOPPED"
        if main is None:
            return {
                **found,
                "stopCode": "TaskFailedToStart",
                "stoppedReason": self.failure,
                "stoppedAt": self.created_at.timestamp(),
            }
        assert main.ended_at is not None
        holder["exitCode"] = main.exit_code
        found["executionStoppedAt"] = found["stoppedAt"] = main.ended_at.timestamp()
        found["stopCode"] = "UserInitiated" if self.was_stopped else "EssentialContainerExited"
        found["stoppedReason"] = self.stop_reason or "Essential container in task exited"
        return found


class Ecs:
    """Clusters, task definitions and tasks.

    Attributes:
        tasks: by ARN.
        definitions: by family, the revisions in their order.
        hidden: how often a new task is unknown, as ECS is eventually consistent.
    """

    def __init__(self, containers: Containers, secrets: dict[str, str]) -> None:
        self._containers, self._secrets = containers, secrets
        self.tasks: dict[str, Task] = {}
        self.definitions: dict[str, list[dict[str, Any]]] = {}
        self.hidden = 0
        self._tokens: dict[str, tuple[str, str]] = {}
        self.routes = {
            "RegisterTaskDefinition": self._register,
            "DescribeTaskDefinition": self._describe_definition,
            "ListTaskDefinitions": self._list_definitions,
            "RunTask": self._run,
            "DescribeTasks": self._describe,
            "ListTasks": self._list,
            "StopTask": self._stop,
            "TagResource": self._tag,
        }

    def dump(self) -> object:
        return [self.definitions, [task.describe() for task in self.tasks.values()]]

    def list_streams(self) -> dict[tuple[str, str], Container]:
        """Return what the containers write, by log group and stream."""
        return {at: each for task in self.tasks.values() for at, each in task.streams.items()}

    def _register(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html"""
        is_fargate = "FARGATE" in asked.get("requiresCompatibilities", [])
        if is_fargate and not (asked.get("cpu") and asked.get("memory")):
            raise Refusal(
                "ClientException", "Fargate requires that 'cpu' be defined at the task level."
            )
        for each in asked["containerDefinitions"]:
            needs = each.get("secrets") or each.get("logConfiguration")
            if is_fargate and needs and not asked.get("executionRoleArn"):
                text = "Fargate requires task definition to have execution role ARN to support"
                raise Refusal(
                    "ClientException",
                    f"{text} {'secrets' if each.get('secrets') else 'log driver awslogs'}.",
                )
        revisions = self.definitions.setdefault(asked["family"], [])
        number = len(revisions) + 1
        made = {
            **{key: value for key, value in asked.items() if key != "tags"},
            "taskDefinitionArn": make_arn("ecs", f"task-definition/{asked['family']}:{number}"),
            "revision": number,
            "status": "ACTIVE",
        }
        revisions.append({"taskDefinition": made, "tags": asked.get("tags", [])})
        return {"taskDefinition": made, "tags": asked.get("tags", [])}

    def _describe_definition(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTaskDefinition.html"""
        found = self._find_definition(asked["taskDefinition"])
        if "TAGS" not in asked.get("include", []):
            found = {**found, "tags": []}
        return found

    def _find_definition(self, name: str) -> dict[str, Any]:
        family, _, number = name.rpartition("/")[2].partition(":")
        revisions = self.definitions.get(family, [])
        found = [
            each for each in revisions if number in {"", str(each["taskDefinition"]["revision"])}
        ]
        if not found:
            raise Refusal("ClientException", "Unable to describe task definition.")
        return deepcopy(found[-1])

    def _list_definitions(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTaskDefinitions.html"""
        family = asked.get("familyPrefix")
        revisions = [
            each["taskDefinition"]["taskDefinitionArn"]
            for name, all_of_it in sorted(self.definitions.items())
            for each in all_of_it
            if family in {None, name}
        ]
        if asked.get("sort") == "DESC":
            revisions.reverse()
        return {"taskDefinitionArns": revisions[: asked.get("maxResults", 100)]}

    def _run(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html"""
        cluster = asked.get("cluster", "default").rpartition("/")[2]
        if cluster == "no-such-cluster":
            raise Refusal("ClusterNotFoundException", "Cluster not found.")
        if cluster == "full":
            return {"tasks": [], "failures": [{"arn": "arn:1", "reason": "RESOURCE:MEMORY"}]}
        definition = self._find_definition(asked["taskDefinition"])["taskDefinition"]
        if definition.get("networkMode") == "awsvpc" and not asked.get("networkConfiguration"):
            text = "Network Configuration must be provided when networkMode 'awsvpc' is specified."
            raise Refusal("InvalidParameterException", text)
        token, content = asked.get("clientToken"), json.dumps(asked, sort_keys=True)
        if token in self._tokens:
            arn, before = self._tokens[token]
            if before != content:
                raise Refusal("ConflictException", "clientToken was used with other parameters")
            return {"tasks": [self.tasks[arn].describe()], "failures": []}
        arn = make_arn("ecs", f"task/{cluster}/{uuid4().hex}")
        task = self.tasks[arn] = self._start(arn, cluster, definition, asked)
        task.hidden = self.hidden
        if token:
            self._tokens[token] = (arn, content)
        return {"tasks": [task.describe()], "failures": []}

    def _start(
        self, arn: str, cluster: str, definition: dict[str, Any], asked: dict[str, Any]
    ) -> Task:
        main = definition["containerDefinitions"][0]
        overrides = asked.get("overrides", {}).get("containerOverrides", [{}])
        over: dict[str, Any] = next(
            (each for each in overrides if each.get("name") == main["name"]), {}
        )
        task = Task(arn, cluster, definition, asked, datetime.now(UTC), None)
        variables = [*main.get("environment", []), *over.get("environment", [])]
        environment = {each["name"]: each["value"] for each in variables}
        for each in main.get("secrets", []):
            if each["valueFrom"] not in self._secrets:
                task.failure = (
                    "ResourceInitializationError: unable to pull secrets or registry auth: "
                    f"ResourceNotFoundException: can't find {each['valueFrom']}"
                )
                return task
            environment[each["name"]] = self._secrets[each["valueFrom"]]
        if main["image"].startswith("no-such-image"):
            task.failure = f"CannotPullContainerError: {main['image']}: not found"
            return task
        command = over.get("command") or main.get("command") or ["true"]
        task.container = self._containers.start(command, environment)
        options = main.get("logConfiguration", {}).get("options")
        if options:
            stream = f"{options['awslogs-stream-prefix']}/{main['name']}/{arn.rpartition('/')[2]}"
            task.streams[options["awslogs-group"], stream] = task.container
        return task

    def _describe(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html"""
        if len(asked["tasks"]) > 100:
            raise Refusal("InvalidParameterException", "Tasks cannot exceed 100.")
        found, failures = [], []
        for arn in asked["tasks"]:
            task = self.tasks.get(arn)
            if task is not None and task.hidden:
                task.hidden -= 1
                task = None
            if task is None:
                failures.append({"arn": arn, "reason": "MISSING"})
                continue
            found.append(task.describe())
            task.looks += 1
        return {"tasks": found, "failures": failures}

    def _list(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html"""
        wanted = asked.get("desiredStatus", "RUNNING")
        described = [task.describe() for task in self.tasks.values()]
        return {
            "taskArns": [
                each["taskArn"]
                for each in described
                if each["desiredStatus"] == wanted
                and asked.get("startedBy", each["startedBy"]) == each["startedBy"]
            ]
        }

    def _stop(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html"""
        task = self.tasks.get(asked["task"])
        if task is None:
            raise Refusal("InvalidParameterException", "The referenced task was not found.")
        if task.container is not None and task.container.is_running and not task.was_stopped:
            task.was_stopped, task.stop_reason = True, asked.get("reason", "Task stopped by user")
            main = task.definition["containerDefinitions"][0]
            task.container.stop(main.get("stopTimeout", STOP_SECONDS))
        return {"task": task.describe()}

    def _tag(self, asked: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TagResource.html"""
        task = self.tasks.get(asked["resourceArn"])
        if task is None:
            raise Refusal("ResourceNotFoundException", "The specified resource was not found.")
        keys = {each["key"] for each in asked["tags"]}
        own = [each for each in task.asked.get("tags", []) if each["key"] not in keys]
        task.asked["tags"] = [*own, *asked["tags"]]
        return {}
