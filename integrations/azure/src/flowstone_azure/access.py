"""Address and credentials of a container, in the format of other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from flowstone.errors import StorageError
from flowstone.records.access import StoreAccess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone.blocks.object_stores.provider import Tool
    from flowstone_azure.identities import Kind
    from flowstone_azure.logins import BlobLogin, BlobLoginFields

#: The names of secrets in a `StoreAccess`; other credentials have a token.
_SECRETS: dict[Kind, str] = {
    "account key": "account_key",
    "SAS": "sas_token",
    "service principal": "client_secret",
}
#: The names of secrets for polars and Delta, whose Rust library does not support certificates.
_RUST_SECRETS: dict[Kind, str] = {
    "account key": "azure_storage_account_key",
    "SAS": "azure_storage_sas_key",
    "service principal": "azure_storage_client_secret",
}
#: Credentials that adlfs does not support, and what to do instead.
_NOT_ADLFS: dict[Kind, tuple[str, str]] = {
    "certificate": ("certificate", "Use `filesystem()`, or credentials with client_secret."),
    "managed identity": (
        "managed identity by its client id",
        "Set AZURE_CLIENT_ID and use credentials without client_id, or use `filesystem()`.",
    ),
}


def make_access(
    container: str, folder: str, login: BlobLogin, refresh: Callable[[], StoreAccess]
) -> StoreAccess:
    """Return the address and the credentials; with a token, which expires, `refresh` is set."""
    values = login.values
    options = {"account_name": values.account}
    options |= {
        name: value
        for name, value in (("client_id", values.client_id), ("tenant_id", values.tenant_id))
        if value
    }
    name = _SECRETS.get(values.kind)
    if name is None:
        secrets = {"bearer_token": SecretStr(login.get_token())}
    else:
        secrets = {name: SecretStr(values.secret or "")}
    return StoreAccess(
        "az",
        container,
        folder,
        values.url,
        options=options,
        secrets=secrets,
        refresh=refresh if name is None else None,
    )


def make_storage_options(
    tool: Tool, where: str, login: BlobLogin, encryption_key: str | None
) -> dict[str, object]:
    """Return credentials, and a customer-supplied key, as the `storage_options` of a tool.

    Args:
        tool: see `ObjectStore.storage_options`; adlfs, which pandas uses, does not support keys.
        where: the address of the container.
        login: the credentials.
        encryption_key: the customer-supplied key in Base64, if there is one.

    Raises:
        StorageError: the tool does not support these credentials, or a customer-supplied key.
    """
    found: Mapping[str, object]
    if tool != "pandas":
        found = {**_describe_to_rust(login), "azure_storage_encryption_key": encryption_key}
    elif encryption_key is None:
        found = _describe_to_adlfs(where, login.values)
    else:
        remedy = "Use `filesystem()`, or polars."
        raise StorageError(where, "adlfs does not support an encryption_key", remedy)
    return {name: value for name, value in found.items() if value is not None}


def _describe_to_rust(login: BlobLogin) -> dict[str, str | None]:
    values = login.values
    name = _RUST_SECRETS.get(values.kind)
    usual = f"https://{values.account}.blob.core.windows.net"
    return {
        "azure_storage_account_name": values.account,
        name or "azure_storage_token": values.secret if name else login.get_token(),
        "azure_storage_client_id": values.client_id if name else None,
        "azure_storage_tenant_id": values.tenant_id if name else None,
        "azure_storage_endpoint": None if values.url == usual else values.url,
        "azure_allow_http": "true" if values.url.startswith("http:") else None,
    }


def _describe_to_adlfs(where: str, values: BlobLoginFields) -> dict[str, object]:
    if values.kind in _NOT_ADLFS:
        problem, remedy = _NOT_ADLFS[values.kind]
        raise StorageError(where, f"adlfs does not support a {problem}", remedy)
    if values.kind == "account key":
        place = f"AccountName={values.account};AccountKey={values.secret}"
        return {"connection_string": f"{place};BlobEndpoint={values.url};"}
    if values.kind == "SAS":
        place = f"BlobEndpoint={values.url};SharedAccessSignature={values.secret}"
        return {"account_name": values.account, "connection_string": place}
    return {
        "account_name": values.account,
        "client_id": values.client_id,
        "client_secret": values.secret,
        "tenant_id": values.tenant_id,
        "anon": False if values.kind == "default chain" else None,
    }
