"""Transactions: a group of tasks whose results are kept together, or undone together.

Not a distributed transaction: what a task did to the world is undone by its `on_rollback` hook,
which is the author's.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from flowstone import ambient
from flowstone.engine.drive import NAP, adone, done
from flowstone.errors import ConfigurationError
from flowstone.ids import new_id
from flowstone.locking import FileSystemLockManager, IsolationLevel
from flowstone.logging import RUNS, RunLogger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from flowstone.engine.drive import Story
    from flowstone.locking import LockManager
    from flowstone.results import KeptResults, StoreOption
    from flowstone.specs import Hook

__all__ = [
    "CommitMode",
    "IsolationLevel",
    "Transaction",
    "TransactionState",
    "atransaction",
    "get_transaction",
    "transaction",
]


class CommitMode(StrEnum):
    """When a transaction is committed.

    EAGER: at the end of its own block. LAZY: with the one around it. OFF: never by itself; what
    is not committed by hand is rolled back.
    """

    EAGER = "EAGER"
    LAZY = "LAZY"
    OFF = "OFF"


class TransactionState(StrEnum):
    """Where a transaction is in its life."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    STAGED = "STAGED"
    COMMITTED = "COMMITTED"
    ROLLED_BACK = "ROLLED_BACK"


class Transaction:
    """A group of changes; made by `transaction(...)`, and one inside it for each task run.

    Attributes:
        key: what its staged value is kept by; None keeps none.
        parent: the one around it; None for the outermost.
        state: where it is in its life.
    """

    def __init__(
        self,
        key: str | None = None,
        *,
        parent: Transaction | None = None,
        store: KeptResults | None = None,
        commit_mode: CommitMode | None = None,
        overwrite: bool = False,
        write_on_commit: bool = True,
        logger: Any = None,
    ) -> None:
        self.key = key
        self.parent = parent
        self.state = TransactionState.PENDING
        self.commit_mode: CommitMode = commit_mode or (
            parent.commit_mode if parent else CommitMode.LAZY
        )
        self._id = new_id()
        self._file = key or ""
        self._holds: str | None = None
        self._store = store
        self._overwrite = overwrite
        self._write = write_on_commit
        self._logger = logger
        self._children: list[Transaction] = []
        self._values: dict[str, Any] = {}
        self._staged: Any = None
        self._save: Callable[[], None] | None = None
        self._on_commit: list[Any] = []
        self._on_rollback: list[Any] = []
        if parent is not None:
            parent._children.append(self)  # noqa: SLF001 - its own kind

    def _open(self) -> None:
        """Begin, once its lock is there; an earlier one of the same key may have ended it."""
        self.state = TransactionState.ACTIVE
        kept = None if self._overwrite or self._store is None else self._store.read(self._file)
        if kept is not None and kept.found:
            self.state = TransactionState.COMMITTED

    def set(self, name: str, value: Any) -> None:
        """Remember something for the hooks; it is not kept."""
        self._values[name] = value

    def get(self, name: str, default: Any = ...) -> Any:
        """Return what was remembered here, or in a transaction around this one.

        Raises:
            ConfigurationError: nothing is remembered under that name, and there is no default.
        """
        if name in self._values:
            return self._values[name]
        if self.parent is not None:
            return self.parent.get(name, default)
        if default is ...:
            problem = f"nothing was set under {name!r}"
            raise ConfigurationError("a transaction", problem, "Call txn.set(name, value) first.")
        return default

    def stage(
        self, value: Any, on_rollback_hooks: list[Any] | None = None,
        on_commit_hooks: list[Any] | None = None,
    ) -> None:  # fmt: skip
        """Take a value to keep at the commit, and what to call then or at a rollback."""
        self._staged = value
        self._on_rollback += on_rollback_hooks or ()
        self._on_commit += on_commit_hooks or ()
        self.state = TransactionState.STAGED

    def read(self) -> Any:
        """Return the value that an earlier transaction of this key has kept; None for none."""
        if self.key is None or self._store is None:
            return None
        found = self._store.read(self._file)
        return found.value if found.found else None

    def is_committed(self) -> bool:
        """Tell whether it is done; at its start, whether an earlier one of its key was."""
        return self.state is TransactionState.COMMITTED

    def is_rolled_back(self) -> bool:
        """Tell whether it was undone."""
        return self.state is TransactionState.ROLLED_BACK

    def is_staged(self) -> bool:
        """Tell whether it holds a value that is not committed yet."""
        return self.state is TransactionState.STAGED

    def is_active(self) -> bool:
        """Tell whether its block is running."""
        return self.state is TransactionState.ACTIVE

    def is_pending(self) -> bool:
        """Tell whether its block has not begun."""
        return self.state is TransactionState.PENDING

    def stage_run(
        self, name: str, save: Callable[[], None] | None, on_commit: Any, on_rollback: Any
    ) -> Story[None]:
        """Take a task run that has completed: what to do at the commit, or at a rollback."""
        child = Transaction(parent=self)
        child._logger = self._logger
        child._save = save
        child.set("task_run_name", name)
        child.stage(None, list(on_rollback), list(on_commit))
        if self.is_committed():  # it was submitted, and has ended only now
            yield from child.committing()
        elif self.is_rolled_back():
            yield from child.rolling_back()

    def commit(self) -> bool:
        """Keep what is staged, the inner transactions first; undo all where that fails.

        Returns:
            Whether it is committed now; False where it was already ended.
        """
        return done(self.committing())

    def committing(self) -> Story[bool]:
        """Do as `commit` does, with what async hooks return coming out to be awaited."""
        if self.state in {TransactionState.COMMITTED, TransactionState.ROLLED_BACK}:
            return False
        try:
            for child in self._children:
                yield from child.committing()
            if self._save is not None:
                self._save()
            if self.key is not None and self._store is not None and self._write:
                self._store.write(self._file, self._staged, self._id, None)
            for hook in self._on_commit:
                yield from self._called(hook, "on_commit")
        except BaseException:
            yield from self.rolling_back()
            raise
        self.state = TransactionState.COMMITTED
        return True

    def rollback(self) -> bool:
        """Call the rollback hooks, the last run's first; one that fails does not stop the others.

        Returns:
            Whether it is rolled back now; False where it was already.
        """
        return done(self.rolling_back())

    def rolling_back(self) -> Story[bool]:
        """Do as `rollback` does, with what async hooks return coming out to be awaited."""
        if self.state is TransactionState.ROLLED_BACK:
            return False
        self.state = TransactionState.ROLLED_BACK
        for child in reversed(self._children):
            yield from child.rolling_back()
        for hook in reversed(self._on_rollback):
            try:
                yield from self._called(hook, "on_rollback")
            except Exception as error:  # noqa: BLE001 - the others must be called all the same
                self._say("a rollback hook raised; what it should have undone may remain", error)
        return True

    def _called(self, hook: Hook, what: str) -> Story[None]:
        name = getattr(hook, "__name__", repr(hook))
        logging.getLogger("flowstone.transactions").debug("%s: %s", what, name)
        value = hook(self)
        if isawaitable(value):
            yield value

    def _say(self, text: str, error: Exception) -> None:
        logger = self._logger
        if logger is None:
            scope = ambient.scope.get()
            logger = RUNS if scope is None else RunLogger(scope.run)
        logger.error(text, exc_info=error)


class OwnTransaction(Transaction):
    """The transaction of one task run that is in no other: it commits when the run is staged."""

    def stage_run(
        self, name: str, save: Callable[[], None] | None, on_commit: Any, on_rollback: Any
    ) -> Story[None]:
        yield from super().stage_run(name, save, on_commit, on_rollback)
        yield from self.committing()


def get_transaction() -> Transaction | None:
    """Return the transaction around this code, if there is one."""
    current: Any = ambient.transaction.get()
    return current  # type: ignore[no-any-return]


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
        except BaseException:
            made.rollback()
            raise
        done(_ending(made))


@contextmanager
def _inside(made: Transaction, lock: LockManager | None) -> Iterator[None]:
    """Be in the transaction, whose lock is taken; let the lock go."""
    token = ambient.transaction.set(made)
    try:
        made._open()  # noqa: SLF001 - this module's own
        yield
    finally:
        ambient.transaction.reset(token)
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
        except BaseException:
            await adone(made.rolling_back())
            raise
        await adone(_ending(made))


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
    kept, sketched = None, ambient.sketch() is not None  # a drawn flow keeps and locks nothing
    services = ambient.services()
    if key is not None and not sketched:
        # Blocks and serializers: 60 ms, for those transactions that keep a value.
        from flowstone.results import opened_store  # noqa: PLC0415

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
