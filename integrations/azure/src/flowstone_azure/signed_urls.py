"""Presigned URLs: a SAS signed by the account key, or by a user delegation key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from flowstone.errors import StorageError
from flowstone_azure.logins import LONGEST_DELEGATED, TOKEN_KINDS

if TYPE_CHECKING:
    from flowstone_azure.blob_settings import BlobSettings
    from flowstone_azure.logins import BlobLogin

#: Azure has no limit for a SAS signed by an account key; this one is Flowstone's.
LONGEST = timedelta(days=3650)
_RIGHTS = {"GET": {"read": True}, "PUT": {"create": True, "write": True}}


def check_settings(where: str, settings: BlobSettings) -> None:
    """Check that objects written with these settings can have presigned URLs.

    Raises:
        StorageError: the objects are encrypted with a customer-supplied key.
    """
    if settings.encryption_key is not None:
        problem = "a presigned URL does not work without encryption_key, which must not be shared"
        remedy = "Copy the object to a block without encryption_key, or share its content."
        raise StorageError(where, problem, remedy)


def sign(login: BlobLogin, place: tuple[str, str], method: str, seconds: int) -> str:
    """Return the query string of a presigned URL.

    Args:
        login: the credentials that sign it.
        place: the container and the blob.
        method: ``GET`` or ``PUT``.
        seconds: the validity of the URL, in seconds.

    Raises:
        StorageError: the credentials can't sign URLs, or none that are valid for that long.
        AccessDenied: they may not get a user delegation key.
    """
    values, where = login.values, "/".join((login.values.url, *place))
    by_token = values.kind in TOKEN_KINDS
    if values.kind == "SAS":
        raise StorageError(
            where,
            f"a presigned URL needs an account key or a token, not {login.who()}",
            "Use credentials with account_key, a service principal, a managed identity, or the "
            "default chain.",
        )
    longest = LONGEST_DELEGATED if by_token else LONGEST
    if not 1 <= seconds <= longest.total_seconds():
        remedy = f"Pass 1 to {longest.total_seconds():.0f}"
        raise StorageError(
            where,
            f"a presigned URL signed with {login.who()} can't last {seconds!r} seconds",
            f"{remedy}, or use credentials with account_key." if by_token else f"{remedy}.",
        )
    # Loaded with the first client, see `logins`.
    from azure.storage.blob import BlobSasPermissions, generate_blob_sas

    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    return generate_blob_sas(
        values.account,
        *place,
        account_key=None if by_token else values.secret,
        user_delegation_key=login.find_delegation_key(ends) if by_token else None,
        permission=BlobSasPermissions(**_RIGHTS[method]),
        expiry=ends,
    )
