"""Many objects are deleted in batches where Azure allows it, and one by one where it does not."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from tests.services.azure import ACCOUNT, KEY

from flowstone.errors import AccessDenied, BucketMissing, StorageError
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials

from .logins import Fields, Place, by_certificate, container_sas, in_hours

if TYPE_CHECKING:
    from tests.services.azure import Azurite

ODD = ["a b", "c+d", "e%20f", "g#h", "i?j", "k&l=m", "n'o", "\u00e4", "\U0001f680", "p//q", "r/"]


def with_login(container: AzureBlobStorageContainer, **fields: object) -> AzureBlobStorageContainer:
    """Return the same container with another login."""
    url = container.credentials.find_login().values.url
    # Azurite refuses a batch by an error of its own, which is tried again.
    patience = {"retry_total": 0}
    every = {"account_url": url, "client_options": patience, **fields}
    login = AzureBlobStorageCredentials.model_validate(every)
    return container.model_copy(update={"credentials": login})


def fill(container: AzureBlobStorageContainer, count: int) -> list[str]:
    """Write small objects; return their keys, odd ones first."""
    provider = container.make_provider()
    names = [*ODD, *map(str, range(count - len(ODD)))]
    keys = [provider.make_prefix() + name for name in names]
    blobs = container.credentials.get_container_client(container.container_name)
    for key in keys:
        blobs.upload_blob(key, b"1")
    return keys


@pytest.fixture
def requests(caplog: pytest.LogCaptureFixture) -> Callable[[], Counter[str]]:
    """Return a function that counts the methods of the requests so far."""
    caplog.set_level(logging.DEBUG, "urllib3")

    def count() -> Counter[str]:
        lines = [each.getMessage() for each in caplog.records if each.name.startswith("urllib3")]
        return Counter(line.split('"')[1].split()[0] for line in lines if '"' in line)

    return count


def test_objects_are_deleted_in_few_requests(
    container: AzureBlobStorageContainer, requests: Callable[[], Counter[str]]
) -> None:
    fill(container, 300)
    container.write_path("beside", b"1")
    before = requests()
    assert container.delete_folder("") == 301
    made = requests() - before
    assert (made["POST"], made["DELETE"]) == (2, 0)
    assert not list(container.list_objects())


def test_what_is_gone_already_is_no_error(container: AzureBlobStorageContainer) -> None:
    keys = fill(container, 40)
    provider = container.make_provider()
    provider.delete([f"{key}-that-never-was" for key in keys])
    provider.delete([*keys, *keys])
    assert not list(container.list_objects())


@pytest.mark.parametrize("by", ["sas", "token"])
def test_a_narrow_login_sends_batches(
    by: str,
    place: Place,
    emulated: Azurite,
    new_container: Callable[[Azurite], str],
    requests: Callable[[], Counter[str]],
) -> None:
    fields: Fields = by_certificate(place)
    if by == "sas":
        fields = container_sas(emulated.url, name := new_container(emulated))
    else:
        name = new_container(place.azurite)
    login = AzureBlobStorageCredentials(**fields)
    container = AzureBlobStorageContainer(container_name=name, credentials=login)
    keys = fill(container, 40)
    before = requests()
    container.make_provider().delete(keys)
    assert (requests() - before)["DELETE"] == 0
    assert login.find_login().takes_batches
    assert not list(container.list_objects())


def test_who_may_send_no_batch_deletes_one_by_one(
    emulated: Azurite, container: AzureBlobStorageContainer
) -> None:
    keys = fill(container, 40)
    rights = AccountSasPermissions(delete=True)
    kinds = ResourceTypes(object=True)
    sas = generate_account_sas(ACCOUNT, KEY, kinds, rights, in_hours(1))
    for part in (keys[:20], keys[20:]):
        with_login(container, sas_token=sas).make_provider().delete(part)
    assert not list(container.list_objects())


def test_what_can_not_be_deleted_says_so_and_the_rest_is_gone(
    container: AzureBlobStorageContainer,
) -> None:
    keys = fill(container, 40)
    provider = container.make_provider()
    provider.client(keys[-1]).create_snapshot()
    with pytest.raises(StorageError, match=r"snapshots"):
        provider.delete(keys)
    assert [info.path for info in provider.list(provider.make_prefix())] == [keys[-1]]
    assert container.credentials.find_login().takes_batches
    provider.client(keys[-1]).delete_blob("include")


def test_who_may_not_delete_learns_it(
    emulated: Azurite, container: AzureBlobStorageContainer
) -> None:
    keys = fill(container, 40)
    sas = generate_account_sas(
        ACCOUNT,
        KEY,
        ResourceTypes(container=True, object=True),
        AccountSasPermissions(read=True, list=True),
        in_hours(1),
    )
    with pytest.raises(AccessDenied, match="a SAS of the account"):
        with_login(container, sas_token=sas).make_provider().delete(keys)


def test_a_container_that_is_missing_says_so(login: AzureBlobStorageCredentials) -> None:
    nothing = AzureBlobStorageContainer(container_name="nothing-here", credentials=login)
    with pytest.raises(BucketMissing, match="nothing-here"):
        nothing.make_provider().delete([f"{number}" for number in range(20)])
