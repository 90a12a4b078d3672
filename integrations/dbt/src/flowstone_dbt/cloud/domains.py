"""The URLs of dbt Cloud's APIs, by the access URL of an account."""

from __future__ import annotations

from urllib.parse import urlsplit

DOMAIN = "cloud.getdbt.com"
#: Hosts that a token may be sent to without TLS.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
#: Number of labels in a domain with an account prefix: ab123.us1.dbt.com.
PREFIXED_LABELS = 4


def clean_domain(value: str) -> str:
    """Return a domain without the other parts of a URL: ``https://``, a path.

    Raises:
        ValueError: it is not a domain, contains credentials, or would get the token unencrypted.
    """
    text = value.strip()
    parts = urlsplit(text if "://" in text else f"https://{text}")
    if "@" in parts.netloc:
        raise ValueError("it must not contain credentials: set `api_key`, which is secret")
    if not parts.hostname or any(each.isspace() for each in parts.netloc):
        raise ValueError("it must be the host of the access URL, such as 'ab123.us1.dbt.com'")
    if parts.scheme == "https":
        return parts.netloc
    if parts.scheme == "http" and parts.hostname in LOOPBACK:
        return f"http://{parts.netloc}"
    raise ValueError("it must be reached by https, or the token would be sent unencrypted")


def make_url(domain: str) -> str:
    """Return the URL of a domain."""
    cleaned = clean_domain(domain)
    return cleaned if "://" in cleaned else f"https://{cleaned}"


def make_metadata_url(domain: str) -> str:
    """Return the URL of the Discovery API of a domain.

    It is the domain with ``metadata.`` in front, or after the account prefix, if there is one. See
    https://docs.getdbt.com/docs/dbt-cloud-apis/discovery-querying.
    """
    cleaned = clean_domain(domain)
    if "://" in cleaned:
        return f"{cleaned}/graphql"
    labels = cleaned.split(".")
    if cleaned.endswith(".dbt.com") and len(labels) == PREFIXED_LABELS:
        return f"https://{labels[0]}.metadata.{'.'.join(labels[1:])}/graphql"
    return f"https://metadata.{cleaned}/graphql"
