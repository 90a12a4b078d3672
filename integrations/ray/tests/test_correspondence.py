"""What a call says may come in any order, and Ray says in many ways that it has no end."""

from __future__ import annotations

from queue import Empty
from typing import Any

import pytest
from ray import exceptions

from flowstone.errors import CrashedRun, NotSendable, ProcessLost
from flowstone.records.runs import Run
from flowstone.task_runners.remote_pool import SentCall
from flowstone_ray.correspondence import Correspondence
from flowstone_ray.errors import describe_loss
from flowstone_ray.mailbox import Letter
from flowstone_ray.worker_calls import CallEnd

#: Most of them have no types.
ray_errors: Any = exceptions
RUN = Run("r", "task", "n", "u", "r", None)


@pytest.fixture
def call() -> SentCall:
    return SentCall(RUN, b"", (), "f", None)


def write(call: SentCall, number: int, message: bytes, execution: str = "a") -> Letter:
    return Letter(call.key, execution, number, message)


def receive_all(call: SentCall) -> list[bytes]:
    found = []
    try:
        while True:
            found.append(call.receive(0))
    except Empty:
        return found


def test_letters_are_delivered_in_order(call: SentCall) -> None:
    correspondence = Correspondence(call)
    correspondence.take_letter(write(call, 1, b"second"))
    assert receive_all(call) == []
    correspondence.take_letter(write(call, 0, b"first"))
    assert receive_all(call) == [b"first", b"second"]


def test_the_end_is_delivered_after_the_letters(call: SentCall) -> None:
    correspondence = Correspondence(call)
    correspondence.take_end(CallEnd("a", 1, b"end"))
    assert receive_all(call) == []
    correspondence.take_letter(write(call, 0, b"first"))
    assert receive_all(call) == [b"first", b"end"]


def test_an_end_without_letters_is_delivered_at_once(call: SentCall) -> None:
    Correspondence(call).take_end(CallEnd("a", 0, b"end"))
    assert receive_all(call) == [b"end"]


def test_letters_of_another_execution_do_not_count(call: SentCall) -> None:
    correspondence = Correspondence(call)
    correspondence.take_letter(write(call, 0, b"lost", "a"))
    correspondence.take_end(CallEnd("b", 1, b"end"))
    assert receive_all(call) == [b"lost"]
    correspondence.take_letter(write(call, 0, b"first", "b"))
    assert receive_all(call) == [b"first", b"end"]


def test_an_answer_goes_to_the_execution_that_asked(call: SentCall) -> None:
    """Ray may execute a call again before the first execution has its answer."""
    correspondence = Correspondence(call)
    correspondence.take_letter(Letter(call.key, "a", 0, b"asked", is_question=True))
    correspondence.take_letter(Letter(call.key, "b", 1, b"asked later", is_question=True))
    correspondence.take_letter(Letter(call.key, "b", 0, b"told"))
    assert receive_all(call) == [b"asked", b"told", b"asked later"]
    assert [correspondence.pop_asking() for _ in range(2)] == ["a", "b"]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ray_errors.WorkerCrashedError(), ProcessLost, "its Ray worker died"),
        (ray_errors.NodeDiedError("gone"), ProcessLost, "its Ray node died"),
        (ray_errors.LocalRayletDiedError(), ProcessLost, "the raylet of its Ray node died"),
        (ray_errors.OutOfMemoryError("full"), ProcessLost, "ran out of memory"),
        (ray_errors.ObjectLostError("00", "", ""), ProcessLost, "held one of its arguments"),
        (ray_errors.ActorDiedError(), ProcessLost, "can't be reached"),
        (ConnectionError("gone"), ProcessLost, "the connection to the Ray cluster is lost"),
        (
            ModuleNotFoundError("no", name="flowstone_ray"),
            NotSendable,
            "'flowstone_ray' is not installed",
        ),
        (ray_errors.RaySystemError("strange"), CrashedRun, "could not execute its call"),
    ],
)
def test_a_lost_call_says_why(
    call: SentCall, error: BaseException, kind: type[Exception], words: str
) -> None:
    told = describe_loss(error, call)
    assert isinstance(told, kind)
    assert words in str(told)
    assert told.__cause__ is error
