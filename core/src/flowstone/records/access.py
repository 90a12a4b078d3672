"""What another tool needs to reach the same place by itself: an address, options and a login.

Packages never import each other. What one needs of another's store or database, as DuckDB of a
bucket, it takes from these records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self


class Masked(Protocol):
    """A secret that shows itself only when it is asked, as pydantic's `SecretStr`."""

    def get_secret_value(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Access:
    """What both kinds have.

    Attributes:
        options: further words of the service that are no secrets: ``region``.
        secrets: by the service's own words: ``secret_access_key``; masked when they are shown.
        refresh: returns the access anew, with a login that is good now; None where it does not
            run out.
    """

    options: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    secrets: Mapping[str, Masked] = field(default_factory=dict, kw_only=True)
    refresh: Callable[[], Self] | None = field(
        default=None, kw_only=True, repr=False, compare=False
    )

    def reveal(self, name: str) -> str | None:
        """Return a secret in clear; None where there is none of that name."""
        found = self.secrets.get(name)
        return None if found is None else found.get_secret_value()


@dataclass(frozen=True, slots=True)
class StoreAccess(_Access):
    """How to reach the objects of a store.

    Attributes:
        scheme: of its URIs: ``s3``, ``gs``, ``file``.
        bucket: the bucket or container; of local files, the directory.
        folder: the folder that the block's paths are in; empty or without a slash at its ends.
        endpoint: the service's address, where it is not the usual one.
    """

    scheme: str
    bucket: str
    folder: str = ""
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class DatabaseAccess(_Access):
    """How to reach a database.

    Attributes:
        dialect: the SQL that it speaks: ``sqlite``, ``duckdb``, ``postgresql``, ``snowflake``.
        database: its name; of one in a file, the path.
        host, port: where it listens; None for a file, or for the service's usual place.
        user: who logs in; None where nobody does.
    """

    dialect: str
    database: str
    host: str | None = None
    port: int | None = None
    user: str | None = None
