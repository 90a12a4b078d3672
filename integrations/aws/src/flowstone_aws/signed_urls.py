"""Presigned URLs: they work without credentials until they expire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.errors import StorageError

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

    from flowstone_aws.s3_settings import S3Settings
    from flowstone_aws.transfers import Options

WEEK = 7 * 24 * 3600
_OPERATIONS = {"GET": "get_object", "PUT": "put_object"}


def check_signing(where: str, settings: S3Settings, expires_seconds: int) -> None:
    """Check that an object can have a URL that is valid for `expires_seconds`.

    Raises:
        StorageError: the time is too long, or the object is encrypted with a customer's key.
    """
    if not 1 <= expires_seconds <= WEEK:
        problem = f"a presigned URL can't last {expires_seconds!r} seconds"
        raise StorageError(where, problem, f"S3 allows 1 to {WEEK}, a week.")
    if settings.encryption_key is not None:
        problem = "a presigned URL does not work without encryption_key, which must not be shared"
        remedy = "Copy the object to a block without encryption_key, or share its content."
        raise StorageError(where, problem, remedy)


def sign_url(client: S3Client, method: str, target: Options, expires_seconds: int) -> str:
    """Return a URL that reads or writes an object; `target` has the parameters of the request."""
    return client.generate_presigned_url(
        _OPERATIONS[method], Params=target, ExpiresIn=expires_seconds
    )
