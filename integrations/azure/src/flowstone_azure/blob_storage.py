"""AzureBlobStorageContainer: a container of Blob Storage as an object store."""

from __future__ import annotations

import mimetypes
import re
from contextlib import AbstractContextManager
from io import BufferedIOBase, BytesIO
from time import sleep
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from flowstone.blocks.object_stores import (
    CHUNK_BYTES,
    ObjectInfo,
    ObjectStore,
    ObjectStoreProvider,
    map_in_threads,
)
from flowstone.errors import ObjectMissing, PathInvalid, StorageError
from flowstone_azure import access, signed_urls
from flowstone_azure.credentials import AzureBlobStorageCredentials
from flowstone_azure.deletions import can_batch, delete_in_batches
from flowstone_azure.errors import read_code, translate_errors
from flowstone_azure.folders import FolderKey, is_marked, make_folder, put_folders_last

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from azure.storage.blob import BlobClient, StorageStreamDownloader

    from flowstone.blocks.object_stores.provider import Tool
    from flowstone.records.access import StoreAccess
    from flowstone_azure.logins import BlobLogin

COPY_POLL_SECONDS = 0.5
#: What the SDK or the service takes for another name: `\` is `/`, `a/./b` is `a/b`, `a.` is `a`.
_ALTERED = re.compile(r"\\|(?:^|/)\.{1,2}(?:/|$)|^/|\.$|\./")
#: What no name may have: control characters, and what is no character.
_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


class AzureBlobStorageContainer(ObjectStore):
    """A container of Azure's Blob Storage, and a folder in it.

    Large objects go up in blocks and come down in ranges, several at a time, with less than 100 MB
    in memory.
    """

    _block_type_name: ClassVar[str | None] = "Azure Blob Storage Container"
    _description: ClassVar[str | None] = "A container of Azure's Blob Storage."
    _code_example: ClassVar[str | None] = (
        'AzureBlobStorageContainer(container_name="raw", base_folder="2026").save("raw")\n'
        'AzureBlobStorageContainer.load("raw").write_path("a.txt", b"hello")'
    )

    container_name: str = Field(min_length=1, description="The container's name.")
    credentials: AzureBlobStorageCredentials = Field(
        default_factory=AzureBlobStorageCredentials,
        description="The login; by default, what the environment says.",
    )
    base_folder: str | None = Field(default=None, description="The folder that all paths are in.")

    @field_validator("container_name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        name = value.strip().removeprefix("az://").rstrip("/")
        if not re.fullmatch(r"[A-Za-z0-9$-]+", name):
            raise ValueError("it is the container's name alone; the rest belongs to base_folder")
        return name

    @classmethod
    def parse_uri(cls, uri: str) -> dict[str, Any]:
        parts = urlsplit(uri)
        container, at, host = parts.netloc.partition("@")
        if not container:
            remedy = (
                "Write az://container/folder or abfss://container@account.dfs.core.windows.net."
            )
            raise PathInvalid(uri, "it names no container", remedy)
        folder = uri.partition(parts.netloc)[2][1:]
        found: dict[str, Any] = {"container_name": container, "base_folder": folder}
        if at:
            url = f"https://{host.replace('.dfs.', '.blob.')}"
            found["credentials"] = AzureBlobStorageCredentials(account_url=url)
        return found

    def make_provider(self) -> AzureBlobStorageProvider:
        return AzureBlobStorageProvider(
            self.container_name, self.credentials, self.base_folder or ""
        )


class AzureBlobStorageProvider(ObjectStoreProvider):
    """The blobs of one container by their whole names.

    Args:
        container: its name.
        credentials: the login.
        folder: that all paths are in.

    Attributes:
        page_objects: objects in one answer to a listing; None for Azure's own, 5,000.
    """

    page_objects: int | None = None

    def __init__(
        self, container: str, credentials: AzureBlobStorageCredentials, folder: str
    ) -> None:
        self.container, self.credentials, self.folder = container, credentials, folder
        self.urls = [f"az://{container}", *_find_urls(container, credentials.account_url)]

    @property
    def where(self) -> str:
        return f"{self._login().values.url}/{self.container}"

    def _login(self) -> BlobLogin:
        return self.credentials.find_login()

    def translate_errors(self, key: str | None = None) -> AbstractContextManager[None]:
        """Turn what the SDK raises inside into `StorageError`, `CredentialsError` and their kin."""
        return translate_errors(self.where, self._login(), key)

    def client(self, key: str) -> BlobClient:
        """Return the SDK's client of a blob.

        Raises:
            PathInvalid: the SDK or the service would take it for another name.
        """
        self._check_name(key)
        return self.credentials.client().get_blob_client(self.container, key)

    def _check_name(self, key: str) -> None:
        if _ALTERED.search(key):
            problem = "Azure would take it for another name: a backslash, an outer slash or a '.'"
            raise PathInvalid(key, problem, "Rename it.")
        if _NO_NAME.search(key):
            raise PathInvalid(key, "Azure has no such name: a control character", "Rename it.")
        is_odd = "//" in key or key.endswith("/")
        if is_odd and self._login().is_hierarchical(self.container):
            problem = "an account with a hierarchical namespace drops slashes that name nothing"
            raise PathInvalid(key, problem, "Rename it.")

    def make_access(self) -> StoreAccess:
        folder = self.make_prefix().removesuffix("/")
        return access.make_access(self.container, folder, self._login(), self.make_access)

    def make_storage_options(self, tool: Tool) -> dict[str, Any]:
        return access.make_storage_options(tool, self.where, self._login())

    def make_uri(self, key: str) -> str:
        return f"az://{self.container}/{key}" if key else f"az://{self.container}"

    # -- reading ---------------------------------------------------------------------------------

    def get(self, key: str, offset: int = 0) -> _Body:
        client = self.client(key)
        try:
            with self.translate_errors(key):
                answer = client.download_blob(offset=offset or None, max_concurrency=1)
                self._refuse_folder(key, answer.properties.metadata)
        except StorageError as error:
            if offset and read_code(error.__cause__) == "InvalidRange":
                return _Body(None, 0, self.head(key).etag, lambda: self.translate_errors(key))
            raise
        etag = _strip_quotes(answer.properties.etag)
        return _Body(answer, answer.size, etag, lambda: self.translate_errors(key))

    def download(self, key: str, target: BinaryIO) -> None:
        from flowstone_azure.transfers import PART_BYTES, download_ranges  # with the SDK

        body = self.get(key)
        if body.length > PART_BYTES and target.seekable() and body.etag:
            body.close()
            with self.translate_errors(key):
                download_ranges(self.client(key), body.length, body.etag, target)
            return
        with self.open_reader(key, body) as reader:
            while chunk := reader.read(CHUNK_BYTES):
                target.write(chunk)

    def head(self, key: str) -> ObjectInfo:
        client = self.client(key)
        with self.translate_errors(key):
            found = client.get_blob_properties()
        self._refuse_folder(key, found.metadata)
        return ObjectInfo(key, found.size, found.last_modified, _strip_quotes(found.etag))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return put_folders_last(self._list(prefix))

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self.translate_errors():
            container = self.credentials.get_container_client(self.container)
            pages = container.list_blobs(
                prefix or None, include=["metadata"], results_per_page=self.page_objects
            )
            found = pages.by_page()
        while True:
            with self.translate_errors():
                page = next(found, None)
                items = [] if page is None else list(page)
            if page is None:
                return
            for item in items:
                if is_marked(item.metadata):
                    yield make_folder(item.name, item.last_modified)
                    continue
                etag = _strip_quotes(item.etag)
                yield ObjectInfo(item.name, item.size, item.last_modified, etag)

    def _refuse_folder(self, key: str, metadata: Mapping[str, str] | None) -> None:
        if is_marked(metadata):
            where, remedy = f"{self.where}/{key}", f"`list_objects({key!r})` shows what is in it."
            raise ObjectMissing(where, "there is no such object: it is a folder", remedy)

    # -- writing ---------------------------------------------------------------------------------

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        self._put(key, source, size, overwrite=True)

    def create(self, key: str, content: bytes) -> None:
        """Write an object that is not there yet.

        Raises:
            StorageError: it is there.
        """
        self._put(key, BytesIO(content), len(content), overwrite=False)

    def _put(self, key: str, source: BinaryIO, size: int | None, *, overwrite: bool) -> None:
        # Loaded with the first client, see `logins`.
        from azure.storage.blob import ContentSettings

        from flowstone_azure.transfers import PART_BYTES, upload_blocks  # likewise

        client = self.client(key)
        kind, encoding = mimetypes.guess_type(key)
        settings = ContentSettings(content_type=kind if kind and not encoding else None)
        with self.translate_errors(key):
            if size is not None and size <= PART_BYTES:
                content = source.read()
                client.upload_blob(
                    content, overwrite=overwrite, length=len(content), content_settings=settings
                )
            else:
                upload_blocks(client, source, size, settings, overwrite=overwrite)

    def delete(self, keys: Sequence[str]) -> None:
        self._delete([key for key in keys if not isinstance(key, FolderKey)])
        folders = sorted(key for key in keys if isinstance(key, FolderKey))
        for depth in sorted({folder.depth for folder in folders}, reverse=True):
            self._delete([folder.blob for folder in folders if folder.depth == depth])

    def _delete(self, names: Sequence[str]) -> None:
        if len(names) == 1:
            self._delete_one(names[0])
            return
        for name in names:
            self._check_name(name)
        login, workers = self._login(), self.parallel
        # Few are deleted as soon one by one, all at once.
        if len(names) > workers and can_batch(login):
            container = self.credentials.get_container_client(self.container)
            delete_in_batches(container, names, self._delete_one, workers=workers, login=login)
            return
        for _ in map_in_threads(self._delete_one, names, workers):
            pass

    def _delete_one(self, name: str) -> None:
        client = self.client(name)
        try:
            with self.translate_errors(name):
                client.delete_blob()
        except ObjectMissing:
            return
        except StorageError as error:
            # A folder is no object, and stays as long as something is in it.
            if read_code(error.__cause__) != "DirectoryIsNotEmpty":
                raise

    def copy(self, source: ObjectStoreProvider, source_key: str, key: str) -> None:
        # A server-side copy is one request by one login, which has to read there and write here.
        if not isinstance(source, type(self)) or source.credentials != self.credentials:
            super().copy(source, source_key, key)
            return
        from azure.core import MatchConditions  # loaded with the first client

        origin, client, login = source.client(source_key), self.client(key), self._login()
        found = source.head(source_key)
        url = f"{origin.url}?{login.values.secret}" if login.values.kind == "SAS" else origin.url
        with self.translate_errors(key):
            started = client.start_copy_from_url(
                url,
                source_etag=f'"{found.etag}"',
                source_match_condition=MatchConditions.IfNotModified,
            )
            status, copy_id = str(started["copy_status"]), str(started["copy_id"])
            try:
                while status == "pending":
                    sleep(COPY_POLL_SECONDS)
                    status = str(client.get_blob_properties().copy.status)
            except BaseException:
                client.abort_copy(copy_id)
                raise
        if status != "success":
            raise StorageError(
                f"{self.where}/{key}", f"the copy ended as {status!r}", "Copy it again."
            )

    def presign(self, key: str, method: str, expires_seconds: int) -> str:
        client = self.client(key)
        signed = signed_urls.sign(
            self._login(), (self.container, key), method, seconds=expires_seconds
        )
        return f"{client.url}?{signed}"


class _Body(BufferedIOBase):
    """An answer's content as a file; what breaks in it is told as ours."""

    def __init__(
        self,
        body: StorageStreamDownloader[bytes] | None,
        length: int,
        etag: str | None,
        translate_errors: Callable[[], AbstractContextManager[None]],
    ) -> None:
        super().__init__()
        self._body, self.length, self.etag = body, length, etag
        self._translate_errors = translate_errors

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if self._body is None:
            return b""
        with self._translate_errors():
            return self._body.read(-1 if size is None else size)

    def close(self) -> None:
        self._body = None
        super().close()


def _find_urls(container: str, account_url: str | None) -> list[str]:
    """Return the container's further addresses, which tell the account."""
    if account_url is None:
        return []
    host = urlsplit(account_url).netloc
    lake = f"abfss://{container}@{host.replace('.blob.', '.dfs.')}"
    return [f"{account_url}/{container}", *([lake] if ".blob." in host else [])]


def _strip_quotes(etag: str | None) -> str | None:
    return etag.strip('"') if etag else None
