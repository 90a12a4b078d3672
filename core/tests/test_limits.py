"""Slots in one process: `concurrency`, `rate_limit`, and task runs whose tags have limits."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from itertools import pairwise
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from flowstone import flow, tags, task
from flowstone.concurrency import arate_limit, concurrency, rate_limit, slots
from flowstone.errors import ConfigurationError, ObjectNotFound, SlotsLost, SlotTimeout
from flowstone.records.limits import KIND, Limit, encode_limit
from flowstone.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from flowstone.context.current import Services


def limit(services: Services, name: str, slots: int, decay: float = 0.0) -> None:
    body = encode_limit(Limit(name, slots, slot_decay_per_second=decay))
    services.documents.put(KIND, name, body)


def held(services: Services) -> list[tuple[str, str, int]]:
    slots = services.slots.list_slots()
    return [(slot.limit, slot.owner, slot.occupy) for slot in slots]


def on_loop(
    test: Callable[[Services], Coroutine[Any, Any, None]],
) -> Callable[[Services], None]:
    def run(services: Services) -> None:
        asyncio.run(test(services))

    return run


class Room:
    """Counts who is inside, and lets out only when told so many are in."""

    def __init__(self, wanted: int = 1) -> None:
        self.inside = self.most = 0
        self._full = threading.Barrier(wanted)
        self._lock = threading.Lock()

    def visit(self) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self._full.wait(300)
        with self._lock:
            self.inside -= 1


def in_threads(count: int, call: Any) -> None:
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


# ---------------------------------------------------------------- a block of code


def test_only_so_many_are_inside(services: Services) -> None:
    limit(services, "db", 3)
    room = Room(3)

    def work() -> None:
        with concurrency("db"):
            room.visit()

    in_threads(12, work)
    assert room.most == 3
    assert held(services) == []


def test_slots_are_given_back_when_the_block_raises(services: Services) -> None:
    limit(services, "db", 1)
    for error in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), concurrency("db"):
            assert len(held(services)) == 1
            raise error
    assert held(services) == []


def test_several_limits_are_taken_together(services: Services) -> None:
    limit(services, "a", 1)
    limit(services, "b", 2)
    with concurrency(["b", "a", "b"], holder="me"):
        assert held(services) == [("a", "me", 1), ("b", "me", 1)]
        with concurrency("b", 1, 0, None, 60, True, "me too"):
            assert ("b", "me too", 1) in held(services)


def test_a_timeout_says_who_is_in_the_way(services: Services) -> None:
    limit(services, "db", 1)
    with concurrency("db", holder="the-first"):
        with pytest.raises(TimeoutError) as caught, concurrency("db", timeout_seconds=0):
            pass
        with (
            pytest.raises(SlotTimeout, match="held by 'the-first'"),
            concurrency("db", max_retries=1),
        ):
            pass
    assert isinstance(caught.value, SlotTimeout)
    assert "limit 'db' has 1 slot, held by 'the-first'" in str(caught.value)
    assert held(services) == []


def test_who_gave_up_is_in_nobodys_way(services: Services) -> None:
    limit(services, "db", 1)
    with concurrency("db"), pytest.raises(SlotTimeout), concurrency("db", timeout_seconds=0):
        pass
    with concurrency("db", timeout_seconds=0):
        pass


def test_first_come_first_served(services: Services) -> None:
    limit(services, "db", 2)
    order: list[str] = []
    turns = []
    for name, occupy in (("large", 2), ("small", 1), ("small too", 1)):
        turn = slots.make_slot_request("db", occupy, False, owner=name)
        turns.append((name, turn))
    with concurrency("db"):
        for _, turn in turns:
            assert turn.take() is not None  # the small ones would fit; the large one came first
    for _, turn in turns:
        waiting = [other for other, each in turns if each.take() is None]
        order += [other for other in waiting if other not in order]
        turn.give_back()
    assert order == ["large", "small", "small too"]


def test_a_limit_that_is_not_there_is_said_once(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with concurrency("said-once"):
                pass
            rate_limit("said-once")
    said = [record for record in caplog.records if "said-once" in record.message]
    assert len(said) == 1
    assert "flowstone limit set said-once" in said[0].message


def test_strict_wants_the_limit_to_be_there(services: Services) -> None:
    limit(services, "db", 1)
    with pytest.raises(ObjectNotFound, match="Did you mean 'db'"), concurrency("dv", strict=True):
        pass
    with pytest.raises(ObjectNotFound):
        rate_limit("dv", strict=True)
    with concurrency("db", strict=True):
        pass


@pytest.mark.parametrize("occupy", [0, -1, 1.5, True])
def test_what_is_no_count_is_refused(services: Services, occupy: Any) -> None:
    with pytest.raises(ConfigurationError, match="not a number"), concurrency("db", occupy=occupy):
        pass


def test_what_can_never_be_had_is_refused(services: Services) -> None:
    limit(services, "db", 1)
    with pytest.raises(ConfigurationError, match="it has 1 slot in all"), concurrency("db", 2):
        pass
    with pytest.raises(ConfigurationError, match="lease_duration"):
        concurrency("db", lease_duration=0)


def test_a_deleted_limit_lets_in_who_waits(services: Services) -> None:
    limit(services, "db", 1)
    entered = threading.Event()

    def wait() -> None:
        with concurrency("db", timeout_seconds=20):
            entered.set()

    with concurrency("db"):
        thread = threading.Thread(target=wait)
        thread.start()
        services.documents.delete(KIND, "db")
        assert entered.wait(300)
        thread.join()


def test_one_that_waits_for_itself_is_told(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    limit(services, "db", 1)
    with (
        caplog.at_level(logging.WARNING),
        concurrency("db", holder="outer"),
        pytest.raises(SlotTimeout),
        concurrency("db", holder="inner", timeout_seconds=0.01),
    ):
        pass
    (record,) = caplog.records
    assert "'inner' waits" in record.message
    assert "that is a deadlock" in record.message
    assert "flowstone limit set db" in record.message


# ---------------------------------------------------------------- async


@on_loop
async def test_async_blocks_wait_without_blocking_the_loop(services: Services) -> None:
    limit(services, "db", 2)
    inside = most = 0

    async def work() -> None:
        nonlocal inside, most
        async with concurrency("db"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(50)))
    assert most == 2
    assert held(services) == []


@on_loop
async def test_a_cancelled_waiter_leaves_the_queue(services: Services) -> None:
    limit(services, "db", 1)

    async def work() -> None:
        async with concurrency("db"):
            pass

    async with concurrency("db"):
        waiting = asyncio.create_task(work())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(SlotTimeout):
            async with concurrency("db", timeout_seconds=0):
                pass
    async with concurrency("db", timeout_seconds=0):
        assert len(held(services)) == 1
    assert held(services) == []


def test_who_blocks_the_loop_is_told(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    limit(services, "db", 1)

    async def blocks() -> None:
        async with concurrency("db"):
            with pytest.raises(SlotTimeout), concurrency("db", timeout_seconds=0.01):
                pass

    with caplog.at_level(logging.WARNING):
        asyncio.run(blocks())
    assert "blocks its event loop" in caplog.text
    assert "`async with`" in caplog.text


@on_loop
async def test_an_async_rate(services: Services) -> None:
    limit(services, "api", 1, decay=100.0)
    for _ in range(3):
        await arate_limit("api", timeout_seconds=20)


# ---------------------------------------------------------------- a rate


def test_a_rate_needs_decay(services: Services) -> None:
    limit(services, "db", 1)
    with pytest.raises(ConfigurationError, match="--decay-per-second"):
        rate_limit("db")


def test_a_rate_lets_so_many_through(services: Services) -> None:
    limit(services, "api", 2, decay=0.001)
    rate_limit("api", occupy=2)
    with pytest.raises(SlotTimeout):
        rate_limit("api", timeout_seconds=0)
    limit(services, "quick", 1, decay=50.0)
    taken = []
    for _ in range(6):
        rate_limit(["quick"], timeout_seconds=20)
        held = services.slots._held  # type: ignore[attr-defined]
        taken.append(max(slot.since for slot in held))
    assert all(then - now >= 1 / 50 - 1e-4 for now, then in pairwise(taken))


# ---------------------------------------------------------------- leases


def lose(services: Services) -> None:
    """Let others free what is held, and the lease be renewed now."""
    services.slots.give_back_slots([slot.token for slot in services.slots.list_slots()])
    tend(services)


def tend(services: Services) -> None:
    leases = services.slot_queue.leases  # type: ignore[attr-defined]
    for each in leases._kept.values():
        each.again_at = 0.0
    services.journal._send_heartbeat()  # type: ignore[attr-defined]


def test_slots_that_were_lost_are_taken_again(services: Services) -> None:
    limit(services, "db", 1)
    with concurrency("db", holder="me"):
        lose(services)
        assert held(services) == [("db", "me", 1)]
    assert held(services) == []


def test_who_lost_its_slots_to_another_is_told_and_goes_on(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    limit(services, "db", 1)
    with caplog.at_level(logging.WARNING), concurrency("db", holder="me"):
        services.slots.give_back_slots([s.token for s in services.slots.list_slots()])
        with concurrency("db", holder="another"):
            tend(services)
            tend(services)
        tend(services)
        assert held(services) == [("db", "me", 1)]
    (record,) = caplog.records
    assert "'me' has lost its slots under db" in record.message
    assert "held by 'another'" in record.message


@pytest.mark.parametrize("options", [{"strict": True}, {"raise_on_lease_renewal_failure": True}])
def test_a_strict_block_is_stopped_when_it_loses_its_slots(
    services: Services, options: dict[str, Any]
) -> None:
    limit(services, "db", 1)
    with (
        pytest.raises(SlotsLost, match="lost its slots under db"),
        concurrency("db", **options),
    ):
        services.slots.give_back_slots([s.token for s in services.slots.list_slots()])
        with concurrency("db", holder="another"):
            thread = threading.Thread(target=tend, args=(services,))
            thread.start()
            while True:
                thread.join(0.01)
    assert held(services) == []


@on_loop
async def test_a_strict_coroutine_is_stopped_when_it_loses_its_slots(services: Services) -> None:
    limit(services, "db", 1)
    with pytest.raises(SlotsLost):
        async with concurrency("db", strict=True):
            services.slots.give_back_slots([s.token for s in services.slots.list_slots()])
            async with concurrency("db", holder="another"):
                tend(services)
                await asyncio.Event().wait()
    assert held(services) == []
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


# ---------------------------------------------------------------- tags


@pytest.mark.parametrize("runner", [ThreadPoolTaskRunner(max_workers=8), ThreadPoolTaskRunner(2)])
def test_task_runs_with_a_tag_are_limited(services: Services, runner: ThreadPoolTaskRunner) -> None:
    limit(services, "tag:db", 2)
    room = Room(2)

    @task(tags=["db", "other"])
    def work() -> None:
        room.visit()

    @flow(task_runner=runner)
    def f() -> None:
        for future in [work.submit() for _ in range(10)]:
            future.result()

    f()
    assert room.most == 2
    assert held(services) == []


def test_a_run_that_waits_says_for_what(services: Services) -> None:
    limit(services, "tag:db", 1)
    both = threading.Barrier(2)

    @task
    def first() -> None:
        both.wait(300)
        both.wait(300)

    @task
    def second() -> None:
        pass

    @flow
    def f() -> None:
        with tags("db"):
            one = first.submit()
            both.wait(300)
            other = second.submit()
            while other.state.name != "AwaitingConcurrencySlot":
                gc.collect()  # takes a while, and lets the other thread go on
            assert other.state.message == "limit 'tag:db' has 1 slot, held by 'first-0'"
            both.wait(300)
            one.result()
            other.result()

    f()


@on_loop
async def test_async_task_runs_are_limited(services: Services) -> None:
    limit(services, "tag:db", 2)
    inside = most = 0
    both = asyncio.Event()

    @task(tags=["db"])
    async def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 2:
            both.set()
        await both.wait()  # there is room for another one
        inside -= 1

    @flow
    async def f() -> None:
        await asyncio.gather(*(work() for _ in range(20)))

    await f()
    assert most == 2
    assert held(services) == []


def test_submitted_async_task_runs_are_limited(services: Services) -> None:
    limit(services, "tag:db", 2)
    inside = most = 0
    both = asyncio.Event()

    @task(tags=["db"])
    async def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 2:
            both.set()
        await both.wait()  # there is room for another one
        inside -= 1

    @flow
    def f() -> None:
        for future in [work.submit() for _ in range(20)]:
            future.result()

    f()
    assert most == 2
    assert held(services) == []


def test_runs_in_processes_are_limited(services: Services) -> None:
    limit(services, "tag:db", 1)

    @task(tags=["db"])
    def work() -> tuple[float, float]:
        began = monotonic()
        sum(range(10_000))
        return began, monotonic()

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
    def f() -> list[tuple[float, float]]:
        return [future.result() for future in [work.submit() for _ in range(6)]]

    intervals = sorted(f())
    assert all(end <= start for (_, end), (start, _) in pairwise(intervals))


def test_a_failed_and_a_retried_run_give_their_slots_back(services: Services) -> None:
    limit(services, "tag:db", 1)
    attempts = 0

    @task(tags=["db"], retries=1)
    def work() -> None:
        nonlocal attempts
        attempts += 1
        assert len(held(services)) == 1
        raise ValueError

    with pytest.raises(ValueError):
        work()
    assert attempts == 2
    assert held(services) == []


def test_a_limit_of_none_refuses(services: Services) -> None:
    limit(services, "tag:db", 0)

    @task(tags=["db"])
    def work() -> None:
        pass

    with pytest.raises(ConfigurationError, match="limit 'tag:db': it has 0 slots"):
        work()


def test_a_task_inside_one_with_the_same_tag_is_told(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    limit(services, "tag:db", 1)

    @task(tags=["db"])
    def inner() -> None:
        pass

    @task(tags=["db"])
    def outer() -> None:
        future = inner.submit()
        while "AwaitingConcurrencySlot" not in future.state.name:
            gc.collect()
        assert "that is a deadlock" in (future.state.message or "")
        limit(services, "tag:db", 2)
        future.result()

    @flow
    def f() -> None:
        outer()

    with caplog.at_level(logging.WARNING):
        f()
    assert any("flowstone limit set tag:db" in record.message for record in caplog.records)


def test_a_cancelled_run_leaves_the_queue(services: Services) -> None:
    limit(services, "tag:db", 1)

    @task(tags=["db"])
    def work() -> None:
        raise AssertionError

    @flow
    def f() -> None:
        with concurrency("tag:db"):
            work.submit()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        f()
    assert held(services) == []


def test_flow_runs_are_not_limited_by_tags(services: Services) -> None:
    limit(services, "tag:db", 0)

    @flow
    def f() -> int:
        return 1

    with tags("db"):
        assert f() == 1


def test_no_limit_is_looked_up_for_each_run(services: Services) -> None:
    found = services.slot_queue.limits()

    @task(tags=["db"])
    def work() -> None:
        pass

    work()
    assert services.slot_queue.limits() is found


def test_a_drawn_flow_takes_no_slots(services: Services) -> None:
    limit(services, "db", 1)

    @task
    def work() -> None:
        pass

    @flow
    def f() -> None:
        with concurrency(["db", "not-there"], strict=True):
            rate_limit("db")
            work()

    with concurrency("db"):
        assert "work" in f.generate_mermaid_graph()
