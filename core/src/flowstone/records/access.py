"""Access of other tools to a store or database: an address, options and credentials.

Packages never import each other. If one needs access to another's store or database, as DuckDB does
to a bucket, it uses these records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self


class Masked(Protocol):
    """A secret that must be revealed explicitly, like pydantic's `SecretStr`."""

    def get_secret_value(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Access:
    """The common attributes.

    Attributes:
        options: further options of the service that are not secret: ``region``.
        secrets: by the service's own names: ``secret_access_key``; masked in output.
        refresh: returns the access with new credentials; None if they don't expire.
    """

    options: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    secrets: Mapping[str, Masked] = field(default_factory=dict, kw_only=True)
    refresh: Callable[[], Self] | None = field(
        default=None, kw_only=True, repr=False, compare=False
    )

    def reveal(self, name: str) -> str | None:
        """Return a secret in plain text; None if there is none of that name."""
        found = self.secrets.get(name)
        return None if found is None else found.get_secret_value()


@dataclass(frozen=True, slots=True)
class StoreAccess(_Access):
    """Access to the objects of a store.

    Attributes:
        scheme: the scheme of its URIs: ``s3``, ``gs``, ``file``.
        bucket: the bucket or container; for local files, the directory.
        folder: the folder of the block's paths; empty or without a slash at its ends.
        endpoint: the address of the service, unless it is the default one.
    """

    scheme: str
    bucket: str
    folder: str = ""
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class DatabaseAccess(_Access):
    """Access to a database.

    Attributes:
        dialect: its SQL dialect: ``sqlite``, ``duckdb``, ``postgresql``, ``snowflake``.
        database: its name; for a database in a file, the path.
        host, port: its address; None for a file, or for the default of the service.
        user: the user name; None without one.
    """

    dialect: str
    database: str
    host: str | None = None
    port: int | None = None
    user: str | None = None
