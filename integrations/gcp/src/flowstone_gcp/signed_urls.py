"""Presigned URLs: signed by a service account's key, or by Google through impersonation."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from flowstone.errors import StorageError

if TYPE_CHECKING:
    from google.cloud.storage import Blob

    from flowstone_gcp.cloud_storage_settings import GcsSettings
    from flowstone_gcp.logins import GcpLogin

WEEK = 7 * 24 * 3600


def check_signing(where: str, login: GcpLogin, settings: GcsSettings, expires_seconds: int) -> None:
    """Check that the credentials can sign a URL that is valid for `expires_seconds`.

    Raises:
        StorageError: the credentials can't sign, the time is too long, or the object is encrypted
            with a customer-supplied key.
    """
    # The SDK is imported with the first client, not with the package.
    from google.auth.credentials import Signing

    if not 1 <= expires_seconds <= WEEK:
        problem = f"a presigned URL can't last {expires_seconds!r} seconds"
        raise StorageError(where, problem, f"Cloud Storage allows 1 to {WEEK}, a week.")
    if settings.encryption_key is not None:
        problem = "a presigned URL does not work without encryption_key, which must not be shared"
        remedy = "Copy the object to a block without encryption_key, or share its content."
        raise StorageError(where, problem, remedy)
    if not isinstance(login.credentials(), Signing):
        raise StorageError(
            where,
            f"a presigned URL needs a private key, and {login.who()} has none",
            "Log in with a service account's key, or set impersonation_chain to impersonate a "
            "service account.",
        )


def sign_url(blob: Blob, method: str, expires_seconds: int, endpoint: str | None) -> str:
    """Return a URL that reads or writes an object; the blob's bucket sets the project that pays."""
    payer = blob.user_project
    url: str = blob.generate_signed_url(
        version="v4",
        expiration=timedelta(seconds=expires_seconds),
        method=method,
        api_access_endpoint=endpoint,
        query_parameters={"userProject": payer} if payer else None,
    )
    return url
