"""A SAS as a login: of one container, with less rights, and out of its time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from tests.services.azure import ACCOUNT, KEY

from flowstone.errors import AccessDenied, CredentialsError
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials
from flowstone_azure.sas import read_sas
from flowstone_testing import EmulatorGap, ObjectStoreSuite

from .logins import container_sas, in_hours
from .versioned import GAPS

if TYPE_CHECKING:
    from tests.services.azure import Azurite

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def log_in(
    url: str, container: str, *, begins: float = -1, ends: float = 1, rights: str = "rl"
) -> AzureBlobStorageContainer:
    sas = generate_container_sas(
        ACCOUNT,
        container,
        KEY,
        permission=ContainerSasPermissions.from_string(rights),
        start=in_hours(begins),
        expiry=in_hours(ends),
    )
    login = AzureBlobStorageCredentials(account_url=url, sas_token=sas)
    return AzureBlobStorageContainer(container_name=container, credentials=login)


@pytest.mark.check
class TestContainerBySas(ObjectStoreSuite):
    """Every method works with a SAS of the container alone, but for presigned URLs."""

    conditional_writes = keeps_metadata = versions = True
    gaps: ClassVar[Mapping[str, EmulatorGap]] = GAPS
    count: ClassVar[int] = 20
    big_bytes: ClassVar[int] = 20 * 1024 * 1024

    @pytest.fixture
    def store(self, emulated: Azurite, container_name: str) -> AzureBlobStorageContainer:
        login = AzureBlobStorageCredentials(**container_sas(emulated.url, container_name))
        assert login.check().ok
        return AzureBlobStorageContainer(
            container_name=container_name, credentials=login, base_folder="raw"
        )

    @pytest.fixture
    def outside(self, store: AzureBlobStorageContainer) -> AzureBlobStorageContainer:
        return store.model_copy(update={"base_folder": None})


@pytest.mark.parametrize(
    ("begins", "ends", "says"),
    [(-2, -1, "the SAS expired at 20"), (1, 2, "the SAS is not valid before 20")],
)
def test_a_sas_out_of_its_time_says_so(
    emulated: Azurite, container_name: str, begins: float, ends: float, says: str
) -> None:
    store = log_in(emulated.url, container_name, begins=begins, ends=ends, rights="rwdl")
    check = store.credentials.check()
    assert not check.ok
    assert says in check.reason
    for use in (
        lambda: store.write_path("a", b"1"),
        lambda: store.read_path("a"),
        lambda: store.exists("a"),
        lambda: list(store.list_objects()),
        lambda: store.delete_object("a"),
        lambda: store.make_provider().delete([str(number) for number in range(20)]),
    ):
        with pytest.raises(CredentialsError) as caught:
            use()
        told = str(caught.value)
        assert says in told
        assert "a SAS of a container in 'devstoreaccount1' with permissions 'rwdl'" in told
        assert f"{emulated.url}/{container_name}" in told
        assert "Create a new SAS" in told


def test_a_sas_opens_its_own_container_only(emulated: Azurite, container_name: str) -> None:
    store = log_in(emulated.url, container_name)
    other = store.model_copy(update={"container_name": "another"})
    with pytest.raises((AccessDenied, CredentialsError), match="a SAS of a container"):
        other.read_path("a")


def test_a_sas_without_the_right_says_which_it_has(emulated: Azurite, container_name: str) -> None:
    store = log_in(emulated.url, container_name, rights="rl")
    assert store.credentials.check().ok
    with pytest.raises(AccessDenied, match=r"with permissions 'rl'.* a SAS with this permission"):
        store.write_path("a", b"1")


@pytest.mark.parametrize(
    ("token", "reach", "problem"),
    [
        ("sv=1&sr=c&sp=r&se=2026-07-01&sig=x", "a container", ""),
        ("sv=1&sr=b&se=2026-05-01T00:00:00Z&sig=x", "a blob", "expired at 2026-05-01T00:00:00Z"),
        (
            "sv=1&sr=d&st=2026-07-01T10:00Z&se=2027-01-01&sig=x",
            "a directory",
            "not valid before 2026-07",
        ),
        ("sv=1&ss=b&srt=sco&sp=rl&se=2026-05-31&sig=x", "the account", "expired at 2026-05-31"),
        ("sv=1&sr=c&si=policy&sig=x", "a container", ""),
        ("sv=1&sr=c&se=2027-01-01&ske=2026-05-02&sig=x", "a container", "expired at 2026-05-02"),
        ("sv=1&sr=new&se=soon&sig=x", "a part of it", ""),
        ("", "the account", ""),
    ],
)
def test_what_a_sas_says_is_read(token: str, reach: str, problem: str) -> None:
    sas = read_sas(token)
    assert sas.reach == reach
    found = sas.find_problem(NOW)
    assert problem in found
    assert bool(problem) == bool(found)
