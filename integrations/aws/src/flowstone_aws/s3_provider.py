"""The provider of `S3Bucket`."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

from flowstone.blocks.object_stores import (
    CHUNK_BYTES,
    FAST_PARALLEL,
    SMALL_BYTES,
    FolderInfo,
    ObjectBody,
    ObjectInfo,
    ObjectStoreProvider,
    ObjectVersion,
    WriteOptions,
)
from flowstone.errors import (
    BucketMissing,
    FlowstoneError,
    ObjectChanged,
    ObjectExists,
    ObjectMissing,
    StorageError,
)
from flowstone_aws import transfers
from flowstone_aws.access import make_access, make_storage_options
from flowstone_aws.credentials import AwsCredentials, MinIOCredentials
from flowstone_aws.errors import make_refusal, read_code, translate_errors
from flowstone_aws.logins import is_aws
from flowstone_aws.s3_checksums import matches_object
from flowstone_aws.s3_fast import make_attributes, make_small_objects
from flowstone_aws.signed_urls import check_signing, sign_url
from flowstone_aws.transfers import (
    PART_BYTES,
    Options,
    copy_in_parts,
    copy_whole,
    find_file,
    finish,
    leave_open,
    make_body,
    make_manager,
    upload_in_parts,
)
from flowstone_aws.uploads import record_uploads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from s3transfer.manager import TransferManager
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import GetObjectOutputTypeDef, HeadObjectOutputTypeDef

    from flowstone.blocks.object_stores.provider import Tool
    from flowstone.records.access import StoreAccess
    from flowstone_aws.logins import Login
    from flowstone_aws.s3_settings import S3Settings

#: Paginated listings of S3.
Listing: TypeAlias = Literal["list_objects_v2", "list_object_versions"]

#: Characters that a key may contain, but an XML list of keys may not.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
#: Codes for a condition that does not hold, or a conflict with another writer.
_UNMET = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


_NO_VERSION = {"NoSuchVersion", "InvalidArgument", "MethodNotAllowed", "NoSuchKey", "404", "405"}


class S3Provider(ObjectStoreProvider):
    """The objects of one bucket, by their full keys.

    Args:
        bucket: the bucket's name.
        credentials: the credentials.
        folder: the folder that all paths are in.
        settings: the parameters of requests besides bucket and key.
        seen: the `where` of buckets that are known to exist; new ones are added.
        use_obstore: whether obstore transfers small objects, if it is installed.
    """

    keeps_metadata = True

    def __init__(
        self,
        bucket: str,
        credentials: AwsCredentials | MinIOCredentials,
        folder: str,
        settings: S3Settings,
        seen: set[str],
        *,
        use_obstore: bool = True,
    ) -> None:
        self.bucket, self.credentials, self.folder = bucket, credentials, folder
        self.urls = [f"s3://{bucket}"]
        self.settings, self._seen = settings, seen
        parameters = credentials.aws_client_parameters
        # obstore does not support reads with additional headers.
        is_plain = not settings.make_read()
        self._small = make_small_objects(
            self._login, parameters, bucket, use_obstore=use_obstore and is_plain
        )
        if self._small.is_fast:
            self.parallel = FAST_PARALLEL

    @property
    def where(self) -> str:
        endpoint = self.credentials.aws_client_parameters.endpoint_url
        return f"{endpoint}/{self.bucket}" if endpoint else f"s3://{self.bucket}"

    def identify(self, key: str) -> tuple[str, str]:
        # AWS's endpoints, regional or not, refer to the same bucket.
        endpoint = (self.credentials.aws_client_parameters.endpoint_url or "").rstrip("/").lower()
        place = endpoint if endpoint and not is_aws(endpoint) else ""
        return f"{place}/{self.bucket}", key

    def make_access(self) -> StoreAccess:
        folder = self.make_prefix().removesuffix("/")
        with self.translate_errors():
            return make_access(self.bucket, folder, self.credentials, self.make_access)

    def make_storage_options(self, tool: Tool) -> dict[str, Any] | None:
        return make_storage_options(self.make_access(), self.settings, tool)

    def make_uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}" if key else f"s3://{self.bucket}"

    def client(self) -> S3Client:
        """Return boto3's client, the same one each time."""
        return self.credentials.client("s3")

    def translate_errors(self, key: str | None = None) -> AbstractContextManager[None]:
        """Translate errors of the SDK into subclasses of `StorageError` and `CredentialsError`."""
        return translate_errors(self.where, self._describe_login, key)

    def _login(self) -> Login:
        return self.credentials._login()  # noqa: SLF001 - one package

    def _describe_login(self) -> str:
        return self._login().who()

    def _manager(self) -> TransferManager:
        login = self._login()
        return login.get_or_make("transfers", lambda: make_manager(login.client("s3")))

    # -- reading ---------------------------------------------------------------------------------

    def get(self, key: str, offset: int = 0) -> ObjectBody:
        wanted: Options = {"Range": f"bytes={offset}-"} if offset else {}
        wanted = {**wanted, **self.settings.make_read()}
        try:
            with self.translate_errors(key):
                answer = self.client().get_object(Bucket=self.bucket, Key=key, **wanted)
        except StorageError as error:
            if offset and read_code(error.__cause__) in {"InvalidRange", "416"}:
                etag = self.head(key).etag
                return ObjectBody(None, lambda: self.translate_errors(key), etag=etag)
            raise
        self._seen.add(self.where)
        if offset:
            check_range(f"{self.where}/{key}", answer, offset)
        return make_body(
            answer["Body"],
            answer["ContentLength"],
            _etag(answer),
            lambda: self.translate_errors(key),
        )

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        if not length:
            self.head(key)
            return b""
        wanted = f"bytes={offset}-{offset + length - 1}"
        with_key = self.settings.make_read()
        try:
            with self.translate_errors(key):
                answer = self.client().get_object(
                    Bucket=self.bucket, Key=key, Range=wanted, **with_key
                )
                check_range(f"{self.where}/{key}", answer, offset)
                return answer["Body"].read()
        except StorageError as error:
            if read_code(error.__cause__) in {"InvalidRange", "416"}:
                return b""  # at or after the end
            raise

    def read(self, key: str) -> bytes:
        content = self._small.get(key)
        return super().read(key) if content is None else content

    def download(self, key: str, target: BinaryIO) -> None:
        content = self._small.get(key)
        if content is not None:
            target.write(content)
            return
        body = self.get(key)
        if body.length > PART_BYTES and target.seekable():
            body.close()
            with self.translate_errors(key):
                with_key = self.settings.make_read()
                finish(self._manager().download(self.bucket, key, target, extra_args=with_key))
            return
        with self.open_reader(key, body) as reader:
            while chunk := reader.read(CHUNK_BYTES):
                target.write(chunk)

    def head(self, key: str) -> ObjectInfo:
        try:
            with self.translate_errors(key):
                found = self.client().head_object(
                    Bucket=self.bucket, Key=key, **self.settings.make_read()
                )
        except ObjectMissing:
            self._must_exist()
            raise
        self._seen.add(self.where)
        return _describe_head(key, found)

    def matches(self, info: ObjectInfo, file: Path) -> bool | None:
        def look(wanted: Options) -> Options:
            wanted = {**wanted, **self.settings.make_read()}
            with self.translate_errors(info.path):
                return self.client().head_object(Bucket=self.bucket, Key=info.path, **wanted)

        return matches_object(info, file, look)

    def _must_exist(self) -> None:
        """Raise if the bucket is missing: the response to a HEAD has no body that says so."""
        if self.where in self._seen:
            return
        try:
            with self.translate_errors():
                self.client().head_bucket(Bucket=self.bucket)
        except BucketMissing:
            raise
        except FlowstoneError:
            return  # the credentials may not look whether it exists
        self._seen.add(self.where)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for page in self._pages("list_objects_v2", {"Prefix": prefix}):
            yield from map(_describe, page.get("Contents", ()))

    def _pages(self, operation: Listing, wanted: Options) -> Iterator[Options]:
        with self.translate_errors():
            pages = self.client().get_paginator(operation)
            found: Iterator[Options] = iter(
                pages.paginate(Bucket=self.bucket, **wanted, **self.settings.make_payer())
            )
        while True:
            with self.translate_errors():
                page = next(found, None)
            if page is None:
                return
            self._seen.add(self.where)
            yield page

    def list_level(self, prefix: str) -> Iterator[ObjectInfo | FolderInfo]:
        for page in self._pages("list_objects_v2", {"Prefix": prefix, "Delimiter": "/"}):
            found: list[ObjectInfo | FolderInfo] = [
                FolderInfo(item["Prefix"]) for item in page.get("CommonPrefixes", ())
            ]
            found += [_describe(item) for item in page.get("Contents", ())]
            yield from sorted(found, key=lambda info: info.path)

    # -- versions --------------------------------------------------------------------------------

    def list_versions(self, key: str) -> Iterator[ObjectVersion]:
        found: list[tuple[Options, bool]] = []
        for page in self._pages("list_object_versions", {"Prefix": key}):
            found += [(item, False) for item in page.get("Versions", ()) if item["Key"] == key]
            found += [(item, True) for item in page.get("DeleteMarkers", ()) if item["Key"] == key]
        # S3 lists both in one order, the newest first; the SDK splits it into two lists.
        found.sort(key=lambda item: item[0]["LastModified"], reverse=True)
        found.sort(key=lambda item: not item[0]["IsLatest"])
        for item, is_deleted in found:
            yield ObjectVersion(
                key,
                item["VersionId"],
                item["LastModified"],
                item.get("Size", 0),
                _etag(item),
                is_current=item["IsLatest"] and not is_deleted,
                is_deleted=is_deleted,
            )

    def get_version(self, key: str, version: str) -> ObjectBody:
        with self._reach_version(key, version):
            answer = self.client().get_object(
                Bucket=self.bucket, Key=key, VersionId=version, **self.settings.make_read()
            )
        etag = _etag(answer)
        return make_body(
            answer["Body"], answer["ContentLength"], etag, lambda: self.translate_errors(key)
        )

    def restore(self, key: str, version: str) -> None:
        client = self.client()
        source: Options = {"Bucket": self.bucket, "Key": key, "VersionId": version}
        with self._reach_version(key, version):
            found = client.head_object(**source, **self.settings.make_read())
            origin = {**source, "ETag": found["ETag"]}
            self._copy(client, origin, key, found["ContentLength"], self.settings)

    @contextmanager
    def _reach_version(self, key: str, version: str) -> Iterator[None]:
        try:
            with self.translate_errors(key):
                yield
        except StorageError as error:
            code = read_code(error.__cause__)
            if code in _NO_VERSION:
                problem = f"there is no version {version!r} of it"
                remedy = "`versions` shows what is there."
                raise ObjectMissing(f"{self.where}/{key}", problem, remedy) from error.__cause__
            raise

    # -- writing ---------------------------------------------------------------------------------

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        self._write(key, source, size, WriteOptions())

    def write(self, key: str, source: BinaryIO, size: int | None, options: WriteOptions) -> None:
        self._write(key, source, size, options)

    def _write(self, key: str, source: BinaryIO, size: int | None, options: WriteOptions) -> None:
        given = self.settings.make_write(key, options)
        condition: Options = {}
        if options.is_new:
            condition = {"IfNoneMatch": "*"}
        elif options.if_match is not None:
            condition = {"IfMatch": f'"{options.if_match}"'}
        try:
            with self.translate_errors(key), self._record_uploads(key):
                self._send(key, source, size, given, condition)
        except StorageError as error:
            code = read_code(error.__cause__)
            if options.is_new and code in _UNMET:
                raise ObjectExists(f"{self.where}/{key}") from error.__cause__
            if options.if_match and (code in _UNMET or isinstance(error, ObjectMissing)):
                raise ObjectChanged(f"{self.where}/{key}") from error.__cause__
            raise
        self._seen.add(self.where)

    def _send(
        self,
        key: str,
        source: BinaryIO,
        size: int | None,
        options: Options,
        condition: Options,
    ) -> None:
        target: Options = {"Bucket": self.bucket, "Key": key}
        file = find_file(source)
        if size is not None and size <= (SMALL_BYTES if file and not condition else PART_BYTES):
            body = source.read()
            if condition or not self._small.put(key, body, make_attributes(options)):
                self.client().put_object(**target, Body=body, **options, **condition)
        elif condition:
            upload_in_parts(self.client(), source, target, options, condition)
        else:
            content = file or leave_open(source)
            finish(self._manager().upload(content, self.bucket, key, extra_args=dict(options)))

    def delete(self, keys: Sequence[str]) -> None:
        together = [key for key in keys if len(keys) > 1 and not _NOT_IN_XML.search(key)]
        for key in set(keys).difference(together):
            with self.translate_errors(key):
                self.client().delete_object(
                    Bucket=self.bucket, Key=key, **self.settings.make_payer()
                )
        if not together:
            return
        with self.translate_errors():
            answer = self.client().delete_objects(
                Bucket=self.bucket,
                Delete={"Objects": [{"Key": key} for key in together], "Quiet": True},
                **self.settings.make_payer(),
            )
        for failed in answer.get("Errors", ())[:1]:
            raise make_refusal(failed, self.where, self._describe_login)

    def copy(self, source: ObjectStoreProvider, source_key: str, key: str) -> None:
        # A server-side copy is one request, whose credentials have to read there and write here.
        if not isinstance(source, S3Provider) or source.credentials != self.credentials:
            super().copy(source, source_key, key)
            return
        found = source.head(source_key)
        origin = {"Bucket": source.bucket, "Key": source_key, "ETag": f'"{found.etag}"'}
        with self.translate_errors(key):
            self._copy(self.client(), origin, key, found.size, source.settings)

    def _copy(
        self, client: S3Client, origin: Options, key: str, size: int, source: S3Settings
    ) -> None:
        target = {"Bucket": self.bucket, "Key": key}
        kept = self.settings.make_copy(source)
        if size <= transfers.COPY_BYTES:
            copy_whole(client, origin, target, kept)
        else:
            with self._record_uploads(key):
                copy_in_parts(client, origin, target, size, kept)

    def _record_uploads(self, key: str) -> AbstractContextManager[None]:
        return record_uploads(self.settings.block, self.bucket, key)

    def abort_upload(self, key: str, upload: str) -> None:
        """Abort a multipart upload; ignore one that S3 no longer knows."""
        try:
            with self.translate_errors(key):
                self.client().abort_multipart_upload(
                    Bucket=self.bucket, Key=key, UploadId=upload, **self.settings.make_payer()
                )
        except StorageError as error:
            if read_code(error.__cause__) not in {"NoSuchUpload", "NoSuchBucket", "404"}:
                raise

    def presign(self, key: str, method: str, expires_seconds: int) -> str:
        check_signing(f"{self.where}/{key}", self.settings, expires_seconds)
        with self.translate_errors(key):
            target = {"Bucket": self.bucket, "Key": key, **self.settings.make_payer()}
            return sign_url(self.client(), method, target, expires_seconds)


def check_range(where: str, answer: GetObjectOutputTypeDef, offset: int) -> None:
    """Check that a response contains the requested range, and not the whole object."""
    if not answer.get("ContentRange", "").startswith(f"bytes {offset}-"):
        answer["Body"].close()
        raise StorageError(
            where,
            f"the service ignored the Range header (bytes={offset}-)",
            "Check endpoint_url: the service must support range requests.",
        )


def _describe_head(key: str, found: HeadObjectOutputTypeDef) -> ObjectInfo:
    return ObjectInfo(
        key,
        found["ContentLength"],
        found["LastModified"],
        _etag(found),
        content_type=found.get("ContentType"),
        metadata=found["Metadata"],
        storage_class=found.get("StorageClass"),
        version=found.get("VersionId"),
    )


def _describe(item: Options) -> ObjectInfo:
    return ObjectInfo(
        item["Key"],
        item["Size"],
        item["LastModified"],
        _etag(item),
        storage_class=item.get("StorageClass"),
    )


def _etag(found: Options) -> str | None:
    etag: str | None = found.get("ETag")
    return etag.strip('"') if etag else None
