"""Azure Container Instances on this machine, by https; the official SDK asks it.

A container is a real process of this machine: a `Container` with the command and the environment
of the definition. The image is not looked at, but for `MISSING_IMAGE` and `SLOW_IMAGE`.

The routes and answers are those of Microsoft's pages:

- ``PUT``, ``GET`` and ``DELETE`` of a container group, with its instance view; secure values and
  passwords are in no answer:
  https://learn.microsoft.com/rest/api/container-instances/container-groups/create-or-update and
  https://learn.microsoft.com/rest/api/container-instances/container-groups/get
- ``POST …/stop``: https://learn.microsoft.com/rest/api/container-instances/container-groups/stop
- ``GET …/containers/{name}/logs``:
  https://learn.microsoft.com/rest/api/container-instances/containers/list-logs
- secure values: https://learn.microsoft.com/azure/container-instances/container-instances-environment-variables
- restart policies and states:
  https://learn.microsoft.com/azure/container-instances/container-instances-restart-policy
- errors: https://learn.microsoft.com/azure/container-instances/container-instances-troubleshooting
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tests.services.certificates import find_authority
from tests.services.containers import Container, Containers, keep_containers
from tests.services.web import Handler, serve_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.entra import Entra

#: An image that is nowhere, and one that is never pulled to its end.
MISSING_IMAGE, SLOW_IMAGE = "shop.azurecr.io/missing:1", "shop.azurecr.io/endless:1"
GROUP = re.compile(
    "(/subscriptions/([^/]+)/resourceGroups/([^/]+)"
    "/providers/Microsoft.ContainerInstance/containerGroups/([^/]+))(/.*)?"
)
Answer = tuple[int, dict[str, Any] | None]


def refuse(status: int, code: str, message: str) -> Answer:
    return status, {"error": {"code": code, "message": message}}


def format_time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass
class Group:
    """A container group: its definition, and the process of its only container."""

    definition: dict[str, Any]
    container: Container | None = None
    was_stopped: bool = False

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.definition["properties"]["containers"][0]["properties"]
        return found

    @property
    def state(self) -> str:
        if self.container is None:
            return "Pending"
        if self.container.is_running:
            return "Running"
        if self.was_stopped:
            return "Stopped"
        return "Failed" if self.container.exit_code else "Succeeded"

    def describe(self, name: str) -> dict[str, Any]:
        """Return it without what is secret, as Azure does."""
        shown = json.loads(json.dumps(self.definition))
        properties = shown["properties"]
        spec = properties["containers"][0]["properties"]
        for each in spec.get("environmentVariables", []):
            each.pop("secureValue", None)
        for each in properties.get("imageRegistryCredentials", []):
            each.pop("password", None)
        properties["provisioningState"] = "Creating" if self.container is None else "Succeeded"
        properties["instanceView"] = {"state": self.state, "events": []}
        spec["instanceView"] = {"restartCount": 0, "currentState": self._describe_container()}
        return {**shown, "id": name, "name": name.rpartition("/")[2]}

    def _describe_container(self) -> dict[str, Any]:
        container = self.container
        if container is None:
            return {"state": "Waiting", "detailStatus": "Pulling"}
        found = {"startTime": format_time(container.started_at)}
        if container.ended_at is None:
            return {**found, "state": "Running", "detailStatus": ""}
        return {
            **found,
            "state": "Terminated",
            "exitCode": container.exit_code,
            "finishTime": format_time(container.ended_at),
            "detailStatus": "Error" if container.exit_code else "Completed",
        }


class ContainerInstances:
    """What a loopback server answers in the place of Azure Resource Manager.

    Attributes:
        url: its address, and what tokens are for.
        resource_groups: those that exist.
        groups: the container groups, by resource id.
        asked: the requests so far: method, path with its query, and body.
        refusals: how requests are refused whose ``METHOD path`` fits a pattern.
        events: what all groups tell of warnings: name and message.
        partial: what running containers have written of their next line.
    """

    def __init__(self, entra: Entra, containers: Containers) -> None:
        self.url, self._entra, self.containers = "", entra, containers
        self.resource_groups = {"jobs"}
        self.groups: dict[str, Group] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.refusals: dict[str, Answer] = {}
        self.events: list[tuple[str, str]] = []
        self.partial = ""
        #: What has run here, with groups that are deleted.
        self.all: dict[str, Group] = {}
        self._lock = RLock()

    def is_alive(self, handle: str) -> bool:
        """Return whether the process of a group runs."""
        container = self.all[handle].container
        return container is not None and container.is_running

    def answer(self, method: str, path: str, login: str, body: Any) -> Answer:
        with self._lock:
            if not self._entra.is_for(login, self.url):
                return refuse(401, "InvalidAuthenticationToken", "The access token is invalid.")
            self.asked.append((method, path, body))
            for pattern, refusal in self.refusals.items():
                if re.search(pattern, f"{method} {path}"):
                    return refusal
            found = GROUP.fullmatch(unquote(urlsplit(path).path))
            if found is None:
                return refuse(404, "InvalidResourceType", f"There is no {path}.")
            name, where, rest = found[1], found[3], found[5] or ""
            if where not in self.resource_groups:
                message = f"Resource group '{where}' could not be found."
                return refuse(404, "ResourceGroupNotFound", message)
            if (method, rest) == ("PUT", ""):
                return self._create(name, body)
            if name not in self.groups:
                message = f"The Resource '{name}' was not found."
                return refuse(404, "ResourceNotFound", message)
            return self._answer_group(name, method, rest)

    def _create(self, name: str, body: dict[str, Any]) -> Answer:
        group = Group(body)
        if group.spec["image"] == MISSING_IMAGE:
            message = f"The image '{MISSING_IMAGE}' in container group is not accessible."
            return refuse(400, "InaccessibleImage", message)
        self.groups[name] = self.all[name] = group
        shown = group.describe(name)
        if group.spec["image"] != SLOW_IMAGE:
            env = {
                each["name"]: each.get("secureValue") or each.get("value") or ""
                for each in group.spec.get("environmentVariables", [])
            }
            group.container = self.containers.start(group.spec["command"], env)
        return 201, shown

    def _answer_group(self, name: str, method: str, rest: str) -> Answer:
        group = self.groups[name]
        match method, rest:
            case "GET", "":
                shown = group.describe(name)
                shown["properties"]["instanceView"]["events"] = [
                    {"name": event, "message": message, "type": "Warning", "count": 1}
                    for event, message in self.events
                ]
                return 200, shown
            case "GET", "/containers/job/logs":
                return 200, {"content": self._read_text(group)}
            case "POST", "/stop":
                group.was_stopped = True
                if group.container is not None:
                    group.container.stop()
                return 204, None
            case "DELETE", "":
                del self.groups[name]
                if group.container is not None:
                    group.container.stop()
                return 200, group.describe(name)
        return refuse(405, "MethodNotAllowed", f"{method} {rest}")

    def _read_text(self, group: Group) -> str:
        if group.container is None:
            return ""
        return group.container.text + (self.partial if group.container.is_running else "")


@contextmanager
def serve_container_instances(entra: Entra) -> Iterator[ContainerInstances]:
    """Answer in the place of Azure Resource Manager on a free port."""
    with keep_containers() as containers:
        azure = ContainerInstances(entra, containers)

        class Resources(Handler):
            def serve(self) -> None:
                login = self.headers.get("Authorization", "")
                body = json.loads(self.read_body() or b"null")
                status, found = azure.answer(self.command, self.path, login, body)
                if found is None:
                    self.respond(status)
                else:
                    self.respond_json(status, found)

            do_GET = do_PUT = do_POST = do_DELETE = serve

        with serve_web(Resources, find_authority().make_context()) as server:
            azure.url = server.url
            yield azure
