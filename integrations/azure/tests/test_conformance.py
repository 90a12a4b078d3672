"""The standard tests, on Azure's blocks and plugin."""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

import pytest
from tests.services.azure import ACCOUNT

from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials
from flowstone_testing import (
    BlockSuite,
    CredentialsSuite,
    EmulatorGap,
    Example,
    ObjectStoreSuite,
    PluginSuite,
    TaskSuite,
    reserve_closed_port,
)
from flowstone_testing.check.outside import find_sdks

from .versioned import GAPS

if TYPE_CHECKING:
    from tests.services.azure import Azurite

    from flowstone.blocks import Credentials

WRONG_KEY = base64.b64encode(b"a key of another account").decode()


class TestPlugin(PluginSuite):
    plugin = "azure"
    package = "flowstone_azure"
    sdks = ("azure.core", "azure.identity", "azure.storage", "msal", "obstore", "requests")


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
    def examples(self, container: AzureBlobStorageContainer) -> Mapping[str, Example]:
        def write() -> str:
            return container.write_path(f"raw/{uuid4().hex}", b"name,country\n")

        return {
            "blob_storage_download": lambda: {"container": container, "blob": write()},
            "blob_storage_list": lambda: {"container": container, "name_starts_with": write()},
            "blob_storage_upload": lambda: {
                "data": b"1",
                "container": container,
                "blob": uuid4().hex,
            },
        }


def test_what_it_needs_besides_flowstone_is_heavy() -> None:
    assert "pydantic" not in find_sdks("flowstone-azure")
