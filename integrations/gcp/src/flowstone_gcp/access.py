"""Address and login of a bucket for other tools, in the format of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from flowstone.errors import StorageError
from flowstone.records.access import StoreAccess

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.blocks.object_stores.provider import Tool
    from flowstone_gcp.cloud_storage_settings import GcsSettings
    from flowstone_gcp.logins import GcpLogin


def make_access(
    bucket: str, folder: str, login: GcpLogin, refresh: Callable[[], StoreAccess]
) -> StoreAccess:
    """Return the address and the login: a service account's key, or a token that renews."""
    key = login.find_key()
    secrets = {"service_account_key": SecretStr(key)} if key else {}
    if not key and (token := login.refresh()):
        secrets = {"access_token": SecretStr(token)}
    project = login.project()
    return StoreAccess(
        "gs",
        bucket,
        folder,
        login.own_endpoint,
        options={"project": project} if project else {},
        secrets=secrets,
        refresh=refresh if "access_token" in secrets else None,
    )


def make_storage_options(
    tool: Tool, login: GcpLogin, settings: GcsSettings, find_access: Callable[[], StoreAccess]
) -> dict[str, object]:
    """Return a login, and who pays, as the `storage_options` of a tool.

    Args:
        tool: see `ObjectStore.storage_options`.
        login: the login.
        settings: the block's fields, of which gcsfs knows who pays, and polars and Delta nothing.
        find_access: returns the address and the login.

    Raises:
        StorageError: the objects can't be read with these options.
    """
    endpoint = login.own_endpoint
    if settings.encryption_key is not None:
        problem, remedy = "no tool takes an encryption_key", "Use `filesystem()`."
        raise StorageError(settings.where, problem, remedy)
    if tool == "pandas":
        token = "anon" if login.is_anonymous else login.credentials()
        options = {"token": token, "project": login.project(), "endpoint_url": endpoint}
        # https://gcsfs.readthedocs.io/en/latest/api.html
        options["requester_pays"] = settings.find_payer(login)
    elif settings.requester_pays:
        problem = f"{tool} can't say who pays"
        raise StorageError(settings.where, problem, "Use `filesystem()`, or gcsfs.")
    else:
        access = find_access()
        options = {
            "google_service_account_key": access.reveal("service_account_key"),
            "google_bearer_token": access.reveal("access_token"),
            "google_base_url": endpoint,
            "google_skip_signature": None if access.secrets else "true",
            "allow_http": "true" if (endpoint or "").startswith("http:") else None,
        }
    return {name: value for name, value in options.items() if value}
