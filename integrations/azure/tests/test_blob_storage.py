"""What is Azure's own about a container: blocks, types, names, tasks."""

from __future__ import annotations

from hashlib import md5
from io import BytesIO
from pathlib import Path

import pytest

from flowstone import Task, flow
from flowstone.errors import BucketMissing, PathInvalid, StorageError
from flowstone_azure import (
    AzureBlobStorageContainer,
    AzureBlobStorageCredentials,
    ablob_storage_download,
    blob_storage_download,
    blob_storage_list,
    blob_storage_upload,
)
from flowstone_azure.transfers import BLOCK_BYTES, PART_BYTES, upload_blocks

LARGE = bytes(range(256)) * (PART_BYTES // 256 + 5)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("a.csv", "text/csv"), ("a.csv.gz", "application/octet-stream"), ("a", None)],
)
@pytest.mark.parametrize("content", [b"1", LARGE], ids=["small", "large"])
def test_the_name_says_the_type(
    container: AzureBlobStorageContainer, path: str, kind: str | None, content: bytes
) -> None:
    container.write_path(path, content)
    assert container.read_path(path) == content
    provider = container.make_provider()
    found = provider.client(provider.make_key(path)).get_blob_properties()
    assert found.content_settings.content_type == (kind or "application/octet-stream")


def test_a_large_object_is_downloaded_where_the_file_stands(
    container: AzureBlobStorageContainer,
) -> None:
    container.write_path("a", LARGE)
    target = BytesIO(b"header|")
    target.seek(7)
    container.download_object_to_file_object("a", target)
    assert target.tell() == 7 + len(LARGE)
    assert target.getvalue() == b"header|" + LARGE


def test_what_is_changed_while_it_is_read_is_not_mixed(
    container: AzureBlobStorageContainer, tmp_path: Path
) -> None:
    container.write_path("a", LARGE)
    with container.open_read("a") as reader:
        reader.read(10)
        container.write_path("a", LARGE[::-1])
        with pytest.raises(StorageError, match="was changed"):
            reader.read()


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, 3 * BLOCK_BYTES, 3 * BLOCK_BYTES + 1])
def test_blocks_are_put_together_in_order(container: AzureBlobStorageContainer, size: int) -> None:
    content = (LARGE * 2)[:size]
    client = container.make_provider().client(f"{container.base_folder}blocks".strip("/"))
    for known in (size, None):
        upload_blocks(client, BytesIO(content), known, {})
        assert client.download_blob().readall() == content


@pytest.mark.parametrize("page", [1, 2, 3, None])
def test_pages_of_a_listing_come_in_order(
    container: AzureBlobStorageContainer, page: int | None
) -> None:
    paths = ["a", "b/1", "b/2", "b.txt", "\u00e4", "z"]
    for path in paths:
        container.write_path(path, b"")
    provider = container.make_provider()
    provider.page_objects = page
    prefix = provider.make_prefix()
    assert [info.path for info in provider.list(prefix)] == [prefix + p for p in sorted(paths)]


def test_a_sources_end_comes_through(container: AzureBlobStorageContainer) -> None:
    class Interrupted(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        container.make_provider().put("a", Interrupted(), None)


@pytest.mark.parametrize("name", ["a\\b", "a/./b", "a/../b", "/a", "a.", "a./b", "a\x01", "a\x85"])
def test_names_that_azure_takes_for_others_are_refused(
    container: AzureBlobStorageContainer, name: str
) -> None:
    provider = container.make_provider()
    for use in (
        lambda: provider.head(name),
        lambda: provider.put(name, BytesIO(b"1"), 1),
        lambda: provider.delete([name, "b"]),
        lambda: provider.presign(name, "GET", 60),
    ):
        with pytest.raises(PathInvalid):
            use()


@pytest.mark.parametrize("name", ["raw/2026", "az://raw/2026", "https://x/raw", "a_b"])
def test_a_container_is_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="base_folder"):
        AzureBlobStorageContainer(container_name=name)


def test_a_container_that_is_missing_says_so(login: AzureBlobStorageCredentials) -> None:
    nothing = AzureBlobStorageContainer(container_name="nothing-here", credentials=login)
    for use in (
        lambda: nothing.write_path("a", b"1"),
        lambda: nothing.read_path("a"),
        lambda: nothing.exists("a"),
        lambda: list(nothing.list_objects()),
    ):
        with pytest.raises(BucketMissing, match="nothing-here"):
            use()


def test_a_copy_goes_to_a_container_by_its_name(container: AzureBlobStorageContainer) -> None:
    """As users name it: the other container has the same login, and no folder."""
    there = container.find_bucket(container.container_name)
    assert (there.credentials, there.base_folder) == (container.credentials, None)
    container.write_path("a.txt", b"1")
    key = f"{(container.base_folder or '').strip('/')}/other/a.txt"
    assert container.copy_object("a.txt", key, to_bucket=container.container_name) == key
    assert container.move_object("a.txt", f"{key}.2", to_bucket=container.container_name)
    assert not container.exists("a.txt")
    assert container.read_path("other/a.txt") == there.read_path(f"{key}.2") == b"1"


def test_a_container_by_name_and_whole_names(
    login: AzureBlobStorageCredentials, container: AzureBlobStorageContainer
) -> None:
    folder = container.make_provider().make_prefix()

    @flow
    def there_and_back() -> bytes:
        blob = blob_storage_upload("text", container.container_name, login, f"{folder}a//b.txt")
        assert blob == f"{folder}a//b.txt"
        return blob_storage_download(container.container_name, blob, login)

    assert there_and_back() == b"text"
    [found] = blob_storage_list(container, include="metadata")
    assert (found.name, found.size) == ("a//b.txt", 4)
    assert container.read_path(found.name) == b"text"
    [whole] = blob_storage_list(container.container_name, login, name_starts_with=folder)
    assert whole.name == f"{folder}a//b.txt"


@pytest.mark.parametrize("content", [b"2", LARGE], ids=["small", "large"])
def test_an_upload_overwrites_only_when_it_is_told_so(
    container: AzureBlobStorageContainer, content: bytes
) -> None:
    assert blob_storage_upload(b"1", container, blob="a") == "a"
    with pytest.raises(StorageError, match="this object already exists"):
        blob_storage_upload(content, container, blob="a")
    assert container.read_path("a") == b"1"
    blob_storage_upload(content, container, blob="a", overwrite=True)
    assert container.read_path("a") == content


def test_a_blob_without_a_name_gets_one(container: AzureBlobStorageContainer) -> None:
    assert len(blob_storage_upload(b"1", container)) == 32
    assert isinstance(ablob_storage_download, Task)
    assert ablob_storage_download.isasync


def test_a_listing_has_the_md5_of_what_was_put_at_once(
    container: AzureBlobStorageContainer,
) -> None:
    content = b"name,country\n"
    container.write_path("a.csv", content)
    [info] = container.list_objects()
    assert info.md5 == md5(content, usedforsecurity=False).digest()
