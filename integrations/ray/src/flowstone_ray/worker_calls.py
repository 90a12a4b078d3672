"""The code that runs on a worker: one call of a task, and its link to its flow."""

from __future__ import annotations

import pickle
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import uuid4

import ray

from flowstone.task_runners.held_values import provide_held_values
from flowstone.task_runners.messages import unpacked
from flowstone.task_runners.shared_site import part_value, serve_call
from flowstone_ray.mailbox import Letter

#: The Ray namespace of the actors.
NAMESPACE = "flowstone"


class CallOrder(NamedTuple):
    """A call for a worker.

    Attributes:
        payload: the serialized call.
        key: its unique name.
        flow_run: the id of the surrounding flow run.
        mailbox: the name of the actor for its messages.
        seconds: its timeout in seconds.
        names: the names of the held values among its arguments.
    """

    payload: bytes
    key: str
    flow_run: str
    mailbox: str
    seconds: float | None
    names: tuple[str, ...]


class CallEnd(NamedTuple):
    """How a call has ended.

    Attributes:
        execution: the execution of the call that has ended.
        letters: the number of letters that it has sent.
        message: the serialized end.
    """

    execution: str
    letters: int
    message: bytes


def run_call(packed: bytes, *values: bytes) -> tuple[bytes, bytes | None]:
    """Execute a call.

    Args:
        packed: a serialized `CallOrder`. Passing its parts would take Ray ten times as long.
        values: the serialized held values that it names.

    Returns:
        A serialized `CallEnd`, and the serialized value if it is large: that stays on the cluster.
    """
    order: CallOrder = unpacked(packed)
    link = MailboxLink(order.mailbox, order.key)
    with provide_held_values(dict(zip(order.names, values, strict=True))):
        end = serve_call(order.key, order.payload, order.flow_run, link, order.seconds)
    message, value = part_value(*end)
    return pickle.dumps(CallEnd(link.execution, link.letters, message)), value


class MailboxLink:
    """A `Link` through the mailbox of the flow.

    Attributes:
        execution: identifies this execution of the call.
        letters: the number of letters sent.
    """

    def __init__(self, mailbox: str, key: str) -> None:
        self._mailbox, self._key = mailbox, key
        self.execution, self.letters = uuid4().hex, 0

    def send(self, message: bytes) -> None:
        _find_mailbox(self._mailbox).post.remote(self._write(message))

    def ask(self, message: bytes) -> bytes:
        mailbox = _find_mailbox(self._mailbox)
        answer: bytes = ray.get(mailbox.ask.remote(self._write(message, is_question=True)))
        return answer

    def is_wanted(self) -> bool:
        return True  # Ray does not begin a call that was cancelled

    def _write(self, message: bytes, *, is_question: bool = False) -> Letter:
        letter = Letter(self._key, self.execution, self.letters, message, is_question)
        self.letters += 1
        return letter


@lru_cache(maxsize=16)
def _find_mailbox(name: str) -> Any:
    return ray.get_actor(name, NAMESPACE)
