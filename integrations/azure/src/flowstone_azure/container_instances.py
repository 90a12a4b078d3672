"""AzureContainerInstance: a container that runs to completion on Azure Container Instances."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from flowstone.blocks import Job
from flowstone_azure.container_provider import ContainerGroups
from flowstone_azure.entra_credentials import AzureContainerInstanceCredentials


class AzureContainerRegistry(BaseModel):
    """Credentials for a private registry: a user and a password, or an identity."""

    model_config = ConfigDict(extra="forbid")

    server: str = Field(min_length=1, description="The registry, such as shop.azurecr.io.")
    username: str | None = Field(default=None, description="The user.")
    password: SecretStr | None = Field(default=None, description="The user's password.")
    identity: str | None = Field(
        default=None, description="The resource id of a managed identity that may pull images."
    )


class AzureContainerInstance(Job):
    """A container that runs to completion on Azure Container Instances, in its own container group.

    The group is tagged with the flow, the task and the run, and is deleted when it has ended.
    """

    _block_type_name: ClassVar[str | None] = "Azure Container Instance"
    _block_type_slug: ClassVar[str | None] = "azure-container-instance"
    _description: ClassVar[str | None] = (
        "A container that runs to completion on Azure Container Instances."
    )
    _documentation_url: ClassVar[str | None] = (
        "https://learn.microsoft.com/azure/container-instances/"
    )
    _code_example: ClassVar[str | None] = (
        "AzureContainerInstance(\n"
        '    image="shop.azurecr.io/load:7",\n'
        '    resource_group_name="jobs",\n'
        '    subscription_id="…",\n'
        '    location="westeurope",\n'
        '    command=["python", "load.py"],\n'
        '    secret_env={"DB_PASSWORD": "azure-keyvault:db-password"},\n'
        ').save("load")\n'
        'AzureContainerInstance.load("load").run()'
    )

    aci_credentials: AzureContainerInstanceCredentials = Field(
        default_factory=AzureContainerInstanceCredentials,
        description="The credentials; by default, the SDK's default chain.",
    )
    image: str = Field(min_length=1, description="The container's image.")
    resource_group_name: str = Field(
        min_length=1, description="The resource group of its container groups."
    )
    subscription_id: str = Field(min_length=1, description="The id of the subscription.")
    location: str = Field(min_length=1, description="The region, such as westeurope.")
    command: list[str] = Field(
        default_factory=list,
        description="The program and its arguments; by default the image's own.",
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Environment variables. Anyone who may see the group can read them: put "
        "secrets into secret_env.",
    )
    secret_env: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Environment variables with secrets, as secure values, which Azure never "
        "shows.",
    )
    cpu: float = Field(default=1.0, gt=0, description="The number of CPUs.")
    memory: float = Field(default=1.0, gt=0, description="The memory, in GB.")
    gpu_count: int | None = Field(default=None, gt=0, description="The number of GPUs.")
    gpu_sku: Literal["K80", "P100", "V100"] | None = Field(
        default=None, description="The SKU of the GPUs."
    )
    identities: list[str] = Field(
        default_factory=list,
        description="Resource ids of managed identities that the container may use.",
    )
    subnet_ids: list[str] = Field(
        default_factory=list, description="Resource ids of subnets, for a private container group."
    )
    dns_servers: list[str] = Field(default_factory=list, description="Its DNS servers.")
    image_registry: AzureContainerRegistry | None = Field(
        default=None, description="The credentials for a private registry."
    )
    tags: dict[str, str] = Field(
        default_factory=dict,
        description="Tags of the container group, in addition to those of the run.",
    )
    keep_container_group: bool = Field(
        default=False, description="Whether to keep the group after its end."
    )
    timeout_seconds: float | None = Field(
        default=None, ge=0, description="Seconds to wait for a run; None for no limit."
    )
    task_start_timeout_seconds: float | None = Field(
        default=240.0,
        gt=0,
        description="Seconds within which the container must start; None for no limit.",
    )
    task_watch_poll_interval: float = Field(
        default=5.0, gt=0, description="Longest time between two polls, in seconds."
    )
    stream_output: bool = Field(
        default=True, description="Whether its output is logged by the waiting run."
    )

    @model_validator(mode="after")
    def _is_a_group(self) -> AzureContainerInstance:
        if (self.gpu_count is None) != (self.gpu_sku is None):
            raise ValueError("set both gpu_count and gpu_sku, or neither")
        if both := sorted(self.env.keys() & self.secret_env.keys()):
            raise ValueError(f"{', '.join(both)}: both in env and in secret_env")
        return self

    def make_provider(self) -> ContainerGroups:
        """Return the provider that runs this job on Container Instances."""
        return ContainerGroups(self)
