"""How other tools are told of a bucket of S3, each in its own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone.blocks.object_stores.provider import Tool
    from flowstone.records.access import StoreAccess


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
