"""Small objects with obstore, which is written in Rust: the extra `fast`.

It gets and puts whole objects. Whatever it does not support, and each request that fails, is left
to the SDK, so errors, retries and backoff are the same with and without it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

from flowstone.blocks.object_stores import FastTransfers, SmallObjects, was_loaded_before_fork
from flowstone_aws.credentials import has_authorities, has_variables_of_obstore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.credentials import Credentials
    from obstore import GetResult
    from obstore.store import ClientConfig, S3Config, S3Credential, S3CredentialProvider, S3Store
    from types_boto3_s3.client import S3Client

    from flowstone_aws.logins import Login
    from flowstone_aws.parameters import AwsClientParameters
    from flowstone_aws.transfers import Options

#: Attributes of an object, by their names in boto3, with those in obstore.
ATTRIBUTES = {
    "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition",
    "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language",
    "ContentType": "Content-Type",
    "StorageClass": "Storage-Class",
}
_RESERVED = {name.lower() for name in ATTRIBUTES.values()}
_PLAIN_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class Config(Protocol):
    """The attributes of botocore's `Config`, whose types are not declared."""

    s3: Mapping[str, object] | None
    signature_version: object
    proxies: object
    client_cert: object
    use_dualstack_endpoint: bool | None
    use_fips_endpoint: bool | None
    connect_timeout: float | None
    read_timeout: float | None


@cache
def is_installed() -> bool:
    """Return whether obstore is installed."""
    return find_spec("obstore") is not None


class S3FastClient:
    """Whole objects of a bucket, through obstore.

    Args:
        store: the store of obstore.
    """

    module = "obstore"

    def __init__(self, store: S3Store) -> None:
        self.store = store

    def put(self, key: str, content: bytes, attributes: Mapping[str, str]) -> None:
        """Write an object."""
        import obstore  # see `_open_store`

        obstore.put(self.store, key, content, attributes=dict(attributes), use_multipart=False)

    def get(self, key: str) -> S3FastObject:
        """Open an object."""
        import obstore  # see `_open_store`

        return S3FastObject(obstore.get(self.store, key))


class S3FastObject:
    """A response of obstore with an object."""

    def __init__(self, found: GetResult) -> None:
        self._found = found
        self.size, self.etag = found.meta["size"], found.meta["e_tag"]

    def read(self) -> bytes:
        """Return the content."""
        return bytes(self._found.bytes())


def make_attributes(options: Options) -> dict[str, str] | None:
    """Return options of a new object in obstore's names; None if it does not support one."""
    given = dict(options)
    metadata: dict[str, str] = {
        name.lower(): value for name, value in given.pop("Metadata", {}).items()
    }
    if given.keys() - ATTRIBUTES.keys() or _RESERVED & metadata.keys():
        return None
    found = {ATTRIBUTES[name]: value for name, value in given.items()} | metadata
    texts = [*found, *found.values()]
    return found if all(_is_plain_text(text) for text in texts) else None


def _is_plain_text(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isprintable() and text == text.strip()


def make_small_objects(
    find_login: Callable[[], Login],
    parameters: AwsClientParameters,
    bucket: str,
    *,
    use_obstore: bool,
) -> SmallObjects:
    """Return the object that transfers small objects of a bucket.

    Args:
        find_login: returns the login, the same one for each object.
        parameters: how to connect.
        bucket: the bucket's name.
        use_obstore: whether to use obstore if it is installed.
    """

    def open_kept() -> FastTransfers | None:
        login = find_login()
        return login.get_or_make(
            f"fast transfers of {bucket}", lambda: open_fast(login, parameters, bucket)
        )

    return SmallObjects(open_kept, is_fast=use_obstore and is_installed())


def open_fast(login: Login, parameters: AwsClientParameters, bucket: str) -> FastTransfers | None:
    """Return the object that transfers small objects with obstore; None if only the SDK can.

    Args:
        login: the credentials; obstore requests keys from them, as the SDK does.
        parameters: how to connect.
        bucket: the bucket's name.
    """
    client: S3Client = login.client("s3")
    config = cast("Config", client.meta.config)
    if (
        was_loaded_before_fork("obstore")
        or not _is_plain(config, bucket)
        or has_variables_of_obstore()
    ):
        return None
    if client.meta.endpoint_url.startswith("https:") and has_authorities(login, parameters):
        return None  # obstore would trust them in addition to the system's, not instead
    with suppress(Exception):  # the SDK raises errors of the credentials
        address = client.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": "key"}
        )
        return FastTransfers(S3FastClient(_open_store(login, client, bucket, address)))
    return None


def _is_plain(config: Config, bucket: str) -> bool:
    """Return whether obstore supports all settings of the client."""
    from botocore import UNSIGNED  # the SDK is loaded by the first client

    s3 = set(config.s3 or {}) - {"addressing_style", "us_east_1_regional_endpoint"}
    return (
        _PLAIN_BUCKET.fullmatch(bucket) is not None
        and not bucket.endswith(("--x-s3", "-s3alias", "--ol-s3"))
        and (config.signature_version == "s3v4" or config.signature_version is UNSIGNED)
        and not (s3 or config.proxies or config.client_cert)
        and not (config.use_dualstack_endpoint or config.use_fips_endpoint)
    )


def _open_store(login: Login, client: S3Client, bucket: str, address: str) -> S3Store:
    # An optional dependency, loaded by the first transfer.
    from obstore.store import S3Store

    is_virtual = urlsplit(address).netloc.startswith(f"{bucket}.")
    endpoint = client.meta.endpoint_url
    if is_virtual:
        endpoint = endpoint.replace("://", f"://{bucket}.", 1)
    credentials = login.session().get_credentials()
    options = cast("Config", client.meta.config)
    is_signed = options.signature_version == "s3v4"
    config: S3Config = {
        "region": client.meta.region_name,
        "endpoint": endpoint,
        "aws_endpoint_url_s3": endpoint,  # otherwise a variable of that name has precedence
        "virtual_hosted_style_request": is_virtual,
        "skip_signature": not is_signed,
        "unsigned_payload": False,  # S3 compares the content with the signed hash
        "request_payer": False,
        "s3_express": False,
    }
    return S3Store(
        bucket,
        config=config,
        client_options=_make_client_options(options),
        # The SDK retries, with its own backoff.
        retry_config={"max_retries": 0},
        credential_provider=_provide(credentials) if is_signed and credentials else None,
    )


def _make_client_options(config: Config) -> ClientConfig:
    reading = timedelta(seconds=config.read_timeout or 86_400)
    return {
        "allow_http": True,
        "allow_invalid_certificates": False,
        "connect_timeout": timedelta(seconds=config.connect_timeout or 86_400),
        "read_timeout": reading,
        # For a whole object, which may share the bandwidth with others.
        "timeout": 10 * reading,
        "user_agent": "flowstone-aws obstore",
    }


def _provide(credentials: Credentials) -> S3CredentialProvider:
    def provide() -> S3Credential:
        """Return the current keys; called often, because the SDK renews them."""
        keys = credentials.get_frozen_credentials()
        return {
            "access_key_id": keys.access_key or "",
            "secret_access_key": keys.secret_key or "",
            "token": keys.token,
            "expires_at": datetime.now(UTC) + timedelta(minutes=1),
        }

    return provide
