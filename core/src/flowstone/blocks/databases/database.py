"""Database: the interface of all SQL databases."""

# ruff: noqa: SLF001 - the names of this file's own class

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import PrivateAttr

from flowstone.blocks.base import Block
from flowstone.blocks.databases.calls import DriverCalls
from flowstone.blocks.databases.cancellation import in_thread
from flowstone.blocks.databases.driver import Cursor, Row
from flowstone.blocks.databases.queries import BATCH
from flowstone.blocks.databases.transaction import DatabaseTransaction
from flowstone.blocks.databases.whole_tables import WholeTables
from flowstone.blocks.external_work import name_block

if TYPE_CHECKING:
    from types import TracebackType

    from flowstone.records.access import DatabaseAccess
    from flowstone.records.events import ExternalHandle

__all__ = ["BATCH", "Cursor", "Database", "DatabaseTransaction", "Row"]


class Database(WholeTables, Block):
    """An SQL database. Parameters are always bound, with the same placeholders for all databases.

    Connections are opened when needed, shared by threads, and closed by `close` or at the end of a
    ``with`` (or ``async with``) block; a closed block can be used again. A run that is cancelled or
    timed out stops its query in the database. Rows are tuples. Each method has an async version:
    ``aexecute``, ``afetch_all``.

    A package implements `make_driver`; everything else is inherited.
    """

    _replaceable: ClassVar[tuple[str, ...]] = (
        "execute",
        "execute_many",
        "fetch_all",
        "fetch_many",
        "fetch_one",
    )

    _calls: DriverCalls | None = PrivateAttr(default=None)

    def access(self) -> DatabaseAccess:
        """Return what another tool needs to connect to the database by itself.

        Raises:
            QueryInvalid: only this block has access, as with an in-memory database.
        """
        return self.make_driver().make_access()

    async def aaccess(self) -> DatabaseAccess:
        """Async version of `access`."""
        return await in_thread(self.access)

    def cancel_external(self, handle: ExternalHandle) -> None:
        """Cancel a query by its handle; `flowstone run cleanup` calls it.

        A query that has ended counts as cancelled.

        Raises:
            DatabaseError: it can't be cancelled.
        """
        self.driver_calls.cancel_by_id(handle.id)

    def _name_for_handles(self) -> str:
        return name_block(self)

    def close(self) -> None:
        """Close the connections; those in use are closed when their calls have ended."""
        calls, self._calls = self._calls, None
        if calls is not None:
            calls.pool.close()

    async def aclose(self) -> None:
        """Async version of `close`."""
        await in_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied._calls = None
        return copied

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in type(self).model_fields:
            self.close()  # the fields may describe another database now
