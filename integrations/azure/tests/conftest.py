"""A real Blob service over HTTP: Azurite, or with `--live` an account of yours.

Live, the container's name is in FLOWSTONE_AZURE_CONTAINER, and the login is what the environment
says: AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT and the SDK's default chain. The
tests keep to folders of their own in that container, and delete them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from tests.services.container_instances import ContainerInstances, serve_container_instances
from tests.services.entra import App, Entra, serve_entra
from tests.services.key_vault import Vault, serve_key_vault

from flowstone_azure import (
    AzureBlobStorageContainer,
    AzureBlobStorageCredentials,
    AzureContainerInstance,
    AzureContainerInstanceCredentials,
    AzureCredentials,
    AzureKeyVault,
)

from .logins import Place

if TYPE_CHECKING:
    from tests.services.azure import Azurite


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--live"))


@pytest.fixture(scope="session")
def emulator(live: bool, request: pytest.FixtureRequest) -> Azurite | None:
    """Azurite, as `tests/services` starts it; None for a real account."""
    azurite: Azurite | None = None if live else request.getfixturevalue("azurite")
    return azurite


@pytest.fixture
def emulated(emulator: Azurite | None) -> Azurite:
    """The emulator, for tests of what an account can't be asked for."""
    if emulator is None:
        pytest.skip("only against the emulator")
    return emulator


@pytest.fixture(autouse=True)
def no_login_of_yours(live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own set-up of Azure is seen by a test."""
    if live:
        return
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def login(emulator: Azurite | None) -> AzureBlobStorageCredentials:
    if emulator is None:
        return AzureBlobStorageCredentials()
    return AzureBlobStorageCredentials(connection_string=emulator.connection_string)


@pytest.fixture
def entra(monkeypatch: pytest.MonkeyPatch) -> Iterator[Entra]:
    """What hands out tokens in the place of Microsoft Entra, and of a machine's own service."""
    with serve_entra() as entra:
        for name, value in entra.list_settings().items():
            monkeypatch.setenv(name, value)
        yield entra


@pytest.fixture
def place(
    azurite_tls: Azurite, entra: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """Where a login by a token is made."""
    return Place(azurite_tls, entra, tmp_path, monkeypatch)


@pytest.fixture
def new_container() -> Callable[[Azurite], str]:
    """Return a function that makes a container of an emulator, and returns its name."""

    def make(azurite: Azurite) -> str:
        options = {"connection_verify": str(azurite.ca)} if azurite.ca else {}
        login = AzureBlobStorageCredentials(
            connection_string=azurite.connection_string, client_options=options
        )
        name = f"test-{uuid4().hex[:16]}"
        login.client().create_container(name)
        return name

    return make


@pytest.fixture
def container_name(live: bool, login: AzureBlobStorageCredentials) -> str:
    """A container that is there; a fresh one, where it is not yours."""
    if live:
        return os.environ["FLOWSTONE_AZURE_CONTAINER"]
    name = f"test-{uuid4().hex[:16]}"
    login.client().create_container(name)
    return name


@pytest.fixture
def container(
    login: AzureBlobStorageCredentials, container_name: str, live: bool
) -> Iterator[AzureBlobStorageContainer]:
    """An empty folder of a container."""
    folder = f"flowstone/{uuid4().hex[:16]}"
    container = AzureBlobStorageContainer(
        container_name=container_name, credentials=login, base_folder=f"/{folder}/"
    )
    yield container
    if live:
        container.delete_folder("")


@pytest.fixture
def identity(entra: Entra) -> AzureCredentials:
    """A service principal that Entra knows."""
    secret = f"secret-{uuid4().hex}"
    entra.apps["the-client"] = App("the-tenant", secret=secret)
    return AzureCredentials(
        tenant_id="the-tenant",
        client_id="the-client",
        client_secret=secret,
        # The replacement of a vault has the address of this machine.
        client_options={
            "connection_verify": str(entra.ca),
            "verify_challenge_resource": False,
            "retry_total": 1,
        },
    )


@pytest.fixture
def vault(live: bool, entra: Entra) -> Iterator[Vault]:
    """A vault on this machine."""
    if live:
        pytest.skip("only against our own server")
    with serve_key_vault(entra, "the-tenant") as found:
        yield found


@pytest.fixture
def key_vault(live: bool, request: pytest.FixtureRequest) -> AzureKeyVault:
    """A vault: ours, or live that of AZURE_KEYVAULT_URL."""
    if live:
        return AzureKeyVault()
    vault = request.getfixturevalue("vault")
    return AzureKeyVault(vault_url=vault.url, credentials=request.getfixturevalue("identity"))


@pytest.fixture
def container_instances(live: bool, entra: Entra) -> Iterator[ContainerInstances]:
    """Container Instances, whose containers are processes of this machine."""
    if live:
        pytest.skip("only against our own server")
    with serve_container_instances(entra) as found:
        yield found


@pytest.fixture
def new_job(
    container_instances: ContainerInstances, identity: AzureCredentials
) -> Callable[..., AzureContainerInstance]:
    """Return a function that makes a job of a Python program."""
    login = AzureContainerInstanceCredentials(
        tenant_id=identity.tenant_id,
        client_id=identity.client_id,
        client_secret=identity.client_secret,
        client_options={**identity.client_options, "retry_total": 0},
        management_url=container_instances.url,
    )

    def make(program: str, **fields: Any) -> AzureContainerInstance:
        usual: dict[str, Any] = {
            "aci_credentials": login,
            "image": "python:3",
            "resource_group_name": "jobs",
            "subscription_id": "00000000-0000-0000-0000-000000000000",
            "location": "westeurope",
            "command": [sys.executable, "-u", "-c", program],
            "task_watch_poll_interval": 0.05,
        }
        return AzureContainerInstance(**{**usual, **fields})

    return make
