"""The standard tests, on Azure's blocks and plugin."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

import pytest
from pydantic import SecretStr
from tests.services.azure import ACCOUNT
from tests.services.container_instances import ContainerInstances

from flowstone_azure import (
    AzureBlobStorageContainer,
    AzureBlobStorageCredentials,
    AzureContainerInstance,
    AzureContainerInstanceCredentials,
    AzureContainerRegistry,
    AzureCredentials,
    AzureKeyVault,
    AzureKeyVaultSecret,
)
from flowstone_testing import (
    Arguments,
    BlockSuite,
    CredentialsSuite,
    EmulatorGap,
    Example,
    JobSuite,
    ObjectStoreSuite,
    PluginSuite,
    SecretsSuite,
    TaskSuite,
    reserve_closed_port,
)
from flowstone_testing.check.outside import find_sdks

from .versioned import GAPS

if TYPE_CHECKING:
    from tests.services.azure import Azurite

    from flowstone.blocks import Credentials

NewJob = Callable[..., AzureContainerInstance]
WRONG_KEY = base64.b64encode(b"a key of another account").decode()


class TestPlugin(PluginSuite):
    plugin = "azure"
    package = "flowstone_azure"
    sdks = (
        *("azure.core", "azure.identity", "azure.keyvault", "azure.mgmt", "azure.storage"),
        *("msal", "obstore", "requests"),
    )


class TestAzureBlobStorageCredentials(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[AzureBlobStorageCredentials]:
        url = "https://mydata.blob.core.windows.net"
        return [
            AzureBlobStorageCredentials(),
            AzureBlobStorageCredentials(
                connection_string=f"AccountName=mydata;AccountKey={uuid4().hex}"
            ),
            AzureBlobStorageCredentials(account_url=f"{url}/", account_key=uuid4().hex),
            AzureBlobStorageCredentials(account_url=url, sas_token=f"?sv=1&sig={uuid4().hex}"),
            AzureBlobStorageCredentials(
                account_url=url,
                tenant_id="a-tenant",
                client_id="a-client",
                client_secret=uuid4().hex,
                client_options={"retry_total": 5, "read_timeout": 20},
            ),
            AzureBlobStorageCredentials(
                account_url=url,
                tenant_id="a-tenant",
                client_id="a-client",
                client_certificate=f"-----BEGIN {uuid4().hex}\n{uuid4().hex}\n",
                client_certificate_password=uuid4().hex,
            ),
            AzureBlobStorageCredentials(
                account_url=url,
                tenant_id="a-tenant",
                client_id="a-client",
                client_certificate_path="~/app.pem",
            ),
        ]


class TestAzureBlobStorageContainer(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[AzureBlobStorageContainer]:
        return [
            AzureBlobStorageContainer(container_name="raw"),
            AzureBlobStorageContainer(
                container_name="raw",
                credentials=AzureBlobStorageCredentials(
                    account_url="https://mydata.blob.core.windows.net", account_key=uuid4().hex
                ),
                base_folder="/2026/",
                storage_class="Cool",
                encryption_key=uuid4().bytes + uuid4().bytes,
                tags={"team": "data"},
            ),
        ]


URL = "https://shop.vault.azure.net"


def make_logins(kind: type[AzureCredentials]) -> list[AzureCredentials]:
    return [
        kind(),
        kind(client_id="a-managed-identity"),
        kind(
            tenant_id="a-tenant",
            client_id="a-client",
            client_secret=uuid4().hex,
            credential_kwargs={"authority": "login.microsoftonline.us"},
            client_options={"retry_total": 0},
            management_url="https://management.usgovcloudapi.net",
        ),
    ]


class TestAzureCredentials(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[AzureCredentials]:
        return make_logins(AzureCredentials)


class TestAzureContainerInstanceCredentials(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[AzureCredentials]:
        return make_logins(AzureContainerInstanceCredentials)


class TestAzureKeyVaultBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[AzureKeyVault]:
        logins = make_logins(AzureCredentials)
        return [AzureKeyVault(), AzureKeyVault(vault_url=URL, credentials=logins[-1])]


class TestAzureKeyVaultSecretBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[AzureKeyVaultSecret]:
        return [
            AzureKeyVaultSecret(secret_name="db"),
            AzureKeyVaultSecret(
                secret_name="db",
                secret_version=uuid4().hex,
                vault_url=URL,
                credentials=make_logins(AzureCredentials)[-1],
            ),
        ]


class TestIdentity(CredentialsSuite):
    @pytest.fixture
    def good(self, identity: AzureCredentials) -> Credentials:
        return identity

    @pytest.fixture
    def refused(self, identity: AzureCredentials) -> Credentials:
        return identity.model_copy(update={"client_secret": SecretStr("a-wrong-secret")})

    @pytest.fixture
    def unreachable(self, identity: AzureCredentials) -> Credentials:
        nowhere = {
            "authority": f"https://127.0.0.1:{reserve_closed_port()}",
            "disable_instance_discovery": True,
            "retry_total": 0,
        }
        return identity.model_copy(update={"credential_kwargs": nowhere})


class TestContainerIdentity(TestIdentity):
    @pytest.fixture
    def identity(self, identity: AzureCredentials) -> AzureCredentials:
        return AzureContainerInstanceCredentials(**dict(identity))


class TestKeyVault(SecretsSuite):
    name = "azure-keyvault"
    versions = True
    binary = False
    joint = "-"

    @pytest.fixture
    def provider(self, key_vault: AzureKeyVault) -> AzureKeyVault:
        return key_vault

    @pytest.fixture
    def refused(self, key_vault: AzureKeyVault, identity: AzureCredentials) -> AzureKeyVault:
        wrong = identity.model_copy(update={"client_secret": SecretStr("a-wrong-secret")})
        return key_vault.model_copy(update={"credentials": wrong})


class TestAzureContainerInstanceBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[AzureContainerInstance]:
        where = {
            "image": "load:7",
            "resource_group_name": "jobs",
            "subscription_id": "1",
            "location": "westeurope",
        }
        return [
            AzureContainerInstance(**where),
            AzureContainerInstance(
                **where,
                aci_credentials=make_logins(AzureContainerInstanceCredentials)[-1],
                command=["load", "--day", "2026-05-01"],
                env={"MODE": "full"},
                secret_env={"TOKEN": uuid4().hex},
                cpu=2,
                memory=4,
                gpu_count=1,
                gpu_sku="V100",
                identities=["/subscriptions/1/i"],
                subnet_ids=["/subscriptions/1/s"],
                dns_servers=["10.0.0.1"],
                image_registry=AzureContainerRegistry(
                    server="shop.azurecr.io", username="me", password=SecretStr(uuid4().hex)
                ),
                tags={"team": "data"},
                keep_container_group=True,
                timeout_seconds=3600,
            ),
        ]


class TestAzureContainerInstance(JobSuite):
    lines = ("one", "two")

    @pytest.fixture
    def good(self, new_job: NewJob) -> AzureContainerInstance:
        return new_job("print('one'); print('two')")

    @pytest.fixture
    def bad(self, new_job: NewJob) -> AzureContainerInstance:
        return new_job("raise SystemExit(3)", secret_env={"TOKEN": uuid4().hex})

    @pytest.fixture
    def long(self, new_job: NewJob) -> AzureContainerInstance:
        return new_job("import time; time.sleep(600)")

    @pytest.fixture
    def alive(self, container_instances: ContainerInstances) -> Callable[[str], bool]:
        return container_instances.is_alive


class TestLogin(CredentialsSuite):
    @pytest.fixture
    def good(self, login: AzureBlobStorageCredentials) -> Credentials:
        return login

    @pytest.fixture
    def refused(self, emulated: Azurite) -> Credentials:
        return AzureBlobStorageCredentials(account_url=emulated.url, account_key=WRONG_KEY)

    @pytest.fixture
    def unreachable(self) -> Credentials:
        return AzureBlobStorageCredentials(
            account_url=f"http://127.0.0.1:{reserve_closed_port()}/{ACCOUNT}",
            account_key=WRONG_KEY,
            client_options={"retry_total": 0},
        )


class TestContainer(ObjectStoreSuite):
    conditional_writes = keeps_metadata = versions = True
    gaps: ClassVar[Mapping[str, EmulatorGap]] = GAPS
    presigns = True
    presigned_headers: ClassVar[Mapping[str, str]] = {"x-ms-blob-type": "BlockBlob"}
    # A page has 5,000, which takes minutes; `test_pages_of_a_listing_come_in_order` has small ones.
    count: ClassVar[int] = 10_000 if "--soak" in sys.argv else 300

    @pytest.fixture
    def store(self, container: AzureBlobStorageContainer) -> AzureBlobStorageContainer:
        """The container as it is without the extra `fast`."""
        return container.model_copy(update={"use_obstore": False})

    @pytest.fixture
    def outside(
        self, store: AzureBlobStorageContainer, live: bool
    ) -> AzureBlobStorageContainer | None:
        if live:
            return None  # a container of yours is not empty, and nothing is left in it
        return store.model_copy(update={"base_folder": ""})


@pytest.mark.check
class TestContainerFast(TestContainer):
    """The same with obstore, which moves small objects."""

    @pytest.fixture
    def store(self, container: AzureBlobStorageContainer) -> AzureBlobStorageContainer:
        return container.model_copy(update={"use_obstore": True})


class TestTasks(TaskSuite):
    plugin = "azure"

    @pytest.fixture
    def examples(
        self, container: AzureBlobStorageContainer, key_vault: AzureKeyVault
    ) -> Mapping[str, Example]:
        def write() -> str:
            return container.write_path(f"raw/{uuid4().hex}", b"name,country\n")

        def kept() -> Arguments:
            name = f"test-{uuid4().hex}"
            key_vault.write(name, uuid4().hex)
            return {"secret_name": name, "key_vault": key_vault}

        return {
            "blob_storage_download": lambda: {"container": container, "blob": write()},
            "blob_storage_list": lambda: {"container": container, "name_starts_with": write()},
            "blob_storage_upload": lambda: {
                "data": b"1",
                "container": container,
                "blob": uuid4().hex,
            },
            "key_vault_delete_secret": kept,
            "key_vault_read_secret": kept,
            "key_vault_write_secret": lambda: {**kept(), "secret_value": SecretStr(uuid4().hex)},
        }


def test_what_it_needs_besides_flowstone_is_heavy() -> None:
    assert "pydantic" not in find_sdks("flowstone-azure")
