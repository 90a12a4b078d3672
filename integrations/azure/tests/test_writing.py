"""What is Azure's own about conditions, metadata, tiers and ranges."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from io import BytesIO
from uuid import uuid4

import pytest
from tests.services.azure import KEY
from tests.services.web import Handler, serve_web

from flowstone.blocks.object_stores import WriteOptions
from flowstone.errors import (
    AccessDenied,
    BucketMissing,
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    StorageError,
    Unreachable,
)
from flowstone_azure import (
    AzureBlobStorageContainer,
    AzureBlobStorageCredentials,
    blob_storage_upload,
)
from flowstone_azure.transfers import PART_BYTES
from flowstone_testing.objects import MemoryObjects

NEW, MATCHING = WriteOptions(is_new=True), WriteOptions(if_match="0x1")
LARGE = bytes(range(256)) * (PART_BYTES // 256 + 5)


@pytest.fixture
def elsewhere() -> Iterator[MemoryObjects]:
    """A store of another cloud."""
    store = MemoryObjects(place=f"elsewhere-{uuid4().hex}")
    yield store
    store.delete_folder("")


@pytest.mark.parametrize("options", [NEW, MATCHING], ids=["new", "matching"])
@pytest.mark.parametrize("size", [1, None], ids=["small", "blocks"])
def test_a_write_on_a_condition_that_breaks_is_not_tried_again(
    size: int | None, options: WriteOptions
) -> None:
    conditions: list[str | None] = []

    class Breaking(Handler):
        """Takes blocks, and ends the connection where the object is to be written."""

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if "comp=block&" in self.path:
                self.send_response(201)
                self.send_header("x-ms-request-id", "1")
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                conditions.append(self.headers["If-None-Match"] or self.headers["If-Match"])

    with serve_web(Breaking) as server:
        login = AzureBlobStorageCredentials(account_url=f"{server.url}/mydata", account_key=KEY)
        store = AzureBlobStorageContainer(container_name="raw", credentials=login)
        with pytest.raises(Unreachable):
            store.make_provider().write("a", BytesIO(b"1"), size, options)
    assert conditions == ["*" if options.is_new else '"0x1"']


def test_an_upload_writes_over_nothing(container: AzureBlobStorageContainer) -> None:
    blob_storage_upload(b"1", container, blob="a")
    with pytest.raises(ObjectExists, match="a: this object already exists"):
        blob_storage_upload(b"2", container, blob="a")


@pytest.mark.parametrize(
    ("code", "status", "options", "kind"),
    [
        ("BlobAlreadyExists", 409, NEW, ObjectExists),
        ("ConditionNotMet", 412, NEW, ObjectExists),
        ("", 412, NEW, ObjectExists),
        ("ConditionNotMet", 412, MATCHING, ObjectChanged),
        ("BlobNotFound", 404, MATCHING, ObjectChanged),
        ("LeaseIdMissing", 412, MATCHING, AccessDenied),
        ("InvalidBlobType", 409, NEW, StorageError),
        ("ContainerNotFound", 404, MATCHING, BucketMissing),
        ("BlobNotFound", 404, WriteOptions(), ObjectMissing),
    ],
)
def test_only_a_condition_that_does_not_hold_says_so(
    code: str, status: int, options: WriteOptions, kind: type[StorageError]
) -> None:
    class Refusing(Handler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            if code:
                self.send_header("x-ms-error-code", code)
            self.send_header("x-ms-request-id", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serve_web(Refusing) as server:
        login = AzureBlobStorageCredentials(account_url=f"{server.url}/mydata", account_key=KEY)
        store = AzureBlobStorageContainer(container_name="raw", credentials=login)
        with pytest.raises(StorageError) as caught:
            store.make_provider().write("a", BytesIO(b"1"), 1, options)
    assert type(caught.value) is kind


@pytest.mark.parametrize("content", [b"2", LARGE], ids=["small", "large"])
def test_names_that_azure_can_not_have_get_underscores(
    container: AzureBlobStorageContainer, elsewhere: MemoryObjects, content: bytes
) -> None:
    metadata = {"team-name": "data", "x.y z": "1", "1st": "2", "f\u00fcr": "3", "run_id": "4"}
    options = WriteOptions("text/csv", metadata)
    elsewhere.make_provider().write("a", BytesIO(content), None, options)
    elsewhere.copy_object("a", "b", container)
    found = container.object_info("b")
    assert found.content_type == "text/csv"
    expected = {"team_name": "data", "x_y_z": "1", "_1st": "2", "f_r": "3", "run_id": "4"}
    assert dict(found.metadata) == expected
    [listed] = container.list_objects()
    assert (listed.content_type, dict(listed.metadata)) == ("text/csv", expected)


def test_a_value_that_no_header_can_have_is_refused(
    container: AzureBlobStorageContainer, elsewhere: MemoryObjects
) -> None:
    options = WriteOptions(metadata={"owner": "Zo\u00eb"})
    elsewhere.make_provider().write("a", BytesIO(b"1"), 1, options)
    with pytest.raises(StorageError, match=r"metadata value of 'owner'"):
        elsewhere.copy_object("a", "b", container)
    assert not container.exists("b")


def test_a_tier_that_was_chosen_is_the_storage_class(container: AzureBlobStorageContainer) -> None:
    container.write_path("a", b"1")
    assert container.object_info("a").storage_class is None
    provider = container.make_provider()
    provider.client(provider.make_key("a")).set_standard_blob_tier("Cool")
    assert container.object_info("a").storage_class == "Cool"
    [listed] = container.list_objects()
    assert listed.storage_class == "Cool"


@pytest.fixture
def requests(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """Return a function that counts the requests so far."""
    caplog.set_level(logging.DEBUG, "urllib3")

    def count() -> int:
        lines = [each.getMessage() for each in caplog.records if each.name.startswith("urllib3")]
        return sum('"' in line for line in lines)

    return count


@pytest.mark.parametrize(
    ("offset", "length", "made"), [(0, 5, 1), (3, 100, 1), (20, 1, 2), (0, 4 * 1024 * 1024, 1)]
)
def test_a_range_is_one_request(
    container: AzureBlobStorageContainer,
    requests: Callable[[], int],
    offset: int,
    length: int,
    made: int,
) -> None:
    container.write_path("a", b"0123456789")
    before = requests()
    assert container.read_range("a", offset, length) == b"0123456789"[offset : offset + length]
    assert requests() - before == made


def test_a_large_range_comes_whole(container: AzureBlobStorageContainer) -> None:
    container.write_path("a", LARGE)
    assert container.read_range("a", 7, len(LARGE)) == LARGE[7:]
    container.write_path("empty", b"")
    assert container.read_range("empty", 0, 5) == b""
