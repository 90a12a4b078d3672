"""A task with a time limit may set alarms of its own, and both come."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from flowstone import flow, task
from flowstone.errors import RunTimeout

pytestmark = [
    pytest.mark.usefixtures("services"),
    pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="it has no alarms"),
]

#: For functions that are in no decorator's reach.
make_task: Any = task
#: So long waits what is to be interrupted; nothing may come to its end.
LONG = 300


class Late(Exception):
    pass


def raise_late(*_: object) -> None:
    raise Late


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, raise_late)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Do as libraries do that limit the time of a block."""
    before = signal.signal(signal.SIGALRM, raise_late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def set_alarm() -> str:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        time.sleep(LONG)
    except Late:
        return "caught"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "missed"


def use_block() -> str:
    try:
        with alarm(0.05):
            time.sleep(LONG)
    except Late:
        return "caught"
    return "missed"


def keep_alarm() -> str:
    """Rely on one that was set before the call."""
    try:
        time.sleep(LONG)
    except Late:
        return "caught"
    return "missed"


def spin() -> str:
    try:
        with alarm(0.05):
            while True:
                pass
    except Late:
        return "caught"


@pytest.mark.parametrize("unit", [task, flow])
@pytest.mark.parametrize("body", [set_alarm, use_block, spin])
def test_an_alarm_comes_to_who_has_set_it(body: Callable[[], str], unit: Any) -> None:
    limited = unit(body, timeout_seconds=LONG)
    assert limited() == "caught"
    assert flow(lambda: limited())() == "caught"


def test_an_alarm_that_was_set_before_comes() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    assert make_task(keep_alarm, timeout_seconds=LONG)() == "caught"


@pytest.mark.parametrize("body", [use_block, set_alarm])
def test_the_limit_holds_after_an_alarm(body: Callable[[], str]) -> None:
    @task(timeout_seconds=0.5)
    def limited() -> None:
        assert body() == "caught"
        time.sleep(LONG)

    with pytest.raises(RunTimeout, match=r"0\.5 s"):
        limited()


def test_the_limit_comes_first_where_it_is_shorter() -> None:
    @task(timeout_seconds=0.1)
    def limited() -> None:
        with alarm(LONG):
            time.sleep(LONG)

    with pytest.raises(RunTimeout):
        limited()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_limits_leave_the_alarm_and_its_handler_as_they_are() -> None:
    signal.setitimer(signal.ITIMER_REAL, LONG)
    assert make_task(lambda: 1, timeout_seconds=60)() == 1
    assert signal.getsignal(signal.SIGALRM) is raise_late
    assert signal.getitimer(signal.ITIMER_REAL)[0] > LONG / 2


@pytest.mark.parametrize(("outer", "inner"), [(0.1, LONG), (LONG, 0.1), (0.1, 0.1)])
def test_of_limits_in_each_other_the_shorter_ends(outer: float, inner: float) -> None:
    @task(timeout_seconds=inner)
    def inside() -> None:
        time.sleep(LONG)

    @flow(timeout_seconds=outer)
    def around() -> None:
        inside()

    with pytest.raises(RunTimeout, match=r"0\.1 s"):
        around()


def test_many_limits_one_after_the_other() -> None:
    quick = make_task(lambda: 1, timeout_seconds=LONG)
    late = make_task(lambda: time.sleep(LONG), timeout_seconds=0.02)
    for _ in range(10):
        assert quick() == 1
        with pytest.raises(RunTimeout):
            late()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it has no forks")
def test_a_fork_has_limits_of_its_own() -> None:
    @task(timeout_seconds=0.2)
    def late() -> None:
        time.sleep(LONG)

    @task(timeout_seconds=LONG)
    def forks() -> int:
        child = os.fork()
        if child == 0:
            try:
                late()
            except RunTimeout:
                os._exit(7)
            os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    late(return_state=True)
    assert forks() == 7
