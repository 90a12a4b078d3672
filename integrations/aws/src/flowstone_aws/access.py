"""Address and credentials of a bucket, in the format of other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from flowstone.records.access import StoreAccess
from flowstone.records.redaction import register

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.blocks.object_stores.provider import Tool
    from flowstone_aws.credentials import AwsCredentials, MinIOCredentials
    from flowstone_aws.s3_settings import S3Settings


def make_access(
    bucket: str,
    folder: str,
    credentials: AwsCredentials | MinIOCredentials,
    refresh: Callable[[], StoreAccess],
) -> StoreAccess:
    """Return the address and the credentials; by default, those that boto3 finds."""
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


def make_storage_options(
    access: StoreAccess, settings: S3Settings, tool: Tool
) -> dict[str, object] | None:
    """Return address, credentials and settings in the format of a tool; None if it needs none.

    Args:
        access: the address and the credentials.
        settings: the block's fields; polars and Delta have no options for storage class and tags.
        tool: see `ObjectStore.storage_options`.
    """
    region, endpoint = access.options.get("region"), access.endpoint
    login = [access.reveal(n) for n in ("access_key_id", "secret_access_key", "session_token")]
    if tool == "pandas":
        client = {"endpoint_url": endpoint, "region_name": region}
        options: dict[str, object] = dict(zip(("key", "secret", "token"), login, strict=True))
        options["client_kwargs"] = {name: value for name, value in client.items() if value}
        options["anon"] = None if login[0] else True
        # https://s3fs.readthedocs.io/en/latest/api.html
        options["requester_pays"] = settings.is_paid_by_requester() or None
        options["s3_additional_kwargs"] = settings.make_object()
    else:
        options = {
            "aws_access_key_id": login[0],
            "aws_secret_access_key": login[1],
            "aws_session_token": login[2],
            "aws_region": region,
            "aws_endpoint_url": endpoint,
            "aws_allow_http": "true" if (endpoint or "").startswith("http:") else None,
            "aws_skip_signature": None if login[0] else "true",
            **_describe_settings(settings),
        }
    return {name: value for name, value in options.items() if value} or None


def _describe_settings(settings: S3Settings) -> dict[str, object]:
    """Return the options for S3 of `object_store`, the library that polars and Delta use.

    https://docs.rs/object_store/latest/object_store/aws/enum.AmazonS3ConfigKey.html
    """
    given = settings.make_object()
    key = given.get("SSECustomerKey")
    return {
        "aws_server_side_encryption": "sse-c" if key else given.get("ServerSideEncryption"),
        "aws_sse_customer_key_base64": key,
        "aws_sse_kms_key_id": given.get("SSEKMSKeyId"),
        "aws_sse_bucket_key_enabled": "true" if given.get("BucketKeyEnabled") else None,
        "aws_request_payer": "true" if settings.is_paid_by_requester() else None,
    }
