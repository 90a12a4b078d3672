"""StoreDriver: a driver whose database reads and writes object stores by itself."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, TypeVar

from flowstone.blocks.databases.driver import DatabaseDriver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.records.access import StoreAccess

C = TypeVar("C")


class StoreDriver(DatabaseDriver[C]):
    """A driver whose database can read and write object stores by itself.

    `Database` calls it first, and streams Parquet through this process if it returns None.
    """

    @abstractmethod
    def copy_from(
        self, connection: C, table: str, access: StoreAccess, paths: Sequence[str]
    ) -> int | None:
        """Load Parquet files; called in a transaction, if the database has them.

        Args:
            connection: the connection to use.
            table: its name, quoted.
            access: address and credentials of the store.
            paths: the paths of the files, relative to the folder of ``access``.

        Returns:
            The number of added rows; None if the database can't read from such a store.
        """

    @abstractmethod
    def unload_to(
        self,
        connection: C,
        operation: str,
        values: Sequence[object],
        access: StoreAccess,
        folder: str,
    ) -> list[str] | None:
        """Write the rows of a query to Parquet files.

        Args:
            connection: the connection to use.
            operation: the query.
            values: its parameters, adapted.
            access: address and credentials of the store.
            folder: the folder to write to, relative to the folder of ``access``.

        Returns:
            The paths of the files; None if the database can't write to such a store.
        """
