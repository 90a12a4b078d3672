"""What a transaction is: changes that are kept together at its commit, or undone together."""

from __future__ import annotations

import logging
from enum import StrEnum
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from flowstone.context import current
from flowstone.engine.driver import done
from flowstone.errors import ConfigurationError
from flowstone.logging.run_logger import RUNS, RunLogger
from flowstone.records.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.engine.driver import Story
    from flowstone.records.specs import Hook
    from flowstone.results.result_store import KeptResults


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


ENDED = frozenset({TransactionState.COMMITTED, TransactionState.ROLLED_BACK})


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

        The value of its key is kept last: from then on it is committed, whatever comes.

        Returns:
            Whether it is committed now; False where it was already ended.
        """
        return done(self.committing())

    def committing(self) -> Story[bool]:
        """Do as `commit` does, with what async hooks return coming out to be awaited."""
        if self.state in ENDED:
            return False
        try:
            yield from self._agreeing()
            self._keep()
        except BaseException:
            if not self.is_committed():
                yield from self.rolling_back()
            raise
        return True

    def _agreeing(self) -> Story[None]:
        """Call the commit hooks: nothing is kept yet, as each of them may have all undone."""
        for child in self._open_children():
            yield from child._agreeing()  # noqa: SLF001 - its own kind
        for hook in self._on_commit:
            yield from self._called(hook, "on_commit")

    def _keep(self) -> None:
        """Keep the values, this one's own last: with that it is committed, whatever comes."""
        for child in self._open_children():
            child._keep()  # noqa: SLF001 - its own kind
        if self._save is not None:
            self._save()
        store = self._store if self.key is not None and self._write else None
        try:
            if store is not None:
                store.write(self._file, self._staged, self._id, None)
            self.state = TransactionState.COMMITTED
        except BaseException as error:
            # A storage may keep it, and fail all the same; an interrupt may come behind that.
            if store is None or store.maker(self._file) != self._id:
                raise
            self.state = TransactionState.COMMITTED
            if not isinstance(error, Exception):
                raise

    def _open_children(self) -> list[Transaction]:
        return [child for child in self._children if child.state not in ENDED]

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
            scope = current.scope.get()
            logger = RUNS if scope is None else RunLogger(scope.run)
        logger.error(text, exc_info=error)


class OwnTransaction(Transaction):
    """The transaction of one task run that is in no other: it commits when the run is staged."""

    def stage_run(
        self, name: str, save: Callable[[], None] | None, on_commit: Any, on_rollback: Any
    ) -> Story[None]:
        yield from super().stage_run(name, save, on_commit, on_rollback)
        yield from self.committing()
