"""Old versions of objects, in an account that keeps them, and in one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
from tests.services.azure import KEY

from flowstone.errors import ObjectMissing, StorageError
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials

from .versioned import Versioned, serve_versioned

CONTENTS = (b"one", b"two", b"three")
NEVER = "2020-01-01T00:00:00.0000000Z"


@pytest.fixture
def account() -> Iterator[Versioned]:
    with serve_versioned() as account:
        yield account


@pytest.fixture
def store(account: Versioned) -> AzureBlobStorageContainer:
    login = AzureBlobStorageCredentials(account_url=account.url, account_key=KEY)
    return AzureBlobStorageContainer(container_name="kept", credentials=login, base_folder="f")


@pytest.fixture
def filled(store: AzureBlobStorageContainer) -> AzureBlobStorageContainer:
    for content in CONTENTS:
        store.write_path("a/b", content, metadata={"size": f"{len(content)}"})
        store.write_path("a/b.txt", b"another")
    return store


@pytest.mark.parametrize("page", [1, 2, 5000])
def test_versions_are_listed_and_read(
    filled: AzureBlobStorageContainer, account: Versioned, page: int
) -> None:
    account.page = page
    found = list(filled.versions("a/b"))
    assert [version.path for version in found] == ["a/b"] * 3
    assert [version.size for version in found] == [5, 3, 3]
    assert [version.is_current for version in found] == [True, False, False]
    assert len({version.etag for version in found}) == 3
    assert found[0].etag == filled.object_info("a/b").etag
    assert found[0].version == filled.object_info("a/b").version
    contents = [filled.read_path("a/b", version=version.version) for version in found]
    assert contents == [b"three", b"two", b"one"]
    assert list(filled.versions("nothing")) == []


def test_no_more_is_listed_than_the_versions_of_one_object(
    filled: AzureBlobStorageContainer, account: Versioned
) -> None:
    for number in range(50):
        filled.write_path(f"a/b{number}", b"1")
    account.page = 4
    account.asked.clear()
    assert len(list(filled.versions("a/b"))) == 3
    [(method, target)] = account.asked
    assert method == "GET"
    assert "include=versions" in target
    assert "prefix=f%2Fa%2Fb" in target


def test_a_version_is_made_the_newest_again(
    filled: AzureBlobStorageContainer, account: Versioned
) -> None:
    newest, _, oldest = filled.versions("a/b")
    filled.restore_version("a/b", oldest.version)
    assert filled.read_path("a/b") == b"one"
    assert dict(filled.object_info("a/b").metadata) == {"size": "3"}
    assert filled.read_path("a/b", version=newest.version) == b"three"
    assert len(list(filled.versions("a/b"))) == 4
    assert [method for method, _ in account.asked].count("PUT") == 7  # Azure copies by itself


@pytest.mark.parametrize("kind", ["account key", "SAS"])
def test_the_source_of_a_restored_version_can_be_read(
    filled: AzureBlobStorageContainer, account: Versioned, kind: str
) -> None:
    if kind == "SAS":
        login = AzureBlobStorageCredentials(account_url=account.url, sas_token="sv=1&sr=c&sig=s")
        filled = filled.model_copy(update={"credentials": login})
    oldest = list(filled.versions("a/b"))[-1]
    filled.restore_version("a/b", oldest.version)
    [source] = account.sources
    path, _, query = source.partition("?")
    signed = {"sv": ["1"], "sr": ["c"], "sig": ["s"]} if kind == "SAS" else {}
    assert path == f"{account.url}/kept/f/a/b"
    assert parse_qs(query) == {"versionid": [oldest.version], **signed}


def test_what_was_deleted_is_restored(filled: AzureBlobStorageContainer) -> None:
    middle = list(filled.versions("a/b"))[1]
    filled.delete_object("a/b")
    with pytest.raises(ObjectMissing):
        filled.read_path("a/b")
    left = list(filled.versions("a/b"))
    assert [version.is_current for version in left] == [False] * 3
    filled.restore_version("a/b", middle.version)
    assert filled.read_path("a/b") == b"two"


@pytest.mark.parametrize("version", [NEVER, "1234", ""])
def test_a_version_that_is_not_there_says_so(
    filled: AzureBlobStorageContainer, version: str
) -> None:
    for look in (filled.read_path, filled.restore_version):
        with pytest.raises(ObjectMissing, match=rf"a/b: there is no version '{version}'.*versions"):
            look("a/b", version=version)


def test_a_version_that_was_deleted_by_itself_is_not_listed(
    filled: AzureBlobStorageContainer, account: Versioned
) -> None:
    account.objects["f/a/b"][0].is_deleted = True
    assert [version.size for version in filled.versions("a/b")] == [5, 3]


def test_objects_that_were_written_without_versioning_have_no_version(
    store: AzureBlobStorageContainer, account: Versioned
) -> None:
    store.write_path("a", b"kept")
    account.is_on = False
    store.write_path("a", b"not kept")
    [found] = store.versions("a")
    assert not found.is_current
    assert store.read_path("a", version=found.version) == b"kept"
    store.write_path("b", b"not kept")
    with pytest.raises(StorageError, match="old versions are not kept"):
        list(store.versions("b"))


def test_a_service_without_versions_says_so(container: AzureBlobStorageContainer) -> None:
    container.write_path("a", b"1")
    for use in (
        lambda: list(container.versions("a")),
        lambda: container.read_path("a", version=NEVER),
        lambda: container.restore_version("a", NEVER),
    ):
        with pytest.raises(StorageError):
            use()
    assert container.read_path("a") == b"1"
