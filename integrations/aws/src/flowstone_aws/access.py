"""Address and login of a bucket for other tools, in the format of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from flowstone.records.access import StoreAccess
from flowstone.records.redaction import register

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.blocks.object_stores.provider import Tool
    from flowstone_aws.credentials import AwsCredentials, MinIOCredentials


def make_access(
    bucket: str,
    folder: str,
    credentials: AwsCredentials | MinIOCredentials,
    refresh: Callable[[], StoreAccess],
) -> StoreAccess:
    """Return the address and the login; by default, the login that the SDK's chain finds."""
    session = credentials.get_boto3_session()
    found = session.get_credentials()
    login = None if found is None else found.get_frozen_credentials()
    names = "access_key_id", "secret_access_key", "session_token"
    values = (login.access_key, login.secret_key, login.token) if login else ()
    secrets = {name: SecretStr(value) for name, value in zip(names, values, strict=False) if value}
    for secret in secrets.values():
        register(secret.get_secret_value())
    region = session.region_name
    return StoreAccess(
        "s3",
        bucket,
        folder,
        credentials.aws_client_parameters.endpoint_url,
        options={"region": region} if region else {},
        secrets=secrets,
        refresh=refresh if "session_token" in secrets else None,
    )


def make_storage_options(access: StoreAccess, tool: Tool) -> dict[str, object] | None:
    """Return address and login as a tool takes them, or None where it wants nothing."""
    region, endpoint = access.options.get("region"), access.endpoint
    login = [access.reveal(n) for n in ("access_key_id", "secret_access_key", "session_token")]
    if tool == "pandas":
        client = {"endpoint_url": endpoint, "region_name": region}
        options: dict[str, object] = dict(zip(("key", "secret", "token"), login, strict=True))
        options["client_kwargs"] = {name: value for name, value in client.items() if value}
        options["anon"] = None if login[0] else True
    else:
        options = {
            "aws_access_key_id": login[0],
            "aws_secret_access_key": login[1],
            "aws_session_token": login[2],
            "aws_region": region,
            "aws_endpoint_url": endpoint,
            "aws_allow_http": "true" if (endpoint or "").startswith("http:") else None,
            "aws_skip_signature": None if login[0] else "true",
        }
    return {name: value for name, value in options.items() if value} or None
