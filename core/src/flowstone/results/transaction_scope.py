"""Transactions: a group of tasks whose results are kept together, or undone together.

Not a distributed transaction: what a task did to the world is undone by its `on_rollback` hook,
which is the author's.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from flowstone.context import current
from flowstone.engine.driver import NAP, adone, done
from flowstone.errors import ConfigurationError
from flowstone.locking import FileSystemLockManager, IsolationLevel
from flowstone.results.transaction import CommitMode, Transaction, TransactionState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from flowstone.engine.driver import Story
    from flowstone.locking import LockManager
    from flowstone.results.result_store import StoreOption

__all__ = [
    "CommitMode",
    "IsolationLevel",
    "Transaction",
    "TransactionState",
    "atransaction",
    "get_transaction",
    "transaction",
]


def get_transaction() -> Transaction | None:
    """Return the transaction around this code, if there is one."""
    found: Any = current.transaction.get()
    return found  # type: ignore[no-any-return]


@contextmanager
def transaction(
    key: str | None = None,
    store: StoreOption = None,
    commit_mode: CommitMode | str | None = None,
    isolation_level: IsolationLevel | str | None = None,
    overwrite: bool = False,
    write_on_commit: bool = True,
    logger: Any = None,
    lock_manager: LockManager | None = None,
) -> Iterator[Transaction]:
    """Group the task runs in a block: all are committed at its end, or all are rolled back.

    Results of those tasks are kept at the commit only, their `on_commit` hooks are called then,
    and their `on_rollback` hooks, the last first, where the block or the commit raises.

    Args:
        key: what the value that is staged by `txn.stage` is kept by. If an earlier transaction
            of the same key was committed, `txn.is_committed()` says so at once.
        store: where: a path, an object store block or its saved name, or a `ResultStore`; by
            default as the flow around it keeps its results, or else files in the home.
        commit_mode: `CommitMode`; LAZY by default, which for the outermost is its block's end.
        isolation_level: with SERIALIZABLE, one block with this key runs at a time.
        overwrite: run, although an earlier one was committed.
        write_on_commit: False keeps nothing.
        logger: for what goes wrong in hooks; the current run's by default.
        lock_manager: what SERIALIZABLE locks with; files in the home by default.

    Raises:
        ConfigurationError: SERIALIZABLE without a key.
    """
    made, lock = _begun(
        key, store, commit_mode, isolation_level, overwrite, write_on_commit, logger, lock_manager
    )
    if lock is not None:
        lock.acquire_lock(key or "", made._id)  # noqa: SLF001 - this module's own
    with _inside(made, lock):
        try:
            yield made
            done(_ending(made))
        except BaseException:
            if not made.is_committed():  # that is final, for its own block
                made.rollback()
            raise


@contextmanager
def _inside(made: Transaction, lock: LockManager | None) -> Iterator[None]:
    """Be in the transaction, whose lock is taken; let the lock go."""
    token = current.transaction.set(made)
    try:
        made._open()  # noqa: SLF001 - this module's own
        yield
    finally:
        current.transaction.reset(token)
        if lock is not None:
            lock.release_lock(made.key or "", made._id)  # noqa: SLF001 - this module's own


@asynccontextmanager
async def atransaction(
    key: str | None = None,
    store: StoreOption = None,
    commit_mode: CommitMode | str | None = None,
    isolation_level: IsolationLevel | str | None = None,
    overwrite: bool = False,
    write_on_commit: bool = True,
    logger: Any = None,
    lock_manager: LockManager | None = None,
) -> AsyncIterator[Transaction]:
    """Group the task runs in an async block; see `transaction`, whose arguments it takes."""
    import asyncio  # noqa: PLC0415 - 40 ms of start-up; here it is running already

    made, lock = _begun(
        key, store, commit_mode, isolation_level, overwrite, write_on_commit, logger, lock_manager
    )
    # Whoever has the lock may be on this very loop, so it is asked for and not waited for.
    while lock is not None and not lock.acquire_lock(key or "", made._id, 0.0):  # noqa: ASYNC110, SLF001 - this module's own id, and a file's lock
        await asyncio.sleep(NAP)
    with _inside(made, lock):
        try:
            yield made
            await adone(_ending(made))
        except BaseException:
            if not made.is_committed():
                await adone(made.rolling_back())
            raise


def _begun(
    key: str | None,
    store: StoreOption,
    commit_mode: CommitMode | str | None,
    isolation_level: IsolationLevel | str | None,
    overwrite: bool,
    write_on_commit: bool,
    logger: Any,
    lock_manager: LockManager | None,
) -> tuple[Transaction, LockManager | None]:
    kept, sketched = None, current.sketch() is not None  # a drawn flow keeps and locks nothing
    services = current.services()
    if key is not None and not sketched:
        # Blocks and serializers: 60 ms, for those transactions that keep a value.
        from flowstone.results.result_store import opened_store  # noqa: PLC0415

        kept, locks = opened_store(store, services)
        lock_manager = lock_manager or locks
    made = Transaction(
        key,
        parent=get_transaction(),
        store=kept,
        commit_mode=None if commit_mode is None else CommitMode(commit_mode),
        overwrite=overwrite,
        write_on_commit=write_on_commit,
        logger=logger,
    )
    if key is not None and kept is not None:
        made._file = kept.file_name(key)  # noqa: SLF001 - this module's own
    lock = None
    if isolation_level is not None and IsolationLevel(isolation_level) == "SERIALIZABLE":
        if key is None:
            remedy = "Give it a key, or leave isolation_level out."
            raise ConfigurationError("transaction(...)", "SERIALIZABLE needs a key", remedy)
        around = made.parent
        while around is not None and around._holds != key:  # noqa: SLF001 - its own kind
            around = around.parent
        if around is not None:  # it would wait for itself
            problem = f"a transaction around it holds the key {key!r} already"
            raise ConfigurationError("transaction(...)", problem, "Give it another key.")
        made._holds = key  # noqa: SLF001 - its own kind
        if not sketched:
            lock = lock_manager or FileSystemLockManager(services.settings.home / "locks")
    return made, lock


def _ending(made: Transaction) -> Story[None]:
    if made.commit_mode is CommitMode.OFF:
        if not made.is_committed():
            yield from made.rolling_back()
    elif made.parent is None or made.commit_mode is CommitMode.EAGER:
        yield from made.committing()
