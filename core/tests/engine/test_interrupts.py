"""Timeouts reach the call, also where Python ignores an error."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from time import monotonic

import pytest

from flowstone import flow, task
from flowstone.errors import RunTimeout

#: When the limit of each call is long over.
SECONDS, LIMIT = 0.4, 0.1


def idle(seconds: float) -> None:
    """Be busy in code that can be interrupted."""
    end = monotonic() + seconds
    while monotonic() < end:
        pass


class Finalized:
    """Takes its time to be deleted."""

    def __del__(self) -> None:
        idle(SECONDS)


class Key:
    """A key of a weak dictionary."""

    def __init__(self, name: int) -> None:
        self.name = name

    def __hash__(self) -> int:
        return self.name

    def __eq__(self, other: object) -> bool:
        return self is other


def delete_object() -> None:
    found = Finalized()
    del found


def delete_keys() -> None:
    """Spend all time in the callbacks of a weak dictionary."""
    end = monotonic() + SECONDS
    known: weakref.WeakKeyDictionary[Key, int] = weakref.WeakKeyDictionary()
    while monotonic() < end:
        keys = [Key(number) for number in range(1000)]
        known.update(dict.fromkeys(keys, 1))
        del keys


def collect_garbage() -> None:
    """Spend the time in a callback of the garbage collection."""

    def wait(_phase: str, _info: dict[str, int]) -> None:
        idle(SECONDS)

    gc.callbacks.append(wait)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(wait)


@pytest.mark.parametrize("work", [delete_object, delete_keys, collect_garbage])
def test_a_limit_that_is_over_in_a_finalizer_ends_the_call(work: Callable[[], None]) -> None:
    ended: list[bool] = []

    @flow(timeout_seconds=LIMIT)
    def follow() -> None:
        work()
        idle(30)
        ended.append(True)

    with pytest.raises(RunTimeout):
        follow()
    assert not ended


@pytest.mark.parametrize("work", [delete_object, delete_keys, collect_garbage])
def test_the_limit_of_a_thread_that_is_over_in_a_finalizer_ends_the_call(
    work: Callable[[], None],
) -> None:
    ended: list[bool] = []

    @task(timeout_seconds=LIMIT)
    def limited() -> None:
        work()
        idle(30)
        ended.append(True)

    @flow
    def follow() -> None:
        limited.submit().result()

    with pytest.raises(RunTimeout):
        follow()
    assert not ended


def test_what_others_lose_is_reported_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def report(lost: sys.UnraisableHookArgs) -> None:
        told.append(repr(lost.exc_value))
        chained(lost)

    class Broken:
        def __del__(self) -> None:
            raise ValueError("not ours")

    @task(timeout_seconds=60)
    def lose() -> None:
        broken = Broken()
        del broken

    @flow
    def follow() -> None:
        lose.submit().result()

    chained = sys.__unraisablehook__
    monkeypatch.setattr(sys, "unraisablehook", report)
    follow()
    # Somebody wraps the hook that is there, and it is wrapped again.
    chained = sys.unraisablehook
    monkeypatch.setattr(sys, "unraisablehook", report)
    follow()
    assert told == ["ValueError('not ours')"] * 2
