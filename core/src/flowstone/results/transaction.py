"""Transactions: commit the results of a group of tasks together, or roll all of them back.

They are not distributed transactions: side effects of a task are undone by its `on_rollback` hook.
"""

from __future__ import annotations

import logging
import os
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any

from flowstone.context import current
from flowstone.engine.blocking_calls import call_blocking, is_on_loop
from flowstone.engine.story import arun_story, run_story
from flowstone.errors import ConfigurationError
from flowstone.locking import IsolationLevel
from flowstone.logging.run_logger import RUNS, RunLogger
from flowstone.records.ids import new_id
from flowstone.results.key_locks import make_key_lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from flowstone.engine.story import Story
    from flowstone.locking import LockManager
    from flowstone.records.specs import Hook
    from flowstone.results.key_locks import KeyLock
    from flowstone.results.result_store import ResultFiles, StoreOption


class CommitMode(StrEnum):
    """When a transaction is committed.

    EAGER: at the end of its block. LAZY: with the outer one. OFF: by `commit`, else rolled back.
    """

    EAGER = "EAGER"
    LAZY = "LAZY"
    OFF = "OFF"


class TransactionState(StrEnum):
    """The state of a transaction."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    STAGED = "STAGED"
    COMMITTED = "COMMITTED"
    ROLLED_BACK = "ROLLED_BACK"


ENDED = frozenset({TransactionState.COMMITTED, TransactionState.ROLLED_BACK})


class Transaction:
    """A group of changes, created by `transaction(...)`; each task run inside has a nested one.

    Attributes:
        key: the key of its staged value; None for no value.
        parent: the transaction around it; None for the outermost one.
        state: its state.
        locked_key: the key that is locked while its block runs; None for none.
    """

    def __init__(
        self,
        key: str | None = None,
        *,
        parent: Transaction | None = None,
        store: ResultFiles | None = None,
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
        self.locked_key: str | None = None
        self._id = new_id()
        self._file = store.file_name(key) if store is not None and key is not None else key or ""
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
            self._join(parent)

    def _join(self, parent: Transaction) -> None:
        parent._children.append(self)

    def begin(self) -> None:
        """Begin its block, with the lock held; it is committed if an earlier one of its key was."""
        self.state = TransactionState.ACTIVE
        kept = None if self._overwrite or self._store is None else self._store.read(self._file)
        if kept is not None and kept.found:
            self.state = TransactionState.COMMITTED

    def set(self, name: str, value: Any) -> None:
        """Set a value for the hooks; it is not persisted."""
        self._values[name] = value

    def get(self, name: str, default: Any = ...) -> Any:
        """Return a value set here, or in a transaction around this one; it is not a copy.

        Raises:
            ConfigurationError: no value has that name, and there is no default.
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
        self,
        value: object,
        on_rollback_hooks: list[Any] | None = None,
        on_commit_hooks: list[Any] | None = None,
    ) -> None:
        """Stage a value to be persisted at the commit, and hooks to be called.

        Args:
            value: the value.
            on_rollback_hooks: called at a rollback, the last one first.
            on_commit_hooks: called at the commit.
        """
        self._staged = value
        self._on_rollback += on_rollback_hooks or ()
        self._on_commit += on_commit_hooks or ()
        self.state = TransactionState.STAGED

    def read(self) -> Any:
        """Return the value that an earlier transaction of this key committed; None if none did."""
        if self.key is None or self._store is None:
            return None
        found = self._store.read(self._file)
        return found.value if found.found else None

    async def aread(self) -> Any:
        """Async version of `read`."""
        return await call_blocking(self.read)

    def is_committed(self) -> bool:
        """Return whether it is committed; at its start, whether an earlier one with its key was."""
        return self.state is TransactionState.COMMITTED

    def is_rolled_back(self) -> bool:
        """Return whether it was rolled back."""
        return self.state is TransactionState.ROLLED_BACK

    def is_staged(self) -> bool:
        """Return whether it has a value that is not committed yet."""
        return self.state is TransactionState.STAGED

    def is_active(self) -> bool:
        """Return whether its block is running."""
        return self.state is TransactionState.ACTIVE

    def is_pending(self) -> bool:
        """Return whether its block has not begun."""
        return self.state is TransactionState.PENDING

    def stage_run(
        self, name: str, save: Callable[[], None] | None, on_commit: Any, on_rollback: Any
    ) -> Story[None]:
        """Add a completed task run.

        Args:
            name: the name of the run.
            save: persists the run's result.
            on_commit: the hooks to call at the commit.
            on_rollback: the hooks to call at a rollback.
        """
        child = Transaction(parent=self)
        child._logger = self._logger
        child._save = save
        child.set("task_run_name", name)
        child.stage(None, list(on_rollback), list(on_commit))
        if self.is_committed():  # it was submitted, and has ended only now
            yield from child.perform_commit()
        elif self.is_rolled_back():
            yield from child.perform_rollback()

    def commit(self) -> bool:
        """Commit what is staged, nested transactions first; if that fails, roll back everything.

        The value of its key is written last, which commits it. Return False if it had ended before.
        """
        return run_story(self.perform_commit())

    async def acommit(self) -> bool:
        """Async version of `commit`."""
        return await arun_story(self.perform_commit())

    def perform_commit(self) -> Story[bool]:
        """Implement `commit`; yield what has to be waited for."""
        if self.state in ENDED:
            return False
        try:
            yield from self._call_commit_hooks()
            if is_on_loop():
                yield self._write_values
            else:
                self._write_values()
        except BaseException:
            if not self.is_committed():
                yield from self.perform_rollback()
            raise
        return True

    def _call_commit_hooks(self) -> Story[None]:
        """Call the commit hooks. Nothing is persisted yet, as each of them may cause a rollback."""
        for each in self._open_children():
            child: Transaction = each
            yield from child._call_commit_hooks()
        for hook in self._on_commit:
            yield from self._call(hook, "on_commit")

    def _write_values(self) -> None:
        """Persist the values, its own last: with that it is committed, whatever happens."""
        for each in self._open_children():
            child: Transaction = each
            child._write_values()
        if self._save is not None:
            self._save()
        store = self._store if self.key is not None and self._write else None
        try:
            if store is not None:
                store.write(self._file, self._staged, self._id, None)
            self.state = TransactionState.COMMITTED
        except BaseException as error:
            # A storage may store it and fail nevertheless; an interrupt may come after that.
            if store is None or store.read_maker(self._file) != self._id:
                raise
            self.state = TransactionState.COMMITTED
            if not isinstance(error, Exception):
                raise

    def _open_children(self) -> list[Transaction]:
        return [child for child in self._children if child.state not in ENDED]

    def rollback(self) -> bool:
        """Call the rollback hooks, the last run's first; a failing hook doesn't stop the others.

        Return whether it is rolled back now; False if it was before.
        """
        return run_story(self.perform_rollback())

    async def arollback(self) -> bool:
        """Async version of `rollback`."""
        return await arun_story(self.perform_rollback())

    def perform_rollback(self) -> Story[bool]:
        """Implement `rollback`; yield what has to be waited for."""
        if self.state is TransactionState.ROLLED_BACK:
            return False
        self.state = TransactionState.ROLLED_BACK
        for child in reversed(self._children):
            yield from child.perform_rollback()
        for hook in reversed(self._on_rollback):
            try:
                yield from self._call(hook, "on_rollback")
            except Exception as error:  # noqa: BLE001 - the others must still be called
                self._log("a rollback hook failed; what it should have undone may remain", error)
        return True

    def _call(self, hook: Hook, what: str) -> Story[None]:
        name = getattr(hook, "__name__", repr(hook))
        logging.getLogger("flowstone.transactions").debug("%s: %s", what, name)
        is_quick = iscoroutinefunction(hook) or not is_on_loop()
        value = hook(self) if is_quick else (yield partial(hook, self))
        if isawaitable(value):
            yield value

    def _log(self, text: str, error: Exception) -> None:
        logger = self._logger
        if logger is None:
            scope = current.scope.get()
            logger = RUNS if scope is None else RunLogger(scope.run)
        logger.error(text, exc_info=error)


class OwnTransaction(Transaction):
    """The transaction of a task run outside of any other: it commits when the run is staged."""

    def stage_run(
        self, name: str, save: Callable[[], None] | None, on_commit: object, on_rollback: object
    ) -> Story[None]:
        yield from super().stage_run(name, save, on_commit, on_rollback)
        yield from self.perform_commit()


def get_transaction() -> Transaction | None:
    """Return the transaction around this code, or None."""
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
    logger: object = None,
    lock_manager: LockManager | None = None,
) -> Iterator[Transaction]:
    """Group the task runs in a block: all are committed at its end, or all are rolled back.

    The results of those tasks are persisted only at the commit, when their `on_commit` hooks are
    called. If the block or the commit raises, their `on_rollback` hooks are called, the last first.

    Args:
        key: the key of the staged value; `txn.is_committed()` is True if it was committed before.
        store: the storage of results: a path, an object store block or its saved name, or a
            `ResultStore`; by default that of the enclosing flow, or else files in the home.
        commit_mode: `CommitMode`; by default LAZY, which commits the outermost at its block's end.
        isolation_level: with SERIALIZABLE, one block with this key runs at a time.
        overwrite: whether to run although an earlier one was committed.
        write_on_commit: False to persist nothing.
        logger: logs errors of hooks; by default the current run's logger.
        lock_manager: the lock manager for SERIALIZABLE; by default, the store.

    Raises:
        ConfigurationError: SERIALIZABLE without a key.
    """
    made, lock = _prepare(
        key,
        store=store,
        commit_mode=commit_mode,
        isolation_level=isolation_level,
        overwrite=overwrite,
        write_on_commit=write_on_commit,
        logger=logger,
        lock_manager=lock_manager,
    )
    if lock is not None:
        lock.acquire()
    with _enter(made, lock):
        try:
            yield made
            run_story(_finish(made))
        except BaseException:
            if not made.is_committed():  # if it is, that is final
                made.rollback()
            raise


@asynccontextmanager
async def atransaction(
    key: str | None = None,
    store: StoreOption = None,
    commit_mode: CommitMode | str | None = None,
    isolation_level: IsolationLevel | str | None = None,
    overwrite: bool = False,
    write_on_commit: bool = True,
    logger: object = None,
    lock_manager: LockManager | None = None,
) -> AsyncIterator[Transaction]:
    """Group the task runs in an async block; arguments as for `transaction`."""
    prepare = partial(
        _prepare,
        key,
        store=store,
        commit_mode=commit_mode,
        isolation_level=isolation_level,
        overwrite=overwrite,
        write_on_commit=write_on_commit,
        logger=logger,
        lock_manager=lock_manager,
    )
    made, lock = prepare() if key is None else await call_blocking(prepare)
    async with _aenter(made, lock):
        try:
            yield made
            await arun_story(_finish(made))
        except BaseException:
            if not made.is_committed():
                await arun_story(made.perform_rollback())
            raise


@contextmanager
def _enter(made: Transaction, lock: KeyLock | None) -> Iterator[None]:
    """Enter the transaction, whose lock is held; release the lock at the end."""
    token = current.transaction.set(made)
    try:
        made.begin()
        yield
    finally:
        current.transaction.reset(token)
        if lock is not None:
            lock.release()


@asynccontextmanager
async def _aenter(made: Transaction, lock: KeyLock | None) -> AsyncIterator[None]:
    """Take the lock, enter the transaction, and release the lock at the end."""
    token = current.transaction.set(made)
    try:
        if lock is not None:
            await lock.aacquire()
        if made.key is None:
            made.begin()
        else:
            await call_blocking(made.begin)
        yield
    finally:
        current.transaction.reset(token)
        if lock is not None:
            await call_blocking(lock.release)


def _finish(made: Transaction) -> Story[None]:
    """Commit or roll back at the end of a block, depending on the commit mode."""
    if made.commit_mode is CommitMode.OFF:
        if not made.is_committed():
            yield from made.perform_rollback()
    elif made.parent is None or made.commit_mode is CommitMode.EAGER:
        yield from made.perform_commit()


def _prepare(
    key: str | None,
    *,
    store: StoreOption,
    commit_mode: CommitMode | str | None,
    isolation_level: IsolationLevel | str | None,
    overwrite: bool,
    write_on_commit: bool,
    logger: object,
    lock_manager: LockManager | None,
) -> tuple[Transaction, KeyLock | None]:
    """Create the transaction of a block, and the lock that it has to take first."""
    results = None
    is_sketched = current.sketch() is not None  # a drawn flow persists and locks nothing
    services = current.services()
    if key is not None and not is_sketched:
        # Blocks and serializers take 60 ms to import.
        from flowstone.results.result_store import open_store

        results, locks = open_store(store, services)
        lock_manager = lock_manager or locks
    made = Transaction(
        key,
        parent=get_transaction(),
        store=results,
        commit_mode=None if commit_mode is None else CommitMode(commit_mode),
        overwrite=overwrite,
        write_on_commit=write_on_commit,
        logger=logger,
    )
    if isolation_level is None or IsolationLevel(isolation_level) != "SERIALIZABLE":
        return made, None
    _claim_key(made)
    if is_sketched:
        return made, None
    run = current.current_run()
    lock = make_key_lock(
        services,
        lock_manager,
        made.key or "",
        holder=new_id(),
        owner=f"pid {os.getpid()}" if run is None else run.name,
        run_id=None if run is None else run.id,
    )
    return made, lock


def _claim_key(made: Transaction) -> None:
    """Set the key that a transaction locks, unless it has none, or would wait for itself."""
    if made.key is None:
        remedy = "Pass a key, or omit isolation_level."
        raise ConfigurationError("transaction(...)", "SERIALIZABLE needs a key", remedy)
    around = made.parent
    while around is not None and around.locked_key != made.key:
        around = around.parent
    if around is not None:
        problem = f"a transaction around it holds the key {made.key!r} already"
        raise ConfigurationError("transaction(...)", problem, "Use another key.")
    made.locked_key = made.key
