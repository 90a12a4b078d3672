"""Definitions of container groups, created from a block's fields; secrets are secure values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

from flowstone.errors import JobError
from flowstone.records.redaction import redact
from flowstone.runtime import flow_run, task_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azure.mgmt.containerinstance.models import ContainerGroup, ResourceRequests

    from flowstone_azure.container_instances import AzureContainerInstance

#: The name of the only container of a group.
CONTAINER = "job"
#: The tag of groups that are deleted when they have ended.
ONCE = "flowstone_once"
#: Number of characters of a block's name in the name of a group, which may have 63.
LONGEST = 30
#: The longest value of a tag, and characters that its name can't contain.
LONGEST_TAG = 256
_NOT_IN_TAGS = re.compile(r"[<>%&\\?/]")


def make_group_name(block: AzureContainerInstance) -> str:
    """Return a new name for a container group, derived from the name of the block."""
    letters = "".join(each if each.isalnum() else "-" for each in (block.name or "job").lower())
    return f"flowstone-{letters[:LONGEST].strip('-')}-{uuid4().hex[:12]}"


def make_tags(own: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a group: those of the block, and the names and id of the run."""
    names = {
        "flowstone_flow": flow_run.flow_name,
        "flowstone_task": task_run.task_name,
        "flowstone_run": task_run.id or flow_run.id,
    }
    found = {name: value for name, value in names.items() if value} | dict(own)
    return {_NOT_IN_TAGS.sub("-", name): value[:LONGEST_TAG] for name, value in found.items()}


def make_group(block: AzureContainerInstance) -> ContainerGroup:
    """Return the definition of a container group."""
    from azure.mgmt.containerinstance import models  # an optional dependency

    tags = make_tags(block.tags)
    if not block.keep_container_group:
        tags[ONCE] = "true"
    container = models.Container(
        name=CONTAINER,
        image=block.image,
        command=block.command or None,
        environment_variables=[
            *(models.EnvironmentVariable(name=name, value=v) for name, v in block.env.items()),
            *(
                models.EnvironmentVariable(name=name, secure_value=value.get_secret_value())
                for name, value in block.secret_env.items()
            ),
        ],
        resources=models.ResourceRequirements(requests=_make_resources(block)),
    )
    group = models.ContainerGroup(
        location=block.location,
        tags=tags,
        containers=[container],
        os_type="Linux",
        restart_policy="Never",
    )
    _add_surroundings(group, block)
    return group


def _make_resources(block: AzureContainerInstance) -> ResourceRequests:
    from azure.mgmt.containerinstance import models  # an optional dependency

    gpu = None
    if block.gpu_count is not None and block.gpu_sku is not None:
        gpu = models.GpuResource(count=block.gpu_count, sku=block.gpu_sku)
    return models.ResourceRequests(cpu=block.cpu, memory_in_gb=block.memory, gpu=gpu)


def _add_surroundings(group: ContainerGroup, block: AzureContainerInstance) -> None:
    """Set a group's network, its identities and the credentials for its registry."""
    from azure.mgmt.containerinstance import models  # an optional dependency

    if block.identities:
        group.identity = models.ContainerGroupIdentity(
            type="UserAssigned",
            user_assigned_identities={
                each: models.UserAssignedIdentities() for each in block.identities
            },
        )
    if block.subnet_ids:
        group.subnet_ids = [models.ContainerGroupSubnetId(id=each) for each in block.subnet_ids]
    if block.dns_servers:
        group.dns_config = models.DnsConfiguration(name_servers=block.dns_servers)
    if (registry := block.image_registry) is not None:
        password = registry.password.get_secret_value() if registry.password else None
        group.image_registry_credentials = [
            models.ImageRegistryCredential(
                server=registry.server,
                username=registry.username,
                password=password,
                identity=registry.identity,
            )
        ]


def refuse_secrets(block: AzureContainerInstance, where: str) -> None:
    """Refuse a definition that would show a secret to everyone who may see the group.

    Raises:
        JobError: a secret that this process knows is in `env`, `command` or `tags`.
    """
    for place, text in _list_texts(block):
        if redact(text) != text:
            raise JobError(
                where,
                f"{place} contains a secret, which anyone who may see the group could read",
                "Put it into secret_env.",
            )


def _list_texts(block: AzureContainerInstance) -> Iterator[tuple[str, str]]:
    yield from ((f"env[{name!r}]", value) for name, value in block.env.items())
    yield from ((f"tags[{name!r}]", value) for name, value in block.tags.items())
    yield from ((f"command[{number}]", text) for number, text in enumerate(block.command))
