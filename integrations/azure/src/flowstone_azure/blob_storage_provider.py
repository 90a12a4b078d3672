"""The provider of `AzureBlobStorageContainer`."""

from __future__ import annotations

import re
from contextlib import contextmanager
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlencode, urlsplit

from flowstone.blocks.object_stores import (
    CHUNK_BYTES,
    FAST_PARALLEL,
    FolderInfo,
    ObjectBody,
    ObjectInfo,
    ObjectStoreProvider,
    ObjectVersion,
    WriteOptions,
    map_in_threads,
)
from flowstone.errors import ObjectMissing, PathInvalid, StorageError
from flowstone_azure import access, signed_urls
from flowstone_azure.blob_storage_fast import make_attributes, make_small_objects
from flowstone_azure.deletions import can_batch, delete_in_batches
from flowstone_azure.errors import read_code, translate_errors
from flowstone_azure.folders import FolderKey, is_marked, make_folder, put_folders_last
from flowstone_azure.listings import describe, merge_level, read_pages, strip_quotes
from flowstone_azure.versions import is_no_version, sort_versions
from flowstone_azure.writing import describe_object, find_unmet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from azure.core.paging import ItemPaged
    from azure.storage.blob import (
        BlobClient,
        BlobPrefix,
        BlobProperties,
        ContainerClient,
        StorageStreamDownloader,
    )

    from flowstone.blocks.object_stores.provider import Tool
    from flowstone.records.access import StoreAccess
    from flowstone_azure.blob_settings import BlobSettings, ReadGiven
    from flowstone_azure.credentials import AzureBlobStorageCredentials
    from flowstone_azure.logins import BlobLogin

#: Names that the SDK or the service would change: `\` to `/`, `a/./b` to `a/b`, `a.` to `a`.
_ALTERED = re.compile(r"\\|(?:^|/)\.{1,2}(?:/|$)|^/|\.$|\./")
#: Characters that are not allowed in names: control characters and noncharacters.
_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


class AzureBlobStorageProvider(ObjectStoreProvider):
    """Accesses the blobs of one container by their full names.

    Args:
        container: the container's name.
        credentials: the credentials.
        folder: the folder that all paths are relative to.
        settings: the arguments of requests besides the blob's name.
        use_obstore: whether obstore transfers small objects, if it is installed.

    Attributes:
        page_objects: the page size of listings; None for Azure's default of 5,000.
    """

    keeps_metadata = True
    page_objects: int | None = None

    def __init__(
        self,
        container: str,
        credentials: AzureBlobStorageCredentials,
        folder: str,
        settings: BlobSettings,
        *,
        use_obstore: bool = True,
    ) -> None:
        self.container, self.credentials, self.folder = container, credentials, folder
        self.settings = settings
        # obstore sends a customer-supplied key with every request, whichever object it is about.
        is_plain = settings.encryption_key is None
        self._small = make_small_objects(
            self._login, container, use_obstore=use_obstore and is_plain
        )
        if self._small.is_fast:
            self.parallel = FAST_PARALLEL
        self.urls = [f"az://{container}", *_find_urls(container, credentials.account_url)]

    @property
    def where(self) -> str:
        return f"{self._login().values.url}/{self.container}"

    def _login(self) -> BlobLogin:
        return self.credentials.find_login()

    def translate_errors(self, key: str | None = None) -> AbstractContextManager[None]:
        """Translate errors of the SDK, in operations on the container or an object."""
        return translate_errors(self.where, self._login(), key)

    def client(self, key: str) -> BlobClient:
        """Return the SDK's client of a blob.

        Raises:
            PathInvalid: the SDK or the service would change the name.
        """
        self._check_name(key)
        return self.credentials.client().get_blob_client(self.container, key)

    def _check_name(self, key: str) -> None:
        if _ALTERED.search(key):
            problem = (
                "Azure would change this name, because of a backslash, a leading slash, or a part "
                "that is or ends in '.'"
            )
            raise PathInvalid(key, problem, "Choose another name.")
        if _NO_NAME.search(key):
            problem = "Azure does not allow control characters in names"
            raise PathInvalid(key, problem, "Choose another name.")
        is_odd = "//" in key or key.endswith("/")
        if is_odd and self._login().is_hierarchical(self.container):
            problem = "accounts with a hierarchical namespace ignore empty parts between slashes"
            raise PathInvalid(key, problem, "Choose another name.")

    def make_access(self) -> StoreAccess:
        folder = self.make_prefix().removesuffix("/")
        return access.make_access(self.container, folder, self._login(), self.make_access)

    def make_storage_options(self, tool: Tool) -> dict[str, Any]:
        key = self._with_key().get("cpk")
        value = None if key is None else str(key.key_value)
        return access.make_storage_options(tool, self.where, self._login(), value)

    def make_uri(self, key: str) -> str:
        return f"az://{self.container}/{key}" if key else f"az://{self.container}"

    # -- reading ---------------------------------------------------------------------------------

    def get(self, key: str, offset: int = 0) -> ObjectBody:
        client = self.client(key)
        try:
            with self.translate_errors(key):
                answer = client.download_blob(
                    offset=offset or None, max_concurrency=1, **self._with_key()
                )
                self._refuse_folder(key, answer.properties.metadata)
        except StorageError as error:
            if offset and read_code(error.__cause__) == "InvalidRange":
                etag = self.head(key).etag
                return ObjectBody(None, lambda: self.translate_errors(key), etag=etag)
            raise
        return _make_body(answer, lambda: self.translate_errors(key))

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        if not length:
            self.head(key)
            return b""
        try:
            with self.translate_errors(key):
                # Above 4 MB, the SDK sends more requests, with the etag as their condition.
                answer = self.client(key).download_blob(
                    offset, length, max_concurrency=1, **self._with_key()
                )
                self._refuse_folder(key, answer.properties.metadata)
                return answer.readall()
        except StorageError as error:
            if read_code(error.__cause__) == "InvalidRange":
                self.head(key)  # raises an error for a folder, which is also an empty blob
                return b""
            raise

    def read(self, key: str) -> bytes:
        self._check_name(key)
        content = self._small.get(key)
        return super().read(key) if content is None else content

    def download(self, key: str, target: BinaryIO) -> None:
        from flowstone_azure.transfers import PART_BYTES, download_ranges  # with the SDK

        self._check_name(key)
        content = self._small.get(key)
        if content is not None:
            target.write(content)
            return
        body = self.get(key)
        if body.length > PART_BYTES and target.seekable() and body.etag:
            body.close()
            with self.translate_errors(key):
                download_ranges(
                    self.client(key), body.length, body.etag, target, **self._with_key()
                )
            return
        with self.open_reader(key, body) as reader:
            while chunk := reader.read(CHUNK_BYTES):
                target.write(chunk)

    def head(self, key: str) -> ObjectInfo:
        client = self.client(key)
        with self.translate_errors(key):
            found = client.get_blob_properties(**self._with_key())
        self._refuse_folder(key, found.metadata)
        return describe(found)

    def _with_key(self) -> ReadGiven:
        return self.settings.make_read(self.where)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return put_folders_last(self._list(prefix))

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        def start() -> ItemPaged[BlobProperties]:
            return self._container().list_blobs(
                prefix or None, include=["metadata"], results_per_page=self.page_objects
            )

        pages = read_pages(start, self.translate_errors)
        for item in chain.from_iterable(pages):
            if is_marked(item.metadata):
                yield make_folder(item.name, item.last_modified)
            else:
                yield describe(item)

    def list_level(self, prefix: str) -> Iterator[ObjectInfo | FolderInfo]:
        def start() -> ItemPaged[BlobProperties | BlobPrefix]:
            return self._container().walk_blobs(
                prefix or None, include=["metadata"], results_per_page=self.page_objects
            )

        return merge_level(read_pages(start, self.translate_errors))

    def _container(self) -> ContainerClient:
        return self.credentials.get_container_client(self.container)

    def _refuse_folder(self, key: str, metadata: Mapping[str, str] | None) -> None:
        if is_marked(metadata):
            remedy = "`list_objects` shows what is in it."
            raise ObjectMissing(f"{self.where}/{key}", "it is a folder, not an object", remedy)

    # -- versions --------------------------------------------------------------------------------

    def list_versions(self, key: str) -> Iterator[ObjectVersion]:
        self._check_name(key)
        pages = read_pages(
            lambda: self._container().list_blobs(key, include=["versions"]), self.translate_errors
        )
        # Of all names that start with the key, the key itself is listed first.
        items = takewhile(lambda item: item.name == key, chain.from_iterable(pages))
        found = [item for item in items if not item.deleted]
        if found and not any(item.version_id for item in found):
            raise self._refuse_versions(key)
        yield from sort_versions(found)

    def get_version(self, key: str, version: str) -> ObjectBody:
        client = self.client(key)
        with self._reach_version(key, version):
            answer = client.download_blob(version_id=version, max_concurrency=1, **self._with_key())
        self._check_version(key, answer.properties)
        return _make_body(answer, lambda: self.translate_errors(key))

    def restore(self, key: str, version: str) -> None:
        client = self.client(key)
        with self._reach_version(key, version):
            found = client.get_blob_properties(version_id=version, **self._with_key())
        self._check_version(key, found)
        if not self.settings.can_copy(self.settings):
            info = describe(found)
            with self.get_version(key, version) as reader:
                options = WriteOptions(info.content_type, info.metadata)
                self._send(key, cast("BinaryIO", reader), info.size, options)
            return
        query = urlencode({"versionid": version})
        self._copy(f"{client.url}?{query}", strip_quotes(found.etag), key)

    @contextmanager
    def _reach_version(self, key: str, version: str) -> Iterator[None]:
        if not version:  # the SDK would read the current version
            raise self._miss_version(key, version)
        try:
            with self.translate_errors(key):
                yield
        except StorageError as error:
            if not is_no_version(error):
                raise
            raise self._miss_version(key, version) from error.__cause__

    def _miss_version(self, key: str, version: str) -> ObjectMissing:
        problem = f"there is no version {version!r} of it"
        return ObjectMissing(f"{self.where}/{key}", problem, "`versions` shows what is there.")

    def _check_version(self, key: str, found: BlobProperties) -> None:
        """Raise an error if the service ignored the version, as it does without versioning."""
        if not found.version_id:
            raise self._refuse_versions(key)

    # -- writing ---------------------------------------------------------------------------------

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        self._send(key, source, size, WriteOptions())

    def write(self, key: str, source: BinaryIO, size: int | None, options: WriteOptions) -> None:
        try:
            self._send(key, source, size, options)
        except StorageError as error:
            unmet = find_unmet(f"{self.where}/{key}", options, error)
            if unmet is None:
                raise
            raise unmet from error.__cause__

    def _send(self, key: str, source: BinaryIO, size: int | None, options: WriteOptions) -> None:
        from flowstone_azure.transfers import PART_BYTES, upload_blocks  # with the SDK

        client = self.client(key)
        new = self.settings.make_write(self.where)
        given = describe_object(f"{self.where}/{key}", key, options, new)
        with self.translate_errors(key):
            if size is not None and size <= PART_BYTES:
                content = source.read()
                if not self._small.put(key, content, make_attributes(given)):
                    client.upload_blob(content, length=len(content), overwrite=True, **given)
            else:
                part = self.settings.make_part(self.where)
                upload_blocks(client, source, size, part, **given)

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
        # A few objects are deleted just as fast by parallel single requests.
        if len(names) > workers and can_batch(login):
            container = self._container()
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
            # A folder is not an object, and stays while it has content.
            if read_code(error.__cause__) != "DirectoryIsNotEmpty":
                raise

    def copy(self, source: ObjectStoreProvider, source_key: str, key: str) -> None:
        # A server-side copy needs one login that can read the source and write the target.
        if (
            not isinstance(source, type(self))
            or source.credentials != self.credentials
            or not self.settings.can_copy(source.settings)
        ):
            super().copy(source, source_key, key)
            return
        found = source.head(source_key)
        self._copy(source.client(source_key).url, found.etag, key)

    def _copy(self, url: str, etag: str | None, key: str) -> None:
        from flowstone_azure.copies import copy_by_service  # with the SDK

        client, values = self.client(key), self._login().values
        if values.kind == "SAS":
            url = f"{url}{'&' if '?' in url else '?'}{values.secret}"
        with self.translate_errors(key):
            status = copy_by_service(client, url, etag, **self.settings.make_copy())
        if status != "success":
            raise StorageError(
                f"{self.where}/{key}", f"the copy ended as {status!r}", "Copy it again."
            )

    def presign(self, key: str, method: str, expires_seconds: int) -> str:
        client = self.client(key)
        signed_urls.check_settings(f"{self.where}/{key}", self.settings)
        signed = signed_urls.sign(
            self._login(), (self.container, key), method, seconds=expires_seconds
        )
        return f"{client.url}?{signed}"


def _make_body(
    found: StorageStreamDownloader[bytes],
    translate_errors: Callable[[], AbstractContextManager[None]],
) -> ObjectBody:
    """Return the content of a response as a file; the SDK resumes it itself."""
    etag = strip_quotes(found.properties.etag)
    return ObjectBody(found.read, translate_errors, length=found.size, etag=etag)


def _find_urls(container: str, account_url: str | None) -> list[str]:
    """Return the container's URLs that contain the account."""
    if account_url is None:
        return []
    host = urlsplit(account_url).netloc
    lake = f"abfss://{container}@{host.replace('.blob.', '.dfs.')}"
    return [f"{account_url}/{container}", *([lake] if ".blob." in host else [])]
