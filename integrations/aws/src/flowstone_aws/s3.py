"""S3Bucket: a bucket in Amazon S3 or an S3-compatible service, as an object store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, field_validator, model_validator

from flowstone.blocks.external_work import name_block
from flowstone.blocks.object_stores import EncryptionKey, ObjectStore, Tags
from flowstone.errors import PathInvalid
from flowstone_aws.credentials import AwsCredentials, MinIOCredentials
from flowstone_aws.s3_provider import S3Provider
from flowstone_aws.s3_settings import SAME, UPLOAD_OPTIONS, S3Settings
from flowstone_aws.uploads import parse_handle_id

if TYPE_CHECKING:
    from flowstone.records.events import ExternalHandle


class S3Bucket(ObjectStore):
    """A bucket in Amazon S3 or an S3-compatible service, and a folder in it.

    Large objects are transferred in parts, in parallel, using less than 100 MB of memory.
    """

    _block_type_name: ClassVar[str | None] = "S3 Bucket"
    _description: ClassVar[str | None] = "A bucket in Amazon S3 or an S3-compatible service."
    _code_example: ClassVar[str | None] = (
        'S3Bucket(bucket_name="raw", bucket_folder="2026").save("raw")\n'
        'S3Bucket.load("raw").write_path("a.txt", b"hello")'
    )

    #: 2: the fields from `storage_class` to `requester_pays`, and `use_obstore`, were added.
    schema_version: ClassVar[int] = 2
    migrations: ClassVar[Mapping[int, Callable[[dict[str, object]], dict[str, object]]]] = {1: dict}

    bucket_name: str = Field(min_length=1, description="The bucket's name.")
    credentials: AwsCredentials | MinIOCredentials = Field(
        default_factory=AwsCredentials, description="The credentials; by default, boto3 finds them."
    )
    bucket_folder: str = Field(default="", description="The folder that all paths are in.")
    storage_class: str | None = Field(
        default=None,
        description="The storage class of new objects, such as STANDARD_IA; S3's default if empty.",
    )
    kms_key: str | None = Field(
        default=None,
        description="The KMS key that new objects are encrypted with: its ARN, id or alias.",
    )
    encryption_key: EncryptionKey = Field(
        default=None,
        description="Your own key (SSE-C), which S3 does not store: 32 bytes, as bytes or in "
        "Base64. Objects are encrypted and decrypted with it.",
    )
    tags: Tags = Field(default_factory=dict, description="The tags of new objects.")
    requester_pays: bool = Field(
        default=False, description="Whether to pay for requests to a bucket of another owner."
    )
    upload_options: dict[str, Any] = Field(
        default_factory=dict,
        description="Other parameters for new objects, as boto3 names them: "
        '{"CacheControl": "no-cache", "ServerSideEncryption": "aws:kms:dsse"}.',
    )

    use_obstore: bool = Field(
        default=True,
        description="Whether obstore transfers small objects if it is installed "
        '(pip install "flowstone-aws[fast]"); without it, the SDK does.',
    )

    #: Buckets known to exist: a missing object there needs no check for a missing bucket.
    _seen: set[str] = PrivateAttr(default_factory=set)

    @field_validator("bucket_folder", mode="before")
    @classmethod
    def _may_be_none(cls, value: object) -> object:
        return "" if value is None else value

    @field_validator("bucket_name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        name = value.strip().removeprefix("s3://").rstrip("/")
        if "/" in name and not name.startswith("arn:"):
            raise ValueError("it must be the bucket's name only; put a folder into bucket_folder")
        return name

    @field_validator("upload_options")
    @classmethod
    def _are_known(cls, value: dict[str, object]) -> dict[str, object]:
        unknown = sorted(set(value) - UPLOAD_OPTIONS)
        if unknown and unknown[0].startswith("SSECustomer"):
            raise ValueError("a customer's key is a secret: use the field encryption_key")
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not one of {', '.join(sorted(UPLOAD_OPTIONS))}")
        return value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.kms_key and self.encryption_key is not None:
            raise ValueError("kms_key and encryption_key can't be combined: set one of them")
        for name, words in SAME.items():
            double = [word for word in words if word in self.upload_options]
            if getattr(self, name) and double:
                raise ValueError(
                    f"{name} and {double[0]!r} in upload_options can't be combined: set one of them"
                )
        if self.kms_key and self.upload_options.get("ServerSideEncryption") == "AES256":
            raise ValueError("kms_key can't be combined with AES256: use 'aws:kms', or no kms_key")
        return self

    @property
    def basepath(self) -> str:
        """The folder as S3 stores it: empty, or without slashes at its ends."""
        return self.make_provider().make_prefix().removesuffix("/")

    @classmethod
    def parse_uri(cls, uri: str) -> dict[str, str]:
        parts = urlsplit(uri)
        if not parts.netloc:
            raise PathInvalid(uri, "it names no bucket", "Write s3://bucket/folder.")
        return {"bucket_name": parts.netloc, "bucket_folder": uri.partition(parts.netloc)[2][1:]}

    def cancel_external(self, handle: ExternalHandle) -> None:
        """Abort a multipart upload that a killed process left; `flowstone run cleanup` calls it.

        Raises:
            StorageError: S3 refused the request.
        """
        bucket, key, upload = parse_handle_id(handle.id)
        self._make_provider(bucket).abort_upload(key, upload)

    def find_bucket(self, name: str) -> S3Bucket:
        """Return another bucket with the same credentials, by its name, with no folder set."""
        return self.model_copy(update={"bucket_name": name, "bucket_folder": ""})

    def make_provider(self) -> S3Provider:
        return self._make_provider(self.bucket_name)

    def _make_provider(self, bucket: str) -> S3Provider:
        settings = S3Settings(
            f"s3://{bucket}",
            name_block(self),
            self.upload_options,
            self.storage_class,
            self.kms_key,
            self.encryption_key,
            self.tags,
            self.requester_pays,
        )
        return S3Provider(
            bucket,
            self.credentials,
            self.bucket_folder,
            settings,
            self._seen,
            use_obstore=self.use_obstore,
        )
