"""With `cache_result_in_memory=False`, values are in their files only."""

from __future__ import annotations

import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from flowstone import FutureList, flow, task
from flowstone.cache_policies import INPUTS
from flowstone.context.current import Services
from flowstone.errors import ConfigurationError, MissingResult

MEGABYTE = 1_000_000


@task(cache_result_in_memory=False, result_serializer="pickle")
def large(fill: int) -> bytes:
    return bytes([fill]) * MEGABYTE


def test_futures_hold_no_values_and_give_them_all_the_same(services: Services) -> None:
    @flow
    def f() -> int:
        futures: FutureList[bytes] = large.map(range(100))
        futures.wait()
        _, peak = tracemalloc.get_traced_memory()
        assert all(future.state.data is not None for future in futures)
        assert [future.result()[0] for future in futures] == list(range(100))
        return peak

    tracemalloc.start()
    try:
        peak = f()
    finally:
        tracemalloc.stop()
    # Threads that have computed one at a time hold it, and its pickled form: not all hundred.
    assert peak < 60 * MEGABYTE


def test_a_call_returns_the_value_itself(services: Services) -> None:
    @flow(cache_result_in_memory=False)
    def f() -> bytes:
        value = large(1)
        assert value[:2] == b"\1\1"
        state = large(1, return_state=True)
        assert repr(state.data) == "KEPT"
        assert state.result() == value
        return value[:2]

    assert f() == b"\1\1"


def test_other_tasks_get_the_value(services: Services) -> None:
    @task
    def first(value: bytes) -> int:
        return value[0]

    @flow
    def f() -> list[int]:
        return first.map(large.map([1, 2])).result()

    assert f() == [1, 2]


def test_a_cached_value_is_not_held_either(services: Services, tmp_path: Path) -> None:
    kept = large.with_options(cache_policy=INPUTS, result_storage=tmp_path)
    first = kept(3)
    state = kept(3, return_state=True)
    assert (state.name, repr(state.data), state.result()) == ("Cached", "KEPT", first)


def test_what_has_expired_can_be_read_by_its_own_run(services: Services) -> None:
    short = large.with_options(cache_policy=INPUTS, cache_expiration=0.0)
    assert short.submit(5).result()[0] == 5


def test_a_file_that_is_gone_is_told(services: Services, tmp_path: Path) -> None:
    future = large.with_options(result_storage=tmp_path).submit(3)
    future.wait()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            file.unlink()
    with pytest.raises(MissingResult, match=r"value of run 'large' can't be read again: no result"):
        future.result()


def test_what_can_not_be_kept_stays_in_memory(services: Services) -> None:
    @task(cache_result_in_memory=False)
    def odd(value: object) -> int:
        return 1

    state: Any = odd(threading.Lock(), return_state=True)
    assert (state.data, state.result()) == (1, 1)


def test_without_a_file_there_is_nothing_to_read() -> None:
    with pytest.raises(ConfigurationError, match="leaves no file to read the result from"):
        task(cache_result_in_memory=False, persist_result=False)(large.fn)
    with pytest.raises(ConfigurationError, match="Omit one of the two"):
        large.with_options(persist_result=False)
