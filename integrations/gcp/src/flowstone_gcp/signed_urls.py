"""URLs that need no login: signed by a service account, with its key or by Google."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from flowstone.errors import StorageError

if TYPE_CHECKING:
    from google.cloud.storage import Blob

    from flowstone_gcp.logins import GcpLogin

WEEK = 7 * 24 * 3600


def check_signing(where: str, login: GcpLogin, expires_seconds: int) -> None:
    """Check that a login can sign a URL for so many seconds.

    Raises:
        StorageError: it has no private key and no account that signs, or that is too long.
    """
    # The SDK is loaded by the first client, not with the package.
    from google.auth.credentials import Signing

    if not 1 <= expires_seconds <= WEEK:
        problem = f"a presigned URL can't last {expires_seconds!r} seconds"
        raise StorageError(where, problem, f"Cloud Storage allows 1 to {WEEK}, a week.")
    if not isinstance(login.credentials(), Signing):
        raise StorageError(
            where,
            f"a presigned URL takes a private key, and {login.who()} has none",
            "Log in with a service account's key, or impersonate a service account: "
            "impersonation_chain lets Google sign.",
        )


def sign_url(blob: Blob, method: str, expires_seconds: int, endpoint: str | None) -> str:
    """Return a URL that reads or writes an object."""
    url: str = blob.generate_signed_url(
        version="v4",
        expiration=timedelta(seconds=expires_seconds),
        method=method,
        api_access_endpoint=endpoint,
    )
    return url
