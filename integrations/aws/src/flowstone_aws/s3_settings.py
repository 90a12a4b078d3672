"""The parameters of S3's requests that the fields of an `S3Bucket` require.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html lists
the requests that need a customer-supplied key; according to RequesterPaysBuckets.html, each request
has to accept the charges.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flowstone.blocks.object_stores import read_encryption_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from flowstone.blocks.object_stores import WriteOptions
    from flowstone_aws.transfers import Options

#: Options of a new object that also apply to a server-side copy.
KEPT = frozenset(
    """
    ACL BucketKeyEnabled ExpectedBucketOwner GrantFullControl GrantRead GrantReadACP GrantWriteACP
    RequestPayer SSEKMSEncryptionContext SSEKMSKeyId ServerSideEncryption StorageClass
    SSECustomerAlgorithm SSECustomerKey SSECustomerKeyMD5
    """.split()
)
#: Options that `upload_options` accepts.
UPLOAD_OPTIONS = (
    KEPT
    | frozenset(
        """
    CacheControl ChecksumAlgorithm ContentDisposition ContentEncoding ContentLanguage ContentType
    Metadata ObjectLockLegalHoldStatus ObjectLockMode Tagging WebsiteRedirectLocation
    """.split()
    )
) - {"SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5"}
#: Options that can't be in `upload_options` together with a field that sets the same.
SAME = {
    "storage_class": ("StorageClass",),
    "kms_key": ("SSEKMSKeyId",),
    "encryption_key": (
        "BucketKeyEnabled",
        "SSEKMSEncryptionContext",
        "SSEKMSKeyId",
        "ServerSideEncryption",
    ),
    "tags": ("Tagging",),
    "requester_pays": ("RequestPayer",),
}


@dataclass(frozen=True, slots=True)
class S3Settings:
    """The fields of an `S3Bucket` that become parameters of requests.

    Attributes:
        where: the bucket, for messages.
        block: recorded with unfinished uploads: ``type/name`` of the block, or only its
            ``type`` if it is not saved.
    """

    where: str
    block: str
    upload_options: Options = field(default_factory=dict)
    storage_class: str | None = None
    kms_key: str | None = None
    encryption_key: SecretStr | None = field(default=None, repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
    requester_pays: bool = False

    def make_payer(self) -> Options:
        """Return the parameters of a request that does not read or write an object's content."""
        return {"RequestPayer": "requester"} if self.requester_pays else {}

    def is_paid_by_requester(self) -> bool:
        """Return whether the requester pays, by the field or by the upload options."""
        return "RequestPayer" in {**self.upload_options, **self.make_payer()}

    def make_object(self) -> Options:
        """Return the parameters of an object, for tools that access the bucket directly."""
        return {n: value for n, value in self._make_new().items() if n != "RequestPayer"}

    def make_read(self) -> Options:
        """Return the parameters for reading an object or its properties."""
        return {**self.make_payer(), **self._make_key("SSECustomer")}

    def make_write(self, key: str, options: WriteOptions) -> Options:
        """Return the parameters for a new object, except its condition."""
        given: dict[str, object] = {**_guess_type(key), **self._make_new()}
        if options.content_type:
            given["ContentType"] = options.content_type
        if options.metadata:
            given["Metadata"] = {**self.upload_options.get("Metadata", {}), **options.metadata}
        return given

    def _make_new(self) -> Options:
        given = {**self.upload_options, **self.make_read()}
        if self.storage_class:
            given["StorageClass"] = self.storage_class
        if self.kms_key:
            given["SSEKMSKeyId"] = self.kms_key
            given.setdefault("ServerSideEncryption", "aws:kms")
        if self.tags:
            given["Tagging"] = urlencode(self.tags)
        return given

    def make_copy(self, source: S3Settings) -> Options:
        """Return the parameters for a copy of an object that was written with other settings."""
        written = self._make_new()
        given = {name: value for name, value in written.items() if name in KEPT}
        if self.tags:
            given |= {"Tagging": written["Tagging"], "TaggingDirective": "REPLACE"}
        return {**given, **source.make_payer(), **source._make_key("CopySourceSSECustomer")}

    def _make_key(self, prefix: str) -> Options:
        if self.encryption_key is None:
            return {}
        key = read_encryption_key(self.where, self.encryption_key)
        digest = hashlib.md5(key, usedforsecurity=False).digest()
        # With the digest, the SDK uses the key as it is, and logs it in this form only.
        return {
            f"{prefix}Algorithm": "AES256",
            f"{prefix}Key": base64.b64encode(key).decode(),
            f"{prefix}KeyMD5": base64.b64encode(digest).decode(),
        }


def _guess_type(key: str) -> Options:
    kind, encoding = mimetypes.guess_type(key)
    return {"ContentType": kind} if kind and not encoding else {}
