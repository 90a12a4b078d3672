"""GcsBucket: a bucket in Google Cloud Storage, as an object store."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, field_validator, model_validator

from flowstone.blocks.async_twins import make_twin
from flowstone.blocks.object_stores import EncryptionKey, ExactKey, ObjectStore
from flowstone.blocks.object_stores.paths import is_exact
from flowstone.errors import PathInvalid
from flowstone_gcp.cloud_storage_provider import GcsProvider
from flowstone_gcp.cloud_storage_settings import GcsSettings
from flowstone_gcp.credentials import GcpCredentials
from flowstone_gcp.dataframes import DataFrameSerializationFormat, find_format, serialize

if TYPE_CHECKING:
    from flowstone.blocks.object_stores.paths import ObjectPath


#: https://cloud.google.com/kms/docs/getting-resource-ids
_KMS_KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")


class GcsBucket(ObjectStore):
    """A bucket in Google Cloud Storage, or a folder in one.

    Content is read and written as it is stored: an object uploaded with
    ``Content-Encoding: gzip`` is not decompressed.
    """

    _block_type_name: ClassVar[str | None] = "GCS Bucket"
    _description: ClassVar[str | None] = "A bucket in Google Cloud Storage."
    _code_example: ClassVar[str | None] = (
        'GcsBucket(bucket="raw", bucket_folder="2026").save("raw")\n'
        'GcsBucket.load("raw").write_path("a.txt", b"hello")'
    )

    #: 2: `storage_class`, `kms_key`, `encryption_key` and `requester_pays` were added.
    schema_version: ClassVar[int] = 2

    bucket: str = Field(min_length=1, description="The bucket's name, or gs://bucket/folder.")
    gcp_credentials: GcpCredentials = Field(
        default_factory=GcpCredentials,
        description="The credentials; by default, application default credentials.",
    )
    bucket_folder: str = Field(default="", description="The folder that all paths are in.")
    storage_class: str | None = Field(
        default=None,
        description="The storage class of new objects, such as NEARLINE; the bucket's default if "
        "empty.",
    )
    kms_key: str | None = Field(
        default=None,
        description="The Cloud KMS key that new objects are encrypted with: "
        "projects/…/locations/…/keyRings/…/cryptoKeys/….",
    )
    encryption_key: EncryptionKey = Field(
        default=None,
        description="Your own key (CSEK), which Google does not store: 32 bytes, as bytes or in "
        "Base64. Objects are encrypted and decrypted with it.",
    )
    requester_pays: bool = Field(
        default=False,
        description="Whether the quota_project of the credentials, or else their project, pays "
        "for requests to a bucket of another owner.",
    )

    #: Buckets known to exist: a 404 there means a missing object, not a missing bucket.
    _seen: set[str] = PrivateAttr(default_factory=set)

    @model_validator(mode="before")
    @classmethod
    def _take_address(cls, values: Any) -> Any:
        """Split ``gs://bucket/folder``; a separate `bucket_folder` is relative to its folder."""
        name = values.get("bucket") if isinstance(values, dict) else None
        if not isinstance(name, str):
            return values
        name, _, folder = name.strip().removeprefix("gs://").partition("/")
        inner = values.get("bucket_folder")
        if folder.strip("/"):
            inner = f"{folder.strip('/')}/{inner.lstrip('/')}" if inner else folder
        return {**values, "bucket": name, "bucket_folder": inner or ""}

    @model_validator(mode="before")
    @classmethod
    def _has_no_tags(cls, values: object) -> object:
        if isinstance(values, dict) and "tags" in values:
            raise ValueError(
                "objects of Cloud Storage have no tags: write them with metadata={'team': 'data'}"
            )
        return values

    @field_validator("kms_key")
    @classmethod
    def _is_a_kms_key(cls, value: str | None) -> str | None:
        if value and not _KMS_KEY.fullmatch(value):
            raise ValueError(
                "it must be projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"
            )
        return value or None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.kms_key and self.encryption_key is not None:
            raise ValueError("kms_key and encryption_key can't be combined: set one of them")
        return self

    @property
    def basepath(self) -> str:
        """The folder without leading and trailing slashes; empty for the whole bucket."""
        return self.make_provider().make_prefix().removesuffix("/")

    @classmethod
    def parse_uri(cls, uri: str) -> dict[str, str]:
        parts = urlsplit(uri)
        if not parts.netloc:
            raise PathInvalid(uri, "it names no bucket", "Write gs://bucket/folder.")
        return {"bucket": parts.netloc, "bucket_folder": uri.partition(parts.netloc)[2][1:]}

    def find_bucket(self, name: str) -> GcsBucket:
        """Return another bucket with the same credentials, by its name, with no folder set."""
        return self.model_copy(update={"bucket": name, "bucket_folder": ""})

    def make_provider(self) -> GcsProvider:
        settings = GcsSettings(
            f"gs://{self.bucket}",
            self.storage_class,
            self.kms_key,
            self.encryption_key,
            self.requester_pays,
        )
        return GcsProvider(
            self.bucket, self.gcp_credentials, self.bucket_folder, settings, self._seen
        )

    def get_bucket(self) -> Any:
        """Return the bucket of google-cloud-storage, without a request."""
        return self.make_provider().sdk_bucket()

    def create_bucket(self, /, location: str | None = None, **create_kwargs: Any) -> Any:
        """Create the bucket, and return the bucket of google-cloud-storage.

        Args:
            location: its location, such as ``EU`` or ``europe-west1``; by default Google's.
            **create_kwargs: other arguments of `google.cloud.storage.Client.create_bucket`.

        Raises:
            StorageError: the bucket already exists, possibly in another account.
            CredentialsError: there is no project to create it in.
        """
        provider = self.make_provider()
        return provider.retry_refused(lambda: provider.create(location, create_kwargs))

    def list_blobs(self, folder: ObjectPath = "") -> list[Any]:
        """Return the objects in a folder and its subfolders, as blobs of google-cloud-storage."""
        provider = self.make_provider()
        prefix = provider.make_prefix(folder)
        return provider.retry_refused(lambda: list(provider.walk(prefix)))

    def list_folders(self, folder: ObjectPath = "") -> list[str]:
        """Return the sorted paths of the folder and all its subfolders that contain objects."""
        found = {
            "/".join(parts[:depth])
            for info in self.list_objects(folder)
            if (parts := info.path.split("/"))
            for depth in range(1, len(parts))
        }
        provider = self.make_provider()
        above = provider.make_prefix(folder).removeprefix(provider.make_prefix()).rstrip("/")
        return sorted(name for name in found if len(name) >= len(above))

    def upload_from_dataframe(
        self,
        /,
        df: object,
        to_path: ObjectPath,
        serialization_format: str | DataFrameSerializationFormat = (
            DataFrameSerializationFormat.CSV_GZIP
        ),
        **upload_kwargs: object,
    ) -> str:
        """Upload a DataFrame as CSV or Parquet, without its index; return the object's path.

        A large DataFrame is written to a temporary file first, to save memory.

        Args:
            df: a pandas or polars DataFrame.
            to_path: the object; it gets the extension of the format, such as ``cities.csv.gz``.
            serialization_format: one of the formats, or its name, such as ``parquet_snappy``.
            **upload_kwargs: other arguments of `google.cloud.storage.Blob.upload_from_file`.

        Raises:
            StorageError: the format is unknown, the DataFrame can't be written in it, or Cloud
                Storage refused the request.
            MissingExtra: Parquet from pandas needs pyarrow.
        """
        kind = find_format(serialization_format)
        provider = self.make_provider()
        key = kind.fix_extension_with(provider.make_key(to_path))
        with serialize(df, kind, f"{provider.where}/{key}") as file:
            options = {"content_type": kind.content_type, **upload_kwargs}
            provider.retry_refused(
                lambda: provider.send(key, file.content, file.size, {}, options), file.content
            )
        path = key.removeprefix(provider.make_prefix())
        return ExactKey(path) if is_exact(to_path) else path

    aget_bucket, acreate_bucket = make_twin(get_bucket), make_twin(create_bucket)
    alist_blobs, alist_folders, aupload_from_dataframe = (
        make_twin(list_blobs),
        make_twin(list_folders),
        make_twin(upload_from_dataframe),
    )
