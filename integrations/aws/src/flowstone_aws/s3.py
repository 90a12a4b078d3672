"""S3Bucket: a bucket of S3, or of a service that speaks S3, as an object store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, field_validator

from flowstone.blocks.object_stores import ObjectStore
from flowstone.errors import PathInvalid
from flowstone_aws.credentials import AwsCredentials, MinIOCredentials
from flowstone_aws.s3_provider import KEPT, S3Provider

_OPTIONS = KEPT | frozenset(
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

    schema_version: ClassVar[int] = 2
    migrations: ClassVar[Mapping[int, Callable[[dict[str, object]], dict[str, object]]]] = {1: dict}

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

    use_obstore: bool = Field(
        default=True,
        description="Whether obstore moves small objects if it is installed "
        '(pip install "flowstone-aws[fast]"); without it, the SDK does.',
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

    @classmethod
    def parse_uri(cls, uri: str) -> dict[str, str]:
        parts = urlsplit(uri)
        if not parts.netloc:
            raise PathInvalid(uri, "it names no bucket", "Write s3://bucket/folder.")
        return {"bucket_name": parts.netloc, "bucket_folder": uri.partition(parts.netloc)[2][1:]}

    def make_provider(self) -> S3Provider:
        return S3Provider(
            self.bucket_name,
            self.credentials,
            self.bucket_folder,
            self.upload_options,
            self._seen,
            use_obstore=self.use_obstore,
        )
