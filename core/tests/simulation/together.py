"""Transactions: what was done and undone in them, and what is kept by their keys."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from flowstone import task
from flowstone.locking import IsolationLevel
from flowstone.transactions import Transaction, transaction

from .blobs import SimBlobs, SimLocks
from .here import here

if TYPE_CHECKING:
    from collections.abc import Callable

    from .process import Process
    from .programs import Node
    from .world import World


@dataclass(slots=True)
class Told:
    """What the hooks of a transaction, or of a task in it, were called for."""

    name: str
    committed: int = 0
    undone: int = 0
    done: int = 0  # the number of its tasks that have completed
    is_unsure: bool = False  # undone, as nobody could tell that it was kept
    is_stopped: bool = False  # a second stop may come into the undoing of the first
    parts: list[Told] = field(default_factory=list)

    def all(self) -> list[Told]:
        return [self, *(each for part in self.parts for each in part.all())]


class Transactions:
    """Knows all transactions of a world by their ids."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._told: dict[str, Told] = {}

    def begun(self, made: Transaction, key: str) -> Told:
        told = self._told[made._id] = Told(f"the transaction of {key}")
        return told

    def called(self, made: Transaction, what: str) -> None:
        """A hook is called: once of a kind, and never to undo what is committed."""
        told = self._known(made)
        expect = self._world.auditor.expect
        around = made if made.parent is None else made.parent
        if what == "commit":
            told.committed += 1
            expect(told.committed == 1, f"{told.name} was committed twice")
            expect(not told.undone, f"{told.name} was committed after it was undone")
            return
        told.undone += 1
        expect(told.undone == 1, f"{told.name} was undone twice")
        error = sys.exc_info()[1]
        was_broken = error is not None and type(error).__name__ != "Planned"
        expect(not told.committed or was_broken, f"{told.name} was undone after its commit")
        self._check_gone(around, told)

    def ended(self, made: Transaction, process: Process) -> None:
        """Its block is left: it is committed and kept, or it is undone and is not."""
        told, key = self._told[made._id], made.key or ""
        expect = process.check
        expect(
            made.is_committed() or made.is_rolled_back(), f"{told.name} was left {made.state.name}"
        )
        if made.is_committed():
            is_kept = self._maker(key) == made._id
            expect(is_kept, f"{told.name} is committed, but not kept")
            self._check_whole(told)
        else:
            self._check_gone(made, told)
            undone = sum(each.undone for each in told.parts)
            expect(
                undone >= told.done or told.is_stopped,
                f"{told.name} is undone, but {undone} of its {told.done} tasks are",
            )

    def found(self, made: Transaction, process: Process) -> None:
        """An earlier one was committed: all of it, and its value is there."""
        key = made.key or ""
        maker = self._told.get(self._maker(key) or "")
        process.check(maker is not None, f"{key} is committed by nobody")
        if maker is not None and not maker.is_unsure:
            self._check_whole(maker)
        value = made.read()
        ok = value == _value(key) or (value is None and self._is_unreadable())
        process.check(ok, f"{key} has {value!r}")

    def _known(self, made: Transaction) -> Told:
        found = self._told.get(made._id)
        if found is None:
            assert made.parent is not None
            found = self._told[made._id] = Told(f"{made.get('task_run_name')} in {made.parent.key}")
            self._told[made.parent._id].parts.append(found)
        return found

    def _check_whole(self, told: Told) -> None:
        bad = [each.name for each in told.all() if each.undone or each.committed != 1]
        self._world.auditor.expect(not bad, f"{told.name} is committed, but not {bad}")

    def _check_gone(self, made: Transaction, told: Told) -> None:
        """What is undone is not kept, unless it was, with an error, and could not be read then."""
        if self._maker(made.key or "") == made._id:
            self._told[made._id].is_unsure = True
            self._world.auditor.expect(
                self._is_unreadable(), f"{told.name} was undone, but {made.key} is kept"
            )

    def _maker(self, key: str) -> str | None:
        content = self._world.cache.contents.get(key, b"")
        return next((each for each in self._told if each.encode() in content), None)

    def _is_unreadable(self) -> bool:
        return bool(self._world.cache.excused)


def transact(node: Node, work: Callable[[int], Any], planned: type[Exception]) -> None:
    """Act out a transaction, and be content where it fails."""
    process = here()
    promised = process.world.promised
    made: Any = None
    told: Told | None = None
    block = transaction(
        node.key,
        SimBlobs(place="simulation"),
        isolation_level=IsolationLevel.SERIALIZABLE,
        lock_manager=SimLocks(),
    )
    try:
        with block as made:
            made.__class__ = process.world.parts.transaction
            if made.is_committed():
                promised.found(made, process)
                return
            told = promised.begun(made, node.key)
            for step in node.nodes:
                _step(work, step.retries)(step.number)
                told.done += 1
            made.stage(_value(node.key), [undone], [committed])
            if process.begin(node) <= node.fails:
                raise planned(f"transaction {node.number}")
    except Exception as error:
        process.world.note(f"transaction of {node.key}: {type(error).__name__}")
    except BaseException:
        if told is not None:
            told.is_stopped = True
        raise
    finally:
        current = process.world.scheduler.current
        is_doomed = current is None or process.world.scheduler._is_doomed(current)
        if told is not None and not is_doomed:
            promised.ended(made, process)


def committed(made: Transaction) -> None:
    here().nap(0.0)
    here().world.promised.called(made, "commit")


def undone(made: Transaction) -> None:
    here().nap(0.0)
    here().world.promised.called(made, "rollback")


def _value(key: str) -> str:
    return f"value of {key}"


@cache
def _step(work: Callable[[int], Any], retries: int) -> Any:
    made: Any = task(name="step", retries=retries)(work)
    made.on_commit(committed)
    made.on_rollback(undone)
    return made
