"""Loads from and unloads to buckets in the account's own cloud, by Snowflake itself."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flowstone_snowflake.names import quote_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowstone.records.access import StoreAccess

#: Maximum number of files in one COPY INTO:
#: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
MOST_FILES = 1000
#: The first word of a region, by the scheme of a store.
CLOUDS = {"s3": "AWS", "az": "AZURE"}
ENDPOINT = ".blob.core.windows.net"


def make_location(access: StoreAccess, region: str) -> tuple[str, str] | None:
    """Return a store's URL and credentials in the syntax of COPY INTO.

    Args:
        access: the address and credentials of the store.
        region: the account's region, as in CURRENT_REGION: ``AWS_EU_WEST_1``.

    Returns:
        The URL, which ends with a slash, and the clause; None if the store is in another cloud,
        or its credentials can't be written in a statement.
    """
    cloud = CLOUDS.get(access.scheme)
    if cloud is None or not region.rpartition(".")[2].upper().startswith(cloud):
        return None
    folder = f"{access.folder.strip('/')}/" if access.folder.strip("/") else ""
    found = _reach_s3(access) if access.scheme == "s3" else _reach_azure(access)
    if found is None:
        return None
    url, login = found
    words = " ".join(f"{name} = {quote_text(value)}" for name, value in login.items())
    return f"{url}/{folder}", f"CREDENTIALS = ({words})"


def _reach_s3(access: StoreAccess) -> tuple[str, dict[str, str]] | None:
    key, secret = access.reveal("access_key_id"), access.reveal("secret_access_key")
    if access.endpoint or not key or not secret:
        return None
    login = {"AWS_KEY_ID": key, "AWS_SECRET_KEY": secret}
    if token := access.reveal("session_token"):
        login["AWS_TOKEN"] = token
    return f"s3://{access.bucket}", login


def _reach_azure(access: StoreAccess) -> tuple[str, dict[str, str]] | None:
    host = urlsplit(access.endpoint or "").hostname or ""
    token = access.reveal("sas_token")
    if not host.endswith(ENDPOINT) or not token:
        return None
    return f"azure://{host}/{access.bucket}", {"AZURE_SAS_TOKEN": token}


def make_loads(table: str, location: tuple[str, str], paths: Sequence[str]) -> Iterator[str]:
    """Yield the statements that load Parquet files, whose columns are matched by name."""
    url, login = location
    for start in range(0, len(paths), MOST_FILES):
        files = ", ".join(map(quote_text, paths[start : start + MOST_FILES]))
        yield (
            f"COPY INTO {table} FROM {quote_text(url)} {login} FILES = ({files}) "
            "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE) "
            "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE ON_ERROR = ABORT_STATEMENT"
        )


def make_unload(operation: str, location: tuple[str, str], folder: str) -> str:
    """Return the statement that writes the rows of a query to Parquet files."""
    url, login = location
    target = f"{url}{folder.strip('/')}/"
    return (
        f"COPY INTO {quote_text(target)} FROM ({operation}) {login} FILE_FORMAT = (TYPE = PARQUET) "
        "HEADER = TRUE DETAILED_OUTPUT = TRUE"
    )
