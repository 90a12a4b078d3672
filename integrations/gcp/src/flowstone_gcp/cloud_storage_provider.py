"""GcsProvider: the objects of one bucket of Google Cloud Storage, by their whole keys."""

from __future__ import annotations

import mimetypes
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias
from urllib.parse import quote

from pydantic import SecretStr

from flowstone.blocks.object_stores import ObjectInfo, ObjectStoreProvider, map_in_threads
from flowstone.errors import (
    AccessDenied,
    BucketMissing,
    FlowstoneError,
    ObjectMissing,
    PathInvalid,
    StorageError,
)
from flowstone.records.access import StoreAccess
from flowstone_gcp.errors import translate_errors
from flowstone_gcp.logins import ATTEMPTS
from flowstone_gcp.transfers import PART_BYTES, Body, wrap_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from requests import Response

    from flowstone.blocks.object_stores.provider import Tool
    from flowstone_gcp.credentials import GcpCredentials
    from flowstone_gcp.logins import GcpLogin

#: Arguments in the SDK's own words; their types are for it to check.
Options: TypeAlias = "dict[str, Any]"

WEEK = 7 * 24 * 3600
#: https://cloud.google.com/storage/docs/objects#naming
LONGEST_KEY = 1024
#: How often an upload begins anew because others wrote the same object meanwhile.
CHANGES = 5


class GcsProvider(ObjectStoreProvider):
    """The objects of one bucket by their whole keys.

    Args:
        bucket: its name.
        credentials: the login.
        folder: that all paths are in.
        seen: the `where` of buckets that were there once; it is added to.
    """

    attempts = ATTEMPTS

    def __init__(
        self, bucket: str, credentials: GcpCredentials, folder: str, seen: set[str]
    ) -> None:
        self.bucket, self.credentials, self.folder = bucket, credentials, folder
        self.urls = [f"gs://{bucket}"]
        self._seen = seen

    @property
    def where(self) -> str:
        endpoint = self.credentials.endpoint
        return f"{endpoint}/{self.bucket}" if endpoint else f"gs://{self.bucket}"

    # -- other tools -----------------------------------------------------------------------------

    def make_access(self) -> StoreAccess:
        """Return the address and the login: a service account's key, or a token that renews."""
        login, key = self._login(), self._find_key()
        secrets = {"service_account_key": SecretStr(key)} if key else {}
        if not key and (token := login.refresh()):
            secrets = {"access_token": SecretStr(token)}
        project = login.project()
        return StoreAccess(
            "gs",
            self.bucket,
            self.make_prefix().removesuffix("/"),
            self._endpoint(),
            options={"project": project} if project else {},
            secrets=secrets,
            refresh=self.make_access if "access_token" in secrets else None,
        )

    def make_storage_options(self, tool: Tool) -> dict[str, Any]:
        endpoint = self._endpoint()
        if tool == "pandas":
            login = self._login()
            token = "anon" if login.is_anonymous else login.credentials()
            options = {"token": token, "project": login.project(), "endpoint_url": endpoint}
        else:
            access = self.make_access()
            options = {
                "google_service_account_key": access.reveal("service_account_key"),
                "google_bearer_token": access.reveal("access_token"),
                "google_base_url": endpoint,
                "google_skip_signature": None if access.secrets else "true",
                "allow_http": "true" if (endpoint or "").startswith("http:") else None,
            }
        return {name: value for name, value in options.items() if value}

    def make_uri(self, key: str) -> str:
        return f"gs://{self.bucket}/{key}" if key else f"gs://{self.bucket}"

    def presign(self, key: str, method: str, expires_seconds: int) -> str:
        # The SDK is loaded by the first client, not with the package.
        from google.auth.credentials import Signing

        if not 1 <= expires_seconds <= WEEK:
            raise StorageError(
                f"{self.where}/{key}",
                f"a presigned URL can't last {expires_seconds!r} seconds",
                f"Cloud Storage allows 1 to {WEEK}, a week.",
            )
        credentials = self._login().credentials()
        if not isinstance(credentials, Signing):
            raise StorageError(
                f"{self.where}/{key}",
                f"a presigned URL takes a private key, and {self._login().who()} has none",
                "Log in with a service account's key, or set impersonation_chain: Google signs "
                "for the last account in it, which may be the one that you run as.",
            )
        with self.translate_errors(key):
            url: str = self.blob(key).generate_signed_url(
                version="v4",
                expiration=timedelta(seconds=expires_seconds),
                method=method,
                api_access_endpoint=self._endpoint(),
            )
        return url

    # -- reading ---------------------------------------------------------------------------------

    def get(self, key: str, offset: int = 0) -> Body:
        with self._reach(key):
            response = self._login().retry()(self._open)(key, offset)
        generation = response.headers.get("X-Goog-Generation")
        if response.status_code == 416:  # from its end on there is nothing
            response.close()
            return Body(None, generation, lambda: self.translate_errors(key))
        if offset and response.status_code != 206:
            response.close()
            raise StorageError(
                f"{self.where}/{key}",
                f"the service ignored the Range header (bytes={offset}-)",
                "Check endpoint: the service must support range requests.",
            )
        return Body(response, generation, lambda: self.translate_errors(key))

    def _open(self, key: str, offset: int) -> Response:
        from google.api_core.exceptions import from_http_response  # see `presign`

        login = self._login()
        where = f"{login.endpoint}/download/storage/v1/b/{quote(self.bucket)}/o/{_quote(key)}"
        # Who takes gzip gets what is stored; else the service unpacks it, and ranges are of no use.
        headers = {"Accept-Encoding": "gzip"} | ({"Range": f"bytes={offset}-"} if offset else {})
        response = login.session().get(
            where, params={"alt": "media"}, headers=headers, stream=True, timeout=login.timeout
        )
        if response.status_code in {200, 206} or (offset and response.status_code == 416):
            return response
        with response:
            raise from_http_response(response)

    def fetch(self, key: str, target: BinaryIO, shape: Options, options: Options) -> None:
        """Download an object into a file by the SDK, as it is stored.

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
        blob = self.blob(key)
        with self._reach(key):
            blob.reload(**self._patience())
        return _describe(blob)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for blob in self.walk(prefix, "items(name,size,updated,generation),nextPageToken"):
            yield _describe(blob)

    def walk(self, prefix: str, fields: str | None = None) -> Iterator[Any]:
        """Yield the objects as the SDK has them, with all of their fields or some."""
        with self.translate_errors():
            found = iter(
                self.client().list_blobs(
                    self.bucket, prefix=prefix, fields=fields, **self._patience()
                )
            )
        while True:
            with self.translate_errors():
                blob = next(found, None)
            self._seen.add(self.where)
            if blob is None:
                return
            yield blob

    # -- writing ---------------------------------------------------------------------------------

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        self.send(key, source, size, {}, {})

    def send(
        self, key: str, source: BinaryIO, size: int | None, shape: Options, options: Options
    ) -> int:
        """Do as `put`, with options of the SDK's; return how many bytes the object has.

        Args:
            key: the object.
            source: the content, from where it stands to its end.
            size: bytes; None where that is unknown.
            shape: arguments of the SDK's `Bucket.blob`.
            options: arguments of its `Blob.upload_from_file`.
        """
        _check_key(key)
        is_small = size is not None and size <= PART_BYTES
        content: BinaryIO = BytesIO(source.read()) if is_small else wrap_source(source)
        # A new object is the usual case for a small one; a large one is not sent to find out.
        generation = 0 if is_small else self._find_generation(key)
        left = 0 if "if_generation_match" in options else CHANGES
        while True:
            blob = self.blob(key, **{"chunk_size": PART_BYTES, **shape})
            given = {"size": size, "if_generation_match": generation, **options}
            if self._upload(blob, content, given, is_last=not left):
                return int(blob.size)
            left -= 1
            generation = self._find_generation(key)
            content.seek(0)

    def _upload(self, blob: Any, content: BinaryIO, options: Options, *, is_last: bool) -> bool:
        """Write over one generation, 0 being none; return False where it is another by now.

        With that condition an upload may be sent again: it can't hide what others wrote.
        """
        from google.api_core.exceptions import PreconditionFailed  # see `presign`

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
            return 0  # who may write and not read, may write what is not there

    def delete(self, keys: Sequence[str]) -> None:
        list(map_in_threads(self._delete, set(keys), self.parallel))

    def _delete(self, key: str) -> None:
        try:
            with self._reach(key):
                self.blob(key).delete(**self._patience())
        except ObjectMissing:
            return

    def copy(self, source: ObjectStoreProvider, source_key: str, key: str) -> None:
        # A server-side copy is by one login, which has to read there and write here.
        if not isinstance(source, GcsProvider) or source.credentials != self.credentials:
            super().copy(source, source_key, key)
            return
        self.rewrite(source, source_key, key, {})

    def rewrite(self, source: GcsProvider, source_key: str, key: str, options: Options) -> None:
        """Copy an object within Cloud Storage, however large; no content comes by here.

        Args:
            source: where it is.
            source_key: the object there.
            key: the new object here.
            options: arguments of the SDK's `Blob.rewrite`.
        """
        _check_key(key)
        found = source.head(source_key)
        given = {
            **self._patience(),
            "if_source_generation_match": int(found.etag or 0),
            **options,
        }
        origin, target, token = source.blob(source_key), self.blob(key), given.pop("token", None)
        while True:
            with self._reach(key):
                token, _, _ = target.rewrite(origin, token=token, **given)
            if token is None:
                return

    def create(self, location: str | None, options: Options) -> Any:
        """Create the bucket, and return it as the SDK has it; see `GcsBucket.create_bucket`."""
        options = {**self._patience(), **options}
        with self.translate_errors():
            made = self.client().create_bucket(self.bucket, location=location, **options)
        self._seen.add(self.where)
        return made

    # -- the way there ---------------------------------------------------------------------------

    def client(self) -> Any:
        """Return the SDK's client, the same one each time."""
        return self.credentials.client("storage")

    def sdk_bucket(self) -> Any:
        """Return the bucket as the SDK has it; nothing is asked there."""
        return self.client().bucket(self.bucket)

    def blob(self, key: str, **options: Any) -> Any:
        """Return an object as the SDK has it; nothing is asked there."""
        try:
            return self.sdk_bucket().blob(key, **options)
        except ValueError as error:
            remedy = "Check chunk_size and encryption_key."
            raise StorageError(f"{self.where}/{key}", str(error), remedy) from error

    def translate_errors(self, key: str | None = None) -> AbstractContextManager[None]:
        """Turn what the SDK raises inside into `StorageError`, `CredentialsError` and their kin."""
        return translate_errors(self.where, lambda: self._login().who(), key)

    @contextmanager
    def _reach(self, key: str) -> Iterator[None]:
        """Translate errors, and tell a missing bucket from a missing object."""
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
            return  # whether it is there, these credentials may not know

    def _login(self) -> GcpLogin:
        return self.credentials._login()  # noqa: SLF001 - one package

    def _endpoint(self) -> str | None:
        return self._login().own_endpoint

    def _find_key(self) -> str | None:
        return self._login().find_key()

    def _patience(self) -> dict[str, Any]:
        login = self._login()
        return {"timeout": login.timeout, "retry": login.retry()}


def _describe(blob: Any) -> ObjectInfo:
    return ObjectInfo(blob.name, blob.size or 0, blob.updated, str(blob.generation))


def _quote(key: str) -> str:
    return quote(key.encode(), safe="")


def _guess_type(key: str) -> str:
    kind, encoding = mimetypes.guess_type(key)
    return kind if kind and not encoding else "application/octet-stream"


def _check_key(key: str) -> None:
    """Refuse what can't be a key, before the content is sent."""
    problem = None
    if len(key.encode()) > LONGEST_KEY:
        problem = f"it is longer than {LONGEST_KEY} bytes"
    elif "\r" in key or "\n" in key:
        problem = "it has a line break inside"
    elif key in {".", ".."} or key.startswith(".well-known/acme-challenge/"):
        problem = "Cloud Storage has no such names"
    if problem:
        raise PathInvalid(key, problem, "Choose another name.")
