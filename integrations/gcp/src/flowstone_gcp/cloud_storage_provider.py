"""GcsProvider: the objects of one bucket in Google Cloud Storage, by their full keys."""

from __future__ import annotations

import mimetypes
from base64 import b64decode
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from flowstone.blocks.object_stores import (
    FolderInfo,
    ObjectBody,
    ObjectInfo,
    ObjectStoreProvider,
    ObjectVersion,
    WriteOptions,
    map_in_threads,
)
from flowstone.errors import (
    AccessDenied,
    BucketMissing,
    FlowstoneError,
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    PathInvalid,
    StorageError,
)
from flowstone_gcp import access
from flowstone_gcp.contents import open_content
from flowstone_gcp.copies import copy_by_service
from flowstone_gcp.errors import translate_errors
from flowstone_gcp.logins import ATTEMPTS
from flowstone_gcp.signed_urls import check_signing, sign_url
from flowstone_gcp.transfers import PART_BYTES, make_body, wrap_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from google.cloud.storage import Blob
    from requests import Response

    from flowstone.blocks.object_stores.provider import Tool
    from flowstone.records.access import StoreAccess
    from flowstone_gcp.cloud_storage_settings import GcsSettings
    from flowstone_gcp.credentials import GcpCredentials
    from flowstone_gcp.logins import GcpLogin

#: Arguments in the SDK's names; the SDK checks their types.
Options: TypeAlias = "dict[str, Any]"

#: https://cloud.google.com/storage/docs/objects#naming
LONGEST_KEY = 1024
#: The fields that a listing requests.
_LISTED = (
    "items(name,size,updated,generation,contentType,md5Hash,metadata,storageClass),nextPageToken"
)
#: Number of attempts of an upload while other processes write the same object.
CHANGES = 5


class GcsProvider(ObjectStoreProvider):
    """The objects of one bucket, by their full keys.

    Args:
        bucket: the bucket's name.
        credentials: the credentials.
        folder: the folder that all paths are in.
        settings: the parameters of requests besides the object's name.
        seen: the `where` of buckets that are known to exist; new ones are added.
    """

    attempts = ATTEMPTS
    keeps_metadata = True

    def __init__(
        self,
        bucket: str,
        credentials: GcpCredentials,
        folder: str,
        settings: GcsSettings,
        seen: set[str],
    ) -> None:
        self.bucket, self.credentials, self.folder = bucket, credentials, folder
        self.urls = [f"gs://{bucket}"]
        self.settings, self._seen = settings, seen

    @property
    def where(self) -> str:
        endpoint = self.credentials.endpoint
        return f"{endpoint}/{self.bucket}" if endpoint else f"gs://{self.bucket}"

    # -- other tools -----------------------------------------------------------------------------

    def make_access(self) -> StoreAccess:
        folder = self.make_prefix().removesuffix("/")
        return access.make_access(self.bucket, folder, self._login(), self.make_access)

    def make_storage_options(self, tool: Tool) -> dict[str, object]:
        return access.make_storage_options(tool, self._login(), self.settings, self.make_access)

    def make_uri(self, key: str) -> str:
        return f"gs://{self.bucket}/{key}" if key else f"gs://{self.bucket}"

    def presign(self, key: str, method: str, expires_seconds: int) -> str:
        check_signing(f"{self.where}/{key}", self._login(), self.settings, expires_seconds)
        with self.translate_errors(key):
            return sign_url(self.blob(key), method, expires_seconds, self._endpoint())

    # -- reading ---------------------------------------------------------------------------------

    def get(self, key: str, offset: int = 0) -> ObjectBody:
        with self._reach(key):
            response = self._login().retry()(self._open)(
                key, f"bytes={offset}-" if offset else None
            )
        generation = response.headers.get("X-Goog-Generation")
        if response.status_code == 416:  # at or after the end
            response.close()
            return ObjectBody(None, lambda: self.translate_errors(key), etag=generation)
        if offset and response.status_code != 206:
            response.close()
            raise StorageError(
                f"{self.where}/{key}",
                f"the service ignored the Range header (bytes={offset}-)",
                "Check endpoint: the service must support range requests.",
            )
        return make_body(response, generation, lambda: self.translate_errors(key))

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        if not length:
            self.head(key)
            return b""
        wanted = f"bytes={offset}-{offset + length - 1}"
        with self._reach(key):
            response = self._login().retry()(self._open)(key, wanted)
        with make_body(response, None, lambda: self.translate_errors(key)) as body:
            if response.status_code == 416:  # at or after the end
                return b""
            chunks = iter(lambda: body.read(length), b"")
            found = b"".join(chunks)
        return found if response.status_code == 206 else found[offset : offset + length]

    def _open(self, key: str, wanted: str | None, generation: str | None = None) -> Response:
        place = self.bucket, key
        return open_content(self._login(), self.settings, place, wanted, generation)

    def fetch(self, key: str, target: BinaryIO, shape: Options, options: Options) -> None:
        """Download an object into a file with the SDK, as it is stored.

        Args:
            key: the object.
            target: an open binary file.
            shape: arguments of the SDK's `Bucket.blob`.
            options: arguments of its `Blob.download_to_file`.
        """
        blob = self.blob(key, **shape)
        with self._reach(key):
            blob.download_to_file(target, **{**self._patience(), "raw_download": True, **options})

    def head(self, key: str) -> ObjectInfo:
        return _describe(self._load(self.blob(key)))

    def _load(self, blob: Blob) -> Blob:
        with self._reach(blob.name):
            blob.reload(**self._patience())
        return blob

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for blob in self.walk(prefix, _LISTED):
            yield _describe(blob)

    def list_level(self, prefix: str) -> Iterator[ObjectInfo | FolderInfo]:
        for page in self._pages(prefix=prefix, fields=f"prefixes,{_LISTED}", delimiter="/"):
            found: list[ObjectInfo | FolderInfo] = [_describe(blob) for blob in page]
            found += [FolderInfo(folder) for folder in page.prefixes]
            yield from sorted(found, key=lambda info: info.path)

    def walk(self, prefix: str, fields: str | None = None) -> Iterator[Any]:
        """Yield the objects as blobs of the SDK, with all of their fields or some."""
        for page in self._pages(prefix=prefix, fields=fields):
            yield from page

    def _pages(self, **wanted: object) -> Iterator[Any]:
        with self.translate_errors():
            bucket = self.sdk_bucket()
            found = self.client().list_blobs(bucket, **wanted, **self._patience()).pages
        while True:
            with self.translate_errors():
                page = next(found, None)
            self._seen.add(self.where)
            if page is None:
                return
            yield page

    # -- versions --------------------------------------------------------------------------------

    def list_versions(self, key: str) -> Iterator[ObjectVersion]:
        pages = self._pages(prefix=key, versions=True)
        found = [blob for page in pages for blob in page if blob.name == key]
        for blob in sorted(found, key=lambda blob: int(blob.generation), reverse=True):
            info = _describe(blob)
            yield ObjectVersion(
                key,
                str(blob.generation),
                info.modified,
                info.size,
                info.etag,
                is_current=blob.time_deleted is None,
            )

    def get_version(self, key: str, version: str) -> ObjectBody:
        self._check_version(key, version)
        with self._reach(key):
            response = self._login().retry()(self._open)(key, None, version)
        return make_body(response, version, lambda: self.translate_errors(key))

    def restore(self, key: str, version: str) -> None:
        self._check_version(key, version)
        origin = self.blob(key, generation=int(version))
        if self.settings.storage_class:
            self._load(origin)
        self._rewrite(origin, origin, key, self._patience())

    def _check_version(self, key: str, version: str) -> None:
        """Raise an error if a version is not a generation number."""
        if not version.isdecimal():
            problem = f"there is no version {version!r} of it"
            remedy = "`versions` shows what is there."
            raise ObjectMissing(f"{self.where}/{key}", problem, remedy)

    # -- writing ---------------------------------------------------------------------------------

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        self.send(key, source, size, {}, {})

    def write(self, key: str, source: BinaryIO, size: int | None, options: WriteOptions) -> None:
        given: Options = {"content_type": options.content_type, "metadata": options.metadata}
        if options.is_new:
            given["if_generation_match"] = 0
        elif options.if_match is not None:
            # A value that is not a generation number is the etag of no object.
            etag = options.if_match
            given["if_generation_match"] = int(etag) if etag.isdecimal() else -1
        try:
            self.send(key, source, size, {}, given)
        except StorageError as error:
            from google.api_core.exceptions import PreconditionFailed  # see `contents`

            is_unmet = isinstance(error.__cause__, PreconditionFailed)
            if options.is_new and is_unmet:
                raise ObjectExists(f"{self.where}/{key}") from error.__cause__
            if options.if_match and (is_unmet or isinstance(error, ObjectMissing)):
                raise ObjectChanged(f"{self.where}/{key}") from error.__cause__
            raise

    def send(
        self, key: str, source: BinaryIO, size: int | None, shape: Options, options: Options
    ) -> int:
        """Write an object like `put`, with options of the SDK; return its size in bytes.

        Args:
            key: the object.
            source: the content, from its current position to its end.
            size: the size in bytes; None if it is unknown.
            shape: arguments of the SDK's `Bucket.blob`.
            options: arguments of its `Blob.upload_from_file`, and `metadata`.
        """
        _check_key(key)
        options = {**options}
        metadata = options.pop("metadata", None)
        is_small = size is not None and size <= PART_BYTES
        content: BinaryIO = BytesIO(source.read()) if is_small else wrap_source(source)
        # A small object is usually new; a large one is not sent just to find out.
        generation = 0 if is_small else self._find_generation(key)
        left = 0 if "if_generation_match" in options else CHANGES
        while True:
            blob = self.blob(key, **{"chunk_size": PART_BYTES, **shape})
            blob.metadata = metadata or None
            self.settings.describe_new(blob)
            given = {"size": size, "if_generation_match": generation, **options}
            if self._upload(blob, content, given, is_last=not left):
                return int(blob.size)
            left -= 1
            generation = self._find_generation(key)
            content.seek(0)

    def _upload(self, blob: Any, content: BinaryIO, options: Options, *, is_last: bool) -> bool:
        """Replace one generation, or 0 for a new object; return False if it has changed.

        This condition makes an upload safe to retry, even if other processes write the same object.
        """
        from google.api_core.exceptions import PreconditionFailed  # see `contents`

        kind = options.get("content_type") or _guess_type(blob.name)
        with self._reach(blob.name):
            try:
                blob.upload_from_file(
                    content, **{**self._patience(), **options, "content_type": kind}
                )
            except PreconditionFailed:
                if is_last:
                    raise
                return False
        return True

    def _find_generation(self, key: str) -> int:
        try:
            return int(self.head(key).etag or 0)
        except (ObjectMissing, AccessDenied):
            return 0  # credentials that may write but not read, may only create objects

    def delete(self, keys: Sequence[str]) -> None:
        list(map_in_threads(self._delete, set(keys), self.parallel))

    def _delete(self, key: str) -> None:
        try:
            with self._reach(key):
                self.blob(key).delete(**self._patience())
        except ObjectMissing:
            return

    def copy(self, source: ObjectStoreProvider, source_key: str, key: str) -> None:
        # A server-side copy has one login, which has to read there and write here.
        if not isinstance(source, GcsProvider) or source.credentials != self.credentials:
            super().copy(source, source_key, key)
            return
        self.rewrite(source, source_key, key, {})

    def rewrite(self, source: GcsProvider, source_key: str, key: str, options: Options) -> None:
        """Copy an object of any size within Cloud Storage, without downloading its content.

        Args:
            source: the provider of the source's bucket.
            source_key: the source.
            key: the new object.
            options: arguments of the SDK's `Blob.rewrite`.
        """
        _check_key(key)
        found = source._load(source.blob(source_key))
        given = {
            **self._patience(),
            "if_source_generation_match": int(found.generation),
            **options,
        }
        self._rewrite(source.blob(source_key), found, key, given)

    def _rewrite(self, origin: Blob, found: Blob, key: str, options: Options) -> None:
        payer = origin.user_project  # the payer for reading may differ from that for writing
        target = self.blob(key, payer=payer)
        self.settings.describe_copy(target, found)
        with self._reach(key):
            copy_by_service(target, origin, options)

    def create(self, location: str | None, options: Options) -> Any:
        """Create the bucket, and return the SDK's bucket; see `GcsBucket.create_bucket`."""
        options = {**self._patience(), **options}
        with self.translate_errors():
            made = self.client().create_bucket(self.bucket, location=location, **options)
        self._seen.add(self.where)
        return made

    # -- the way there ---------------------------------------------------------------------------

    def client(self) -> Any:
        """Return the SDK's client, the same one each time."""
        return self.credentials.client("storage")

    def sdk_bucket(self, payer: str | None = None) -> Any:
        """Return the SDK's bucket; `payer` pays if the block names no project."""
        payer = self.settings.find_payer(self._login()) or payer
        return self.client().bucket(self.bucket, user_project=payer)

    def blob(self, key: str, payer: str | None = None, **options: Any) -> Any:
        """Return the SDK's blob, without a request."""
        if "encryption_key" not in options:
            options["encryption_key"] = self.settings.read_key()
            options["kms_key_name"] = self.settings.kms_key
        try:
            return self.sdk_bucket(payer).blob(key, **options)
        except ValueError as error:
            remedy = "Check chunk_size and encryption_key."
            raise StorageError(f"{self.where}/{key}", str(error), remedy) from error

    def translate_errors(self, key: str | None = None) -> AbstractContextManager[None]:
        """Translate errors of the SDK into subclasses of `StorageError` and `CredentialsError`."""
        return translate_errors(self.where, lambda: self._login().who(), key)

    @contextmanager
    def _reach(self, key: str) -> Iterator[None]:
        """Translate errors, and distinguish a missing bucket from a missing object."""
        try:
            with self.translate_errors(key):
                yield
        except ObjectMissing:
            self._must_exist()
            raise
        self._seen.add(self.where)

    def _must_exist(self) -> None:
        if self.where in self._seen:
            return
        try:
            next(self.list("no/such/folder/"), None)
        except BucketMissing:
            raise
        except FlowstoneError:
            return  # the credentials may not look whether it exists

    def _login(self) -> GcpLogin:
        return self.credentials.get_login()

    def _endpoint(self) -> str | None:
        return self._login().own_endpoint

    def _patience(self) -> Options:
        login = self._login()
        return {"timeout": login.timeout, "retry": login.retry()}


def _describe(blob: Any) -> ObjectInfo:
    kept = blob.storage_class
    return ObjectInfo(
        blob.name,
        blob.size or 0,
        blob.updated,
        str(blob.generation),
        content_type=blob.content_type,
        metadata=blob.metadata or {},
        storage_class=None if kept == "STANDARD" else kept,
        version=str(blob.generation),
        md5=b64decode(blob.md5_hash) if blob.md5_hash else None,
    )


def _guess_type(key: str) -> str:
    kind, encoding = mimetypes.guess_type(key)
    return kind if kind and not encoding else "application/octet-stream"


def _check_key(key: str) -> None:
    """Refuse invalid keys, before the content is sent."""
    problem = None
    if len(key.encode()) > LONGEST_KEY:
        problem = f"it is longer than {LONGEST_KEY} bytes"
    elif "\r" in key or "\n" in key:
        problem = "it has a line break inside"
    elif key in {".", ".."} or key.startswith(".well-known/acme-challenge/"):
        problem = "Cloud Storage has no such names"
    if problem:
        raise PathInvalid(key, problem, "Choose another name.")
