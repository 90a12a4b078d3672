"""Small objects with obstore, which is written in Rust: the extra `fast`.

It gets and puts whole objects. Whatever it does not support, and each request that fails, is left
to the SDK, which serves it or raises the error.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from flowstone.blocks.object_stores import FastTransfers, SmallObjects, was_loaded_before_fork
from flowstone_azure.credentials import has_authorities, has_variables_of_obstore
from flowstone_azure.folders import is_marked
from flowstone_azure.logins import TOKEN_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obstore import GetResult
    from obstore.store import AzureConfig, AzureCredential, AzureCredentialProvider, AzureStore

    from flowstone_azure.logins import BlobLogin
    from flowstone_azure.writing import Given

#: Arguments of a write that obstore also supports.
_KNOWN = frozenset({"content_settings", "metadata"})


@cache
def is_installed() -> bool:
    """Return whether obstore is installed."""
    return find_spec("obstore") is not None


class BlobFastClient:
    """Whole objects of a container, through obstore.

    Args:
        store: the store of obstore.
    """

    module = "obstore"

    def __init__(self, store: AzureStore) -> None:
        self.store = store

    def put(self, key: str, content: bytes, attributes: Mapping[str, str]) -> None:
        """Write an object."""
        import obstore  # see `_open_store`

        obstore.put(self.store, key, content, attributes=dict(attributes), use_multipart=False)

    def get(self, key: str) -> BlobFastObject:
        """Open an object.

        Raises:
            FileNotFoundError: there is no such object, or it is a folder; the SDK tells which.
        """
        import obstore  # see `_open_store`

        found = obstore.get(self.store, key)
        if is_marked({str(name): value for name, value in found.attributes.items()}):
            raise FileNotFoundError
        return BlobFastObject(found)


class BlobFastObject:
    """A response of obstore with an object."""

    def __init__(self, found: GetResult) -> None:
        self._found = found
        self.size, self.etag = found.meta["size"], found.meta["e_tag"]

    def read(self) -> bytes:
        """Return the content."""
        return bytes(self._found.bytes())


def make_small_objects(
    find_login: Callable[[], BlobLogin], container: str, *, use_obstore: bool
) -> SmallObjects:
    """Return the object that transfers small objects of a container.

    Args:
        find_login: returns the login, the same one for each object.
        container: the container's name.
        use_obstore: whether to use obstore if it is installed.
    """

    def open_kept() -> FastTransfers | None:
        login = find_login()
        return login.get_or_make(
            f"fast transfers of {container}", lambda: open_fast(login, container)
        )

    return SmallObjects(open_kept, is_fast=use_obstore and is_installed())


def make_attributes(given: Given) -> dict[str, str] | None:
    """Return attributes of a new object in obstore's names; None if it does not support one."""
    if given.keys() - _KNOWN:
        return None
    metadata = given.get("metadata", {})
    if any(value != value.strip() for value in metadata.values()):
        return None
    kind = given["content_settings"].content_type
    return {**metadata, **({"Content-Type": kind} if kind else {})}


def open_fast(login: BlobLogin, container: str) -> FastTransfers | None:
    """Return the object that transfers small objects with obstore; None if only the SDK can.

    Args:
        login: the login, whose key or token obstore requests as the SDK does.
        container: the container's name.
    """
    values = login.values
    if was_loaded_before_fork("obstore") or not values.account or has_variables_of_obstore():
        return None
    if not values.url.startswith("https:"):
        if values.kind in TOKEN_KINDS:
            return None  # the SDK refuses to send a token as plain text
    elif has_authorities(login.options):
        return None  # obstore would trust them beside the system's, not instead
    with suppress(Exception):  # the SDK raises errors of the credentials
        return FastTransfers(BlobFastClient(_open_store(login, container)))
    return None


def _open_store(login: BlobLogin, container: str) -> AzureStore:
    # An optional dependency, loaded by the first transfer.
    from obstore.store import AzureStore

    from flowstone_azure.transfers import CLIENT_DEFAULTS  # with the SDK

    config: AzureConfig = {
        "account_name": login.values.account,
        "endpoint": login.values.url,
        # Otherwise obstore would follow variables of these names.
        "skip_signature": False,
        "use_emulator": False,
        "use_fabric_endpoint": False,
    }
    options = {**CLIENT_DEFAULTS, **login.options}
    reading = timedelta(seconds=options["read_timeout"])
    return AzureStore(
        container,
        config=config,
        client_options={
            "allow_http": True,
            "allow_invalid_certificates": False,
            "connect_timeout": timedelta(seconds=options["connection_timeout"]),
            "read_timeout": reading,
            # For a whole object, which may share the bandwidth with others.
            "timeout": 10 * reading,
            "user_agent": "flowstone-azure obstore",
        },
        # The SDK retries, with its own backoff.
        retry_config={"max_retries": 0},
        credential_provider=_provide(login),
    )


def _provide(login: BlobLogin) -> AzureCredentialProvider:
    def provide() -> AzureCredential:
        """Return the current key or token; called often, because the SDK renews tokens."""
        values, ends = login.values, datetime.now(UTC) + timedelta(minutes=1)
        if values.kind == "account key":
            return {"access_key": values.secret or "", "expires_at": ends}
        if values.kind == "SAS":
            return {"sas_token": values.secret or "", "expires_at": ends}
        return {"token": login.get_token(), "expires_at": ends}

    return provide
