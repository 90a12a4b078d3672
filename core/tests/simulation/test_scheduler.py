"""The scheduler gives one thread the baton at a time, whatever is put into those that wait."""

from __future__ import annotations

from threading import Event, Thread, get_ident

import pytest

from flowstone.engine.thread_errors import raise_in_thread

from .scheduler import Gate


class Late(BaseException):
    """What somebody stops a thread with."""


def test_an_error_that_comes_before_the_baton_waits_for_it() -> None:
    gate, was_put, seen = Gate(), Event(), list[str]()

    def give_back() -> None:
        was_put.wait()
        seen.append("given back")
        gate.give()

    def give() -> None:
        try:
            raise_in_thread(me, Late)  # it comes up in this very block
        finally:
            was_put.set()

    me = get_ident()
    other = Thread(target=give_back)
    other.start()
    with pytest.raises(Late):
        gate.wait(give)
    assert seen == ["given back"]
    other.join()


def test_a_baton_that_comes_before_its_thread_waits_for_that() -> None:
    gate = Gate()
    for _ in range(3):
        gate.wait(gate.give)


def test_an_error_that_comes_after_the_baton_leaves_it_given_once() -> None:
    gate, me = Gate(), get_ident()

    def give() -> None:
        gate.give()
        raise_in_thread(me, Late)

    for _ in range(3):
        with pytest.raises(Late):
            gate.wait(give)
    assert not gate._is_given
