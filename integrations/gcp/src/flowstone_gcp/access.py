"""Address and credentials of a bucket or a dataset, in the format of other tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import SecretStr

from flowstone.errors import CredentialsError, StorageError
from flowstone.records.access import DatabaseAccess, StoreAccess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone.blocks.object_stores.provider import Tool
    from flowstone_gcp.cloud_storage_settings import GcsSettings
    from flowstone_gcp.logins import GcpLogin


def make_access(
    bucket: str, folder: str, login: GcpLogin, refresh: Callable[[], StoreAccess]
) -> StoreAccess:
    """Return the address and the credentials: a service account's key, or a renewable token."""
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
    """Return credentials, and the project that pays, as the `storage_options` of a tool.

    Args:
        tool: see `ObjectStore.storage_options`.
        login: the credentials.
        settings: the block's fields; gcsfs supports the payer, polars and Delta none of them.
        find_access: returns the address and the credentials.

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


def make_database_access(
    login: GcpLogin,
    project: str | None,
    options: Mapping[str, str | None],
    refresh: Callable[[], DatabaseAccess],
) -> DatabaseAccess:
    """Return the address of BigQuery and the credentials for it.

    The credentials are a service account's key, a user's refresh token, or a renewable token.
    If there are none, other tools find application default credentials themselves.

    Args:
        login: the credentials.
        project: the project in which jobs run; None for that of the credentials.
        options: further options for other tools; those that are None are omitted.
        refresh: returns a new access.

    Raises:
        CredentialsError: the credentials are anonymous, or provide no token.
    """
    if login.is_anonymous:
        problem = "access is anonymous, but other tools need credentials"
        raise CredentialsError("BigQuery", problem, "Set a key, or remove anonymous=True.")
    info, chain = login.find_info(), login.chain
    found: dict[str, str | None] = {
        **options,
        "scopes": " ".join(login.scopes),
        "quota_project": login.quota_project,
    }
    secrets: dict[str, str | None] = {}
    kind = info.get("type") if info is not None else None
    if len(chain) > 1 or (info is not None and kind not in {"service_account", "authorized_user"}):
        secrets["access_token"] = login.refresh()
    else:
        found["impersonate_service_account"] = chain[0] if chain else None
    if info is not None and not secrets and kind == "service_account":
        secrets["service_account_key"] = json.dumps(info)
    elif info is not None and not secrets:
        secrets |= {name: info.get(name) for name in ("refresh_token", "client_secret")}
        found |= {"client_id": info.get("client_id"), "token_uri": info.get("token_uri")}
    return DatabaseAccess(
        "bigquery",
        project or login.find_project() or "",
        options={name: value for name, value in found.items() if value},
        secrets={name: SecretStr(value) for name, value in secrets.items() if value},
        refresh=refresh if "access_token" in secrets else None,
    )
