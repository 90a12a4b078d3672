"""What comes of a cancellation, or a time limit, while a step of an async run is in a thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any

import pytest

from flowstone import flow, task
from flowstone.cache_policies import INPUTS
from flowstone.context.current import Services
from flowstone.engine import blocking_calls
from flowstone.engine.blocking_calls import call_blocking
from flowstone.errors import ObjectMissing, RunTimeout
from flowstone.locking import IsolationLevel, MemoryLockManager
from flowstone.records.runs import RunQuery
from flowstone.transactions import atransaction
from flowstone_testing.objects import MemoryObjects

#: Seconds after which a wait has failed: reached only where something is wrong.
LIMIT = 10.0


class Gate:
    """Holds up every caller until it is opened."""

    def __init__(self) -> None:
        self._came, self._opened = threading.Event(), threading.Event()

    def come(self) -> None:
        self._came.set()
        for _ in range(int(LIMIT / 0.01)):  # short waits: an interrupt comes up between two
            if self._opened.wait(0.01):
                return
        raise AssertionError("nobody opens the gate, and nobody interrupts the wait")

    def open(self) -> None:
        self._opened.set()

    async def await_visitor(self) -> None:
        assert await asyncio.to_thread(self._came.wait, LIMIT)


_gates: dict[str, Gate] = {}


class GatedObjects(MemoryObjects):
    """An object store whose writes are held up."""

    def write_path(self, path: Any, content: bytes, **options: Any) -> str:
        _gates[self.place].come()
        return super().write_path(path, content, **options)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    _gates[str(tmp_path)] = made = Gate()
    yield made
    del _gates[str(tmp_path)]


@pytest.fixture
def storage(gate: Gate, tmp_path: Path) -> GatedObjects:
    return GatedObjects(place=str(tmp_path))


def ends(services: Services) -> dict[str, str]:
    services.journal.flush()
    return {run.unit: run.state.name for run in services.runs.runs(RunQuery())}


async def cancel_at(gate: Gate, run: Awaitable[object], *, opens: bool) -> None:
    """Cancel a run while it is at a gate, and wait until it has ended."""
    running = asyncio.ensure_future(run)
    await gate.await_visitor()
    running.cancel()
    await asyncio.sleep(0)  # the cancellation is in the coroutine
    if opens:
        gate.open()
    with pytest.raises(asyncio.CancelledError):
        await running


def make_keeper(storage: GatedObjects) -> Callable[[], Awaitable[int]]:
    @task(result_storage=storage, persist_result=True, result_storage_key="kept")
    async def compute() -> int:
        return 1

    @flow
    async def keeps() -> int:
        return await compute()

    return keeps


def test_a_cancel_while_a_result_is_saved_loses_nothing(
    gate: Gate, storage: GatedObjects, services: Services
) -> None:
    keeps = make_keeper(storage)
    asyncio.run(cancel_at(gate, keeps(), opens=True))
    assert ends(services) == {"compute": "Completed", "keeps": "Cancelled"}
    assert asyncio.run(_await(keeps())) == 1  # what was saved is whole


def test_a_cancel_interrupts_a_save_that_never_ends(
    gate: Gate, storage: GatedObjects, services: Services
) -> None:
    asyncio.run(cancel_at(gate, make_keeper(storage)(), opens=False))
    assert ends(services) == {"compute": "Cancelled", "keeps": "Cancelled"}
    with pytest.raises(ObjectMissing):
        storage.read_path("kept")


def test_a_time_limit_interrupts_a_save_that_never_ends(
    gate: Gate, storage: GatedObjects, services: Services
) -> None:
    keeps = make_keeper(storage)

    @flow(timeout_seconds=0.05)
    async def is_limited() -> int:
        return await keeps()

    with pytest.raises(RunTimeout):
        asyncio.run(_await(is_limited()))
    assert ends(services) == {
        "compute": "Cancelled",
        "keeps": "Cancelled",
        "is-limited": "TimedOut",
    }


def test_a_cancel_at_the_birth_of_a_run_ends_it_before_its_code(services: Services) -> None:
    gate = Gate()
    called = []

    def hold_up(*_: object) -> None:
        gate.come()

    @flow(on_running=[hold_up])
    async def begins() -> None:
        called.append(1)

    asyncio.run(cancel_at(gate, begins(), opens=True))
    assert ends(services) == {"begins": "Cancelled"}
    assert not called


def test_a_cancel_at_the_end_of_a_run_comes_after_it(services: Services) -> None:
    gate = Gate()

    def hold_up(*_: object) -> None:
        gate.come()

    told = []

    @flow(on_completion=[hold_up, lambda *_: told.append(1)])
    async def ends_well() -> None:
        pass

    asyncio.run(cancel_at(gate, ends_well(), opens=True))
    assert ends(services) == {"ends-well": "Completed"}
    assert told == [1]  # the hooks that were left are called all the same


def test_a_run_whose_coroutine_is_dropped_has_an_end(services: Services) -> None:
    began = asyncio.Event()

    @flow
    async def is_dropped() -> None:
        began.set()
        await asyncio.Event().wait()

    async def drop() -> None:
        running = is_dropped()
        context = copy_context()
        task = asyncio.get_running_loop().create_task(running, context=context)
        await began.wait()
        context.run(running.close)  # as the end of its loop does
        task.cancel()
        await asyncio.wait({task})
        assert isinstance(task.exception(), RuntimeError)  # of a coroutine that is closed

    asyncio.run(drop())
    assert ends(services) == {"is-dropped": "Crashed"}


class GatedLocks(MemoryLockManager):
    """Locks whose takers are held up once they have them."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def acquire_lock(self, *args: Any, **kwargs: Any) -> bool:
        taken = super().acquire_lock(*args, **kwargs)
        self._gate.come()
        return taken


@pytest.mark.parametrize("opens", [True, False])
def test_a_cancel_while_a_call_is_locked_lets_others_compute_it(
    opens: bool, services: Services
) -> None:
    gate = Gate()
    locks = GatedLocks(gate)
    policy = INPUTS.configure(isolation_level=IsolationLevel.SERIALIZABLE, lock_manager=locks)

    @task(cache_policy=policy, persist_result=True)
    async def compute() -> int:
        return 1

    asyncio.run(cancel_at(gate, compute(), opens=opens))
    gate.open()
    assert asyncio.run(asyncio.wait_for(_await(compute()), LIMIT)) == 1


def test_a_cancel_while_a_transaction_is_locked_lets_others_in(services: Services) -> None:
    gate = Gate()
    locks = GatedLocks(gate)

    async def enter() -> None:
        async with atransaction("key", isolation_level="SERIALIZABLE", lock_manager=locks):
            pass

    asyncio.run(cancel_at(gate, enter(), opens=True))
    assert not locks.is_locked("key")
    asyncio.run(asyncio.wait_for(enter(), LIMIT))


def test_a_blocking_call_sets_variables_of_its_caller_and_sees_them() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)

    def add() -> int:
        variable.set(variable.get() + 1)
        return threading.get_ident()

    async def call() -> tuple[int, int]:
        variable.set(1)
        return await call_blocking(add), variable.get()

    thread, value = asyncio.run(call())
    assert value == 2
    assert thread != threading.get_ident()


def test_what_a_blocking_call_raises_is_raised_where_it_is_awaited() -> None:
    def fail() -> None:
        raise KeyError("a")

    with pytest.raises(KeyError, match="a"):
        asyncio.run(call_blocking(fail))


def test_more_blocking_calls_than_threads_wait_for_each_other() -> None:
    count = 3 * blocking_calls.MOST_THREADS
    most, now, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1

    async def call() -> None:
        await asyncio.gather(*(call_blocking(work) for _ in range(count)))

    asyncio.run(call())
    assert 0 < most <= blocking_calls.MOST_THREADS


def test_an_interrupt_that_comes_too_late_comes_up_nowhere() -> None:
    async def call() -> list[int]:
        with suppress(asyncio.CancelledError):
            calling = asyncio.ensure_future(call_blocking(int, patience=0.0))
            await asyncio.sleep(0)
            calling.cancel()
            await calling
        return [await call_blocking(int) for _ in range(20)]

    for _ in range(20):
        assert asyncio.run(call()) == [0] * 20


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


CALL_AT_EXIT = """
import asyncio, atexit
from flowstone.engine.blocking_calls import call_blocking

@atexit.register
def end():
    print(asyncio.run(call_blocking(str, "called")))
"""


def test_a_call_is_made_at_exit() -> None:
    """From Python 3.12 on, an exiting program may not start a thread."""
    command = [sys.executable, "-c", CALL_AT_EXIT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("called\n", "")
