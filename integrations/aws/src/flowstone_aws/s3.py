"""S3Bucket: a bucket of S3, or of a service that speaks S3, as an object store."""

from __future__ import annotations

import mimetypes
import re
from io import BufferedIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, field_validator

from flowstone.blocks.object_stores import (
    CHUNK_BYTES,
    ObjectInfo,
    ObjectStore,
    ObjectStoreProvider,
)
from flowstone.errors import BucketMissing, FlowstoneError, ObjectMissing, StorageError
from flowstone_aws import transfers
from flowstone_aws.credentials import AwsCredentials, MinIOCredentials
from flowstone_aws.errors import make_refusal, read_code, translate_errors
from flowstone_aws.transfers import (
    PART_BYTES,
    copy_in_parts,
    copy_whole,
    find_file,
    finish,
    leave_open,
    make_manager,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from botocore.response import StreamingBody
    from s3transfer.manager import TransferManager
    from types_boto3_s3.client import S3Client

    from flowstone_aws.logins import Login

WEEK = 7 * 24 * 3600
READ_BYTES = 128 * 1024
#: What a key may have, and a list of keys in XML may not.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
#: Options of a new object that a server-side copy takes too.
_KEPT = frozenset(
    """
    ACL BucketKeyEnabled ExpectedBucketOwner GrantFullControl GrantRead GrantReadACP GrantWriteACP
    RequestPayer SSEKMSEncryptionContext SSEKMSKeyId ServerSideEncryption StorageClass
    """.split()  # noqa: SIM905 - a list of so many words reads better as text
)
_OPTIONS = _KEPT | frozenset(
    """
    CacheControl ChecksumAlgorithm ContentDisposition ContentEncoding ContentLanguage ContentType
    Metadata ObjectLockLegalHoldStatus ObjectLockMode Tagging WebsiteRedirectLocation
    """.split()  # noqa: SIM905
)


class S3Bucket(ObjectStore):
    """A bucket of S3, or of a service that speaks S3, and a folder in it.

    Large objects go up and down in parts, several at a time, with less than 100 MB in memory.
    """

    _block_type_name: ClassVar[str | None] = "S3 Bucket"
    _description: ClassVar[str | None] = "A bucket of S3, or of a service that speaks S3."
    _code_example: ClassVar[str | None] = (
        'S3Bucket(bucket_name="raw", bucket_folder="2026").save("raw")\n'
        'S3Bucket.load("raw").write_path("a.txt", b"hello")'
    )

    bucket_name: str = Field(min_length=1, description="The bucket's name.")
    credentials: AwsCredentials | MinIOCredentials = Field(
        default_factory=AwsCredentials, description="The login; by default, the SDK's own chain."
    )
    bucket_folder: str = Field(default="", description="The folder that all paths are in.")
    upload_options: dict[str, Any] = Field(
        default_factory=dict,
        description="What S3 is told of each new object, in its own words: "
        '{"StorageClass": "STANDARD_IA", "ServerSideEncryption": "aws:kms"}.',
    )

    #: Buckets that were there once: an object missing there need not be told from the bucket.
    _seen: set[str] = PrivateAttr(default_factory=set)

    @field_validator("bucket_name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        name = value.strip().removeprefix("s3://").rstrip("/")
        if "/" in name and not name.startswith("arn:"):
            raise ValueError("it is the bucket's name alone; the rest belongs to bucket_folder")
        return name

    @field_validator("upload_options")
    @classmethod
    def _are_known(cls, value: dict[str, object]) -> dict[str, object]:
        unknown = sorted(set(value) - _OPTIONS)
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(sorted(_OPTIONS))}")
        return value

    @property
    def basepath(self) -> str:
        """The folder as S3 has it: empty, or without a slash at its ends."""
        return self.make_provider().make_prefix().removesuffix("/")

    def make_provider(self) -> S3Provider:
        return S3Provider(
            self.bucket_name, self.credentials, self.bucket_folder, self.upload_options, self._seen
        )


class S3Provider(ObjectStoreProvider):
    """The objects of one bucket by their whole keys.

    Args:
        bucket: its name.
        credentials: the login.
        folder: that all paths are in.
        options: what S3 is told of each new object.
        seen: the `where` of buckets that were there once; it is added to.
    """

    def __init__(
        self,
        bucket: str,
        credentials: AwsCredentials | MinIOCredentials,
        folder: str,
        options: transfers.Options,
        seen: set[str],
    ) -> None:
        self.bucket, self.credentials, self.folder = bucket, credentials, folder
        self.urls = [f"s3://{bucket}"]
        self._options, self._seen = options, seen

    @property
    def where(self) -> str:
        endpoint = self.credentials.aws_client_parameters.endpoint_url
        return f"{endpoint}/{self.bucket}" if endpoint else f"s3://{self.bucket}"

    def identify(self, key: str) -> tuple[str, str]:
        # The endpoints of AWS, with a region or without, lead to the same bucket.
        endpoint = (self.credentials.aws_client_parameters.endpoint_url or "").rstrip("/").lower()
        host = urlsplit(endpoint).hostname or ""
        is_aws = not host or host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        return f"{'' if is_aws else endpoint}/{self.bucket}", key

    def client(self) -> S3Client:
        """Return boto3's client, the same one each time."""
        return self.credentials.client("s3")

    def translate_errors(self, key: str | None = None) -> AbstractContextManager[None]:
        """Turn what the SDK raises inside into `StorageError`, `CredentialsError` and their kin."""
        return translate_errors(self.where, self._describe_login, key)

    def _login(self) -> Login:
        return self.credentials._login()  # noqa: SLF001 - one package

    def _describe_login(self) -> str:
        return self._login().who()

    def _manager(self) -> TransferManager:
        login = self._login()
        return login.get_or_make("transfers", lambda: make_manager(login.client("s3")))

    # -- reading ---------------------------------------------------------------------------------

    def get(self, key: str, offset: int = 0) -> _Body:
        wanted = {"Range": f"bytes={offset}-"} if offset else {}
        try:
            with self.translate_errors(key):
                answer = self.client().get_object(Bucket=self.bucket, Key=key, **wanted)  # type: ignore[arg-type]
        except StorageError as error:
            if offset and read_code(error.__cause__) in {"InvalidRange", "416"}:
                etag = self.head(key).etag
                return _Body(None, 0, etag, lambda: self.translate_errors(key))
            raise
        self._seen.add(self.where)
        if offset and not answer.get("ContentRange", "").startswith(f"bytes {offset}-"):
            answer["Body"].close()
            problem = f"the service ignored the Range header (bytes={offset}-)"
            raise StorageError(
                f"{self.where}/{key}",
                problem,
                "Check endpoint_url: the service must support range requests.",
            )
        return _Body(
            answer["Body"],
            answer["ContentLength"],
            _etag(answer),
            lambda: self.translate_errors(key),
        )

    def download(self, key: str, target: BinaryIO) -> None:
        body = self.get(key)
        if body.length > PART_BYTES and target.seekable():
            body.close()
            with self.translate_errors(key):
                finish(self._manager().download(self.bucket, key, target))
            return
        with self.open_reader(key, body) as reader:
            while chunk := reader.read(CHUNK_BYTES):
                target.write(chunk)

    def head(self, key: str) -> ObjectInfo:
        try:
            with self.translate_errors(key):
                found = self.client().head_object(Bucket=self.bucket, Key=key)
        except ObjectMissing:
            self._must_exist()
            raise
        self._seen.add(self.where)
        return ObjectInfo(key, found["ContentLength"], found["LastModified"], _etag(found))

    def _must_exist(self) -> None:
        """Raise where the bucket is missing: the answer to a HEAD has no body that says so."""
        if self.where in self._seen:
            return
        try:
            with self.translate_errors():
                self.client().head_bucket(Bucket=self.bucket)
        except BucketMissing:
            raise
        except FlowstoneError:
            return  # whether it is there, these credentials may not know
        self._seen.add(self.where)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self.translate_errors():
            pages = self.client().get_paginator("list_objects_v2")
            found = iter(pages.paginate(Bucket=self.bucket, Prefix=prefix))
        while True:
            with self.translate_errors():
                page = next(found, None)
            if page is None:
                return
            self._seen.add(self.where)
            for item in page.get("Contents", ()):
                yield ObjectInfo(item["Key"], item["Size"], item["LastModified"], _etag(item))

    # -- writing ---------------------------------------------------------------------------------

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        options = {**_content_type(key), **self._options}
        with self.translate_errors(key):
            if size is not None and size <= PART_BYTES:
                content = source.read()
                self.client().put_object(Bucket=self.bucket, Key=key, Body=content, **options)
            else:
                upload = self._manager().upload(
                    find_file(source) or leave_open(source), self.bucket, key, extra_args=options
                )
                finish(upload)
        self._seen.add(self.where)

    def delete(self, keys: Sequence[str]) -> None:
        together = [key for key in keys if len(keys) > 1 and not _NOT_IN_XML.search(key)]
        for key in set(keys).difference(together):
            with self.translate_errors(key):
                self.client().delete_object(Bucket=self.bucket, Key=key)
        if not together:
            return
        with self.translate_errors():
            answer = self.client().delete_objects(
                Bucket=self.bucket,
                Delete={"Objects": [{"Key": key} for key in together], "Quiet": True},
            )
        for failed in answer.get("Errors", ())[:1]:
            raise make_refusal(failed, self.where, self._describe_login)

    def copy(self, source: ObjectStoreProvider, source_key: str, key: str) -> None:
        # A server-side copy is one request by one login, which has to read there and write here.
        if not isinstance(source, S3Provider) or source.credentials != self.credentials:
            super().copy(source, source_key, key)
            return
        found = source.head(source_key)
        client = self.client()
        origin = {"Bucket": source.bucket, "Key": source_key, "ETag": f'"{found.etag}"'}
        target = {"Bucket": self.bucket, "Key": key}
        kept = {name: value for name, value in self._options.items() if name in _KEPT}
        with self.translate_errors(key):
            if found.size <= transfers.COPY_BYTES:
                copy_whole(client, origin, target, kept)
            else:
                copy_in_parts(client, origin, target, found.size, kept)

    def presign(self, key: str, method: str, expires_seconds: int) -> str:
        if not 1 <= expires_seconds <= WEEK:
            raise StorageError(
                f"{self.where}/{key}",
                f"a presigned URL can't last {expires_seconds!r} seconds",
                f"S3 allows 1 to {WEEK}, a week.",
            )
        operation = {"GET": "get_object", "PUT": "put_object"}[method]
        with self.translate_errors(key):
            return self.client().generate_presigned_url(
                operation,
                Params={"Bucket": self.bucket, "Key": key},
                ExpiresIn=expires_seconds,
            )


class _Body(BufferedIOBase):
    """An answer's content as a file; what breaks in it is told as ours."""

    def __init__(
        self,
        body: StreamingBody | None,
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
            # What has come before a break is lost with the call, so calls are small.
            return self._body.read(None if size is None or size < 0 else min(size, READ_BYTES))

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
        super().close()


def _etag(found: Any) -> str | None:
    etag: str | None = found.get("ETag")
    return etag.strip('"') if etag else None


def _content_type(key: str) -> dict[str, str]:
    kind, encoding = mimetypes.guess_type(key)
    return {"ContentType": kind} if kind and not encoding else {}
