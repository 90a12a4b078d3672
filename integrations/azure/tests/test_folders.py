"""Folders that are objects, in accounts with a hierarchical namespace, and as Hadoop marks them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from azure.storage.blob import BlobPrefix, BlobProperties
from hypothesis import given
from hypothesis import strategies as st
from tests.services.azure import KEY

from flowstone.blocks.object_stores import ExactKey, ObjectInfo
from flowstone.errors import ObjectMissing, PathInvalid, StorageError
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials
from flowstone_azure.blob_storage_provider import AzureBlobStorageProvider
from flowstone_azure.folders import FolderKey, make_folder, put_folders_last
from flowstone_azure.listings import merge_level

from .lake import Lake, list_above, serve_lake

FILES = ["a/b/c.txt", "a/b/d/e.txt", "a/b-f/g.txt", "a/b.txt", "h.txt", "a/i/j/k/l.txt"]


@pytest.fixture
def lake() -> Iterator[Lake]:
    with serve_lake() as lake:
        yield lake


@pytest.fixture
def store(lake: Lake) -> AzureBlobStorageContainer:
    login = AzureBlobStorageCredentials(account_url=lake.url, account_key=KEY)
    return AzureBlobStorageContainer(container_name="lake", credentials=login)


@pytest.fixture
def filled(store: AzureBlobStorageContainer) -> AzureBlobStorageContainer:
    for path in FILES:
        store.write_path(path, path.encode())
    return store


def names(store: AzureBlobStorageContainer, folder: str = "") -> list[str]:
    return [info.path for info in store.list_objects(folder)]


def test_directories_are_listed_as_folders_and_no_objects(
    filled: AzureBlobStorageContainer, lake: Lake
) -> None:
    assert names(filled) == sorted(FILES)
    assert names(filled, "a/b") == ["a/b/c.txt", "a/b/d/e.txt"]
    infos = list(filled.make_provider().list(""))
    folders = {info.path for info in infos if info.is_folder()}
    assert folders == {f"{name}/" for name in lake.directories}


@pytest.mark.parametrize("page", [1, 2, 5000])
def test_a_level_has_its_directories(
    filled: AzureBlobStorageContainer, lake: Lake, page: int
) -> None:
    lake.page = page
    lake.directories.add("a/empty")

    def level(folder: str) -> list[str]:
        return [info.path for info in filled.list_objects(folder, delimiter="/")]

    assert level("") == ["a/", "h.txt"]
    assert level("a") == ["a/b-f/", "a/b.txt", "a/b/", "a/empty/", "a/i/"]
    assert level("a/b") == ["a/b/c.txt", "a/b/d/"]


def test_a_directory_is_no_object(filled: AzureBlobStorageContainer) -> None:
    assert not filled.exists("a/b")
    for use in (
        lambda: filled.read_path("a/b"),
        lambda: filled.object_info("a/b"),
        lambda: filled.copy_object("a/b", "copy"),
        lambda: list(filled.stream("a/b")),
        lambda: filled.read_range("a/b", 0, 5),
        lambda: filled.read_range("a/b", 3, 5),
    ):
        with pytest.raises(ObjectMissing, match=r"a/b: .*it is a folder.*list_objects"):
            use()
    filled.delete_object("a/b")
    assert names(filled) == sorted(FILES)


@pytest.mark.parametrize("page", [1, 2, 5000])
def test_a_folder_is_deleted_with_the_directories_in_it(
    filled: AzureBlobStorageContainer, lake: Lake, page: int
) -> None:
    lake.page = page
    assert filled.delete_folder("a") == 5
    assert names(filled) == ["h.txt"]
    assert lake.directories == {"a"}
    assert filled.delete_folder("") == 1
    assert (lake.files, lake.directories) == ({}, set())


def test_many_directories_are_deleted_batch_by_batch(
    store: AzureBlobStorageContainer, lake: Lake
) -> None:
    for number in range(500):
        lake.write(f"a/{number % 7}/{number}/b.txt", b"1")
    assert store.delete_folder("a") == 500
    assert lake.directories == {"a"}
    # It takes no batches, and is not asked again.
    assert [method for method, _ in lake.asked].count("POST") <= 4
    assert not store.credentials.find_login().takes_batches


def test_a_folder_comes_down_with_its_empty_directories(
    filled: AzureBlobStorageContainer, lake: Lake, tmp_path: Path
) -> None:
    lake.directories.add("a/empty")
    filled.get_directory("a", tmp_path)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    files = {path.removeprefix("a/") for path in FILES if path.startswith("a/")}
    assert found == {*files, "b", "b/d", "b-f", "i", "i/j", "i/j/k", "empty"}


@pytest.mark.parametrize("path", ["a/b", "h.txt/m.txt", "a/b.txt/n/o.txt"])
def test_a_name_is_no_file_and_folder_at_once(filled: AzureBlobStorageContainer, path: str) -> None:
    with pytest.raises(StorageError, match=r"can't be a file and a folder at once.*another name"):
        filled.write_path(path, b"1")
    assert names(filled) == sorted(FILES)


@pytest.mark.parametrize("name", ["a//b", "a/b//c.txt", "a/"])
def test_slashes_that_azure_drops_are_refused(
    store: AzureBlobStorageContainer, lake: Lake, name: str
) -> None:
    for _ in range(3):
        with pytest.raises(PathInvalid, match="hierarchical namespace ignore"):
            store.make_provider().put(name, BytesIO(b"1"), 1)
    assert lake.asked == [("GET", "")]  # is it one? once


def mark(provider: AzureBlobStorageProvider, name: str) -> None:
    """Mark a folder as Hadoop does in an account without a hierarchical namespace."""
    provider.client(name).upload_blob(b"", metadata={"hdi_isFolder": "true"})


def test_folders_that_hadoop_marks_are_none_of_the_objects(
    container: AzureBlobStorageContainer, tmp_path: Path
) -> None:
    provider = container.make_provider()
    for name in ("a", "a/b", "a/empty"):
        mark(provider, provider.make_key(name))
    container.write_path("a/b/c.txt", b"1")
    container.write_path("a.txt", b"1")
    assert names(container) == ["a.txt", "a/b/c.txt"]
    assert [info.path for info in container.list_objects(delimiter="/")] == ["a.txt", "a/"]
    levels = [info.path for info in container.list_objects("a", delimiter="/")]
    assert levels == ["a/b/", "a/empty/"]
    container.delete_object("a.txt")
    assert not container.exists("a")
    with pytest.raises(ObjectMissing, match="it is a folder"):
        container.download_object_to_path("a", tmp_path / "a")
    container.get_directory("", tmp_path)
    assert (tmp_path / "a/empty").is_dir()
    assert container.delete_folder("") == 1
    blobs = container.credentials.get_container_client(container.container_name)
    assert not list(blobs.list_blob_names(name_starts_with=provider.make_prefix()))


def test_a_flat_account_has_names_with_empty_parts(container: AzureBlobStorageContainer) -> None:
    for name in ("a//b", "a/"):
        container.write_path(ExactKey(name), b"1")
        assert container.read_path(ExactKey(name)) == b"1"


parts = st.text(st.sampled_from("ab-.0\u00e4\U0001f680"), min_size=1, max_size=3)
trees = st.sets(st.lists(parts, min_size=1, max_size=4).map("/".join), max_size=12)


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("order", [str, lambda name: name.split("/")], ids=["names", "parts"])
@given(files=trees)
def test_a_folder_comes_after_what_is_in_it(
    order: Callable[[str], str | list[str]], files: set[str]
) -> None:
    directories = {above for file in files for above in list_above(file)}
    infos = [
        make_folder(name, NOW) if name in directories else ObjectInfo(name, 1, NOW)
        for name in sorted(files | directories, key=order)
    ]
    found = list(put_folders_last(infos))
    assert [info for info in found if info.size] == [info for info in infos if info.size]
    assert {info.path for info in found} == {info.path for info in infos}
    for place, info in enumerate(found):
        if isinstance(info.path, FolderKey):
            after = [other.path for other in found[place + 1 :]]
            assert not [path for path in after if path.startswith(info.path)]


@pytest.mark.parametrize("order", [str, lambda name: name.rstrip("/")], ids=["keys", "names"])
@given(files=trees, size=st.integers(1, 4), marks=st.booleans())
def test_a_level_is_ordered_and_has_each_folder_once(
    order: Callable[[str], str], files: set[str], size: int, marks: bool
) -> None:
    tops = {file.partition("/")[0] for file in files if "/" in file}
    objects = {file for file in files if "/" not in file} - tops
    listed = sorted([*objects, *(f"{name}/" for name in tops)], key=order)
    items: list[BlobProperties | BlobPrefix] = [
        BlobPrefix(None, prefix=name) if name.endswith("/") else make_blob(name) for name in listed
    ]
    if marks:
        items = sorted([*items, *map(make_mark, tops)], key=lambda item: order(item.name))
    pages = [items[start : start + size] for start in range(0, len(items), size)]
    found = [info.path for info in merge_level(pages)]
    assert found == sorted([*objects, *(f"{name}/" for name in tops)])


def make_blob(name: str, **metadata: str) -> BlobProperties:
    found = BlobProperties(name=name, metadata=metadata)
    found.size, found.last_modified = 1, NOW
    return found


def make_mark(name: str) -> BlobProperties:
    return make_blob(name, hdi_isFolder="true")
