"""Data that is not in memory: tables and queries of databases, files in object stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstone_great_expectations.errors import ValidationInvalid

if TYPE_CHECKING:
    from flowstone.blocks import Database, ObjectStore


@dataclass(frozen=True, slots=True)
class DatabaseSource:
    """A table or a query of a database.

    Attributes:
        database: the block.
        table: its name, or ``schema.name``.
        query: a SELECT statement, instead of a table.
    """

    database: Database
    table: str | None = None
    query: str | None = None

    def __post_init__(self) -> None:
        if (self.table is None) == (self.query is None):
            problem = "it needs either a table or a query"
            raise ValidationInvalid("DatabaseSource", problem, "Pass one of them.")


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """A file in an object store, or all files in one of its folders.

    Attributes:
        store: the block.
        path: a Parquet, CSV or JSON file, recognized by its suffix; or a folder of files in one
            of these formats, which are read as one table.
    """

    store: ObjectStore
    path: str
