"""In an async run nothing waits on the event loop: it ticks while any store does its work."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import pytest

from flowstone import flow, get_run_logger, runtime, task
from flowstone.cache_policies import INPUTS
from flowstone.concurrency.asyncio import concurrency, rate_limit
from flowstone.concurrency.queue import ProcessSlotQueue
from flowstone.context.current import Services, use_services
from flowstone.context.current import services as current_services
from flowstone.engine.clock import SystemClock
from flowstone.engine.journal import FULL, WriteBehind
from flowstone.flow_runs import apause_flow_run, aresume_flow_run
from flowstone.input import asend_input, receive_input
from flowstone.locking import IsolationLevel, MemoryLockManager
from flowstone.records.limits import KIND
from flowstone.records.runs import RunQuery
from flowstone.transactions import Transaction, atransaction
from flowstone_testing.objects import MemoryObjects

T = TypeVar("T")
PathLike = Any

#: Seconds after which a loop that has not ticked is blocked: reached only where something is wrong.
LIMIT = 10.0
#: How often the loop has to tick while one operation lasts.
TICKS = 3


class Watch:
    """Finds out whether an event loop ticks while an operation lasts.

    The operation lasts until it has, however long that takes: no clock decides. One that is done on
    the loop, or that the loop waits for, would last for ever.
    """

    def __init__(self, limit: float = LIMIT) -> None:
        self._limit = limit
        self._ticked = threading.Condition()
        self._ticks = 0
        self._thread: int | None = None
        self.operations: list[str] = []
        self.blocked: list[str] = []

    def run(self, made: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on a loop that is watched; fail where anything blocks that."""
        self.operations.clear()
        value = asyncio.run(self._watch(made))
        assert not self.blocked, "\n\n".join(self.blocked)
        return value

    async def _watch(self, made: Coroutine[Any, Any, T]) -> T:
        self._thread = threading.get_ident()
        ticking = asyncio.ensure_future(self._tick())
        try:
            return await made
        finally:
            ticking.cancel()
            with self._ticked:
                self._thread = None
                self._ticked.notify_all()

    async def _tick(self) -> None:
        while True:
            with self._ticked:
                self._ticks += 1
                self._ticked.notify_all()
            await asyncio.sleep(0.001)

    def last(self, operation: str) -> None:
        """Be an operation that lasts until the loop has ticked."""
        with self._ticked:
            if self._thread is None:
                return
            self.operations.append(operation)
            if threading.get_ident() == self._thread:
                stack = "".join(traceback.format_stack(limit=20))
                self.blocked.append(f"{operation} is done on the loop:\n{stack}")
                return
            enough = self._ticks + TICKS
            if not self._ticked.wait_for(
                lambda: self._thread is None or self._ticks >= enough, self._limit
            ):
                stack = "".join(
                    traceback.format_stack(sys._current_frames()[self._thread], limit=20)
                )
                self.blocked.append(f"the loop waits for {operation}:\n{stack}")


class Slow:
    """A store whose every operation lasts until the loop has ticked."""

    def __init__(self, store: Any, watch: Watch, name: str) -> None:
        self._store, self._watch, self._name = store, watch, name

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found) or name == "close":
            return found

        def operate(*args: Any, **kwargs: Any) -> Any:
            self._watch.last(f"{self._name}.{name}")
            return found(*args, **kwargs)

        return operate


_watches: dict[str, Watch] = {}


class SlowObjects(MemoryObjects):
    """An object store of the same kind."""

    def read_path(self, path: PathLike, **options: Any) -> bytes:
        _watches[self.place].last(f"read {path}")
        return super().read_path(path, **options)

    def write_path(self, path: PathLike, content: bytes, **options: Any) -> str:
        _watches[self.place].last(f"write {path}")
        return super().write_path(path, content, **options)


class SlowLocks(MemoryLockManager):
    """Locks of the same kind."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def acquire_lock(self, *args: Any, **kwargs: Any) -> bool:
        self._watch.last("lock")
        return super().acquire_lock(*args, **kwargs)

    def release_lock(self, *args: Any) -> None:
        self._watch.last("unlock")
        super().release_lock(*args)


@pytest.fixture
def watch(services: Services) -> Iterator[Watch]:
    """Make all stores of the current services slow."""
    made = Watch()
    clock = SystemClock()
    runs: Any = Slow(services.runs, made, "runs")
    documents: Any = Slow(services.documents, made, "documents")
    slots: Any = Slow(services.slots, made, "slots")
    queue = ProcessSlotQueue(slots, documents, clock, services.holder, 30.0)
    slow = replace(
        services,
        runs=runs,
        documents=documents,
        slots=slots,
        journal=WriteBehind(runs, clock, 30.0, slots=queue.leases),
        slot_queue=queue,
    )
    with use_services(slow):
        yield made
        slow.slot_queue.close()
        slow.journal.close()


@pytest.fixture
def storage(watch: Watch, tmp_path: Path) -> Iterator[SlowObjects]:
    place = str(tmp_path)
    _watches[place] = watch
    yield SlowObjects(place=place)
    del _watches[place]


@task
async def double(x: int) -> int:
    return 2 * x


def test_a_watch_finds_what_blocks_the_loop(storage: SlowObjects, watch: Watch) -> None:
    async def block() -> None:
        storage.write_path("a", b"")

    with pytest.raises(AssertionError, match="write a is done on the loop"):
        watch.run(block())


def test_a_watch_finds_what_the_loop_waits_for() -> None:
    watch = Watch(limit=0.1)

    async def block() -> None:
        writing = threading.Thread(target=watch.last, args=("write a",))
        writing.start()
        writing.join()

    with pytest.raises(AssertionError, match="the loop waits for write a"):
        watch.run(block())


def test_flows_and_tasks(watch: Watch) -> None:
    @flow
    async def inner(x: int) -> int:
        return await double(x)

    @flow
    async def outer() -> list[int]:
        mapped = double.map([4, 5])
        return [await double(1), await inner(2), await double.submit(3), await mapped[1]]

    assert watch.run(outer()) == [2, 4, 6, 10]
    assert {"runs.create", "runs.record"} <= set(watch.operations)
    assert watch.run(double(1)) == 2


def test_results_that_are_kept(watch: Watch, storage: SlowObjects) -> None:
    locks = SlowLocks(watch)
    policy = INPUTS.configure(isolation_level=IsolationLevel.SERIALIZABLE, lock_manager=locks)

    @task(cache_policy=policy, cache_result_in_memory=False)
    async def compute(x: int) -> int:
        return x

    @flow(result_storage=storage, persist_result=True)
    async def keeps() -> list[int]:
        first = compute.submit(1)
        return [await compute(1), await first, await double.submit(first), await compute(2)]

    assert watch.run(keeps()) == [1, 1, 2, 2]
    told = " ".join(watch.operations)
    assert all(each in told for each in ("read ", "write ", "lock", "unlock"))


def test_a_storage_that_is_named(watch: Watch, storage: SlowObjects) -> None:
    storage.save("slow")

    @task(result_storage="slow-objects/slow", persist_result=True)
    async def compute() -> int:
        return 1

    @flow
    async def names() -> list[int]:
        return [await compute(), await compute.submit()]

    assert watch.run(names()) == [1, 1]
    assert "documents.get" in watch.operations


def test_hooks_that_block(watch: Watch, storage: SlowObjects) -> None:
    def tell(*_: object) -> None:
        storage.write_path("told", b"")

    async def atell(*_: object) -> None:
        await storage.awrite_path("told", b"")

    def may_retry(*_: object) -> bool:
        tell()
        return True

    attempts = []

    @task(retries=1, retry_condition_fn=may_retry, on_completion=[tell, atell], on_running=[tell])
    async def fails_once() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("again")
        return 1

    @flow(on_completion=[tell, atell], on_running=[tell])
    async def calls() -> int:
        return await fails_once()

    assert watch.run(calls()) == 1
    assert watch.operations.count("write told") == 8


def test_transactions(watch: Watch, storage: SlowObjects) -> None:
    undone: list[str] = []

    def tell(txn: Transaction) -> None:
        storage.write_path("told", b"")

    async def undo(txn: Transaction) -> None:
        await storage.awrite_path("told", b"")
        undone.append("async")

    def undo_in_a_thread(txn: Transaction) -> None:
        tell(txn)
        undone.append("sync")

    @task(on_commit=[tell], on_rollback=[undo, undo_in_a_thread], persist_result=True)
    async def step(x: int) -> int:
        return x

    @flow(result_storage=storage)
    async def commits() -> bool:
        async with atransaction("good", isolation_level="SERIALIZABLE", lock_manager=locks) as txn:
            await step(1)
            txn.stage(1)
        async with atransaction("good") as again:
            return again.is_committed()

    @flow(result_storage=storage)
    async def rolls_back() -> None:
        async with atransaction("bad"):
            await step(2)
            raise ValueError("no")

    locks = SlowLocks(watch)
    assert watch.run(commits())
    assert not undone
    with pytest.raises(ValueError, match="no"):
        watch.run(rolls_back())
    assert not watch.blocked
    assert undone == ["sync", "async"]


def test_transactions_that_are_ended_by_hand(watch: Watch, storage: SlowObjects) -> None:
    undone: list[bool] = []

    def undo(txn: Transaction) -> None:
        storage.write_path("undone", b"")
        undone.append(txn.is_rolled_back())

    async def ends_by_hand() -> list[object]:
        async with atransaction(
            "key", store=storage, commit_mode="OFF", isolation_level="SERIALIZABLE"
        ) as txn:
            told: list[object] = [await txn.aread()]
            txn.stage(1)
            told += [await txn.acommit(), await txn.acommit(), await txn.aread()]
        async with atransaction("other", store=storage, commit_mode="OFF") as txn:
            txn.stage(2, on_rollback_hooks=[undo])
            told += [await txn.arollback(), await txn.arollback(), await txn.aread()]
        return told

    assert watch.run(ends_by_hand()) == [None, True, False, 1, True, False, None]
    assert undone == [True]
    assert {"slots.take_slots", "slots.give_back_slots"} <= set(watch.operations)


def test_slots(watch: Watch) -> None:
    documents = current_services().documents
    documents.put(KIND, "db", {"slots": 1})
    documents.put(KIND, "tag:db", {"slots": 1})
    documents.put(KIND, "rate", {"slots": 5, "slot_decay_per_second": 5.0})

    @task(tags=["db"])
    async def query() -> int:
        async with concurrency("db", strict=True):
            await rate_limit("rate")
            return 1

    @flow
    async def queries() -> list[int]:
        return await asyncio.gather(*(query() for _ in range(3)))

    assert watch.run(queries()) == [1, 1, 1]
    assert {"slots.take_slots", "slots.give_back_slots"} <= set(watch.operations)


def test_generators(watch: Watch, storage: SlowObjects) -> None:
    def tell(*_: object) -> None:
        storage.write_path("told", b"")

    @flow(on_completion=[tell])
    async def counts() -> AsyncIterator[int]:
        yield await double(1)
        yield await double(2)

    @flow
    def counts_here() -> Iterator[int]:
        yield 1
        yield 2

    left: list[Iterator[int]] = []  # a run of a sync generator, which ends with the flow

    @flow
    async def iterates() -> list[int]:
        left.append(counts_here())
        return [await asyncio.to_thread(next, left[0]), *[value async for value in counts()]]

    assert watch.run(iterates()) == [1, 2, 4]


def test_pauses_and_inputs(watch: Watch) -> None:
    @flow
    async def waits() -> tuple[int, str]:
        await asend_input("hello", runtime.flow_run.id or "")
        heard = [each async for each in receive_input(str, timeout=0)]
        return await apause_flow_run(wait_for_input=int, poll_interval=0.01), heard[0]

    async def answers() -> tuple[int, str]:
        running = asyncio.ensure_future(waits())
        await aresume_flow_run(await asyncio.to_thread(find_paused), 7)
        return await running

    def find_paused() -> str:
        end = monotonic() + LIMIT
        while monotonic() < end:
            for run in current_services().runs.runs(RunQuery()):
                if run.state.name == "Paused":
                    return run.id
        raise AssertionError("it does not pause")

    assert watch.run(answers()) == (7, "hello")


def test_blocks(watch: Watch, storage: SlowObjects) -> None:
    async def saves() -> bytes:
        await storage.asave("slow")
        found = await SlowObjects.aload("slow")
        await found.awrite_path("a", b"1")
        return await found.aread_path("a")

    assert watch.run(saves()) == b"1"
    assert {"documents.put", "documents.get"} <= set(watch.operations)


def test_a_full_journal(watch: Watch) -> None:
    @flow
    async def says_much() -> None:
        for number in range(FULL + 10):
            get_run_logger().info("line %s", number)
        await double(1)

    watch.run(says_much())
    assert "runs.append" in watch.operations
