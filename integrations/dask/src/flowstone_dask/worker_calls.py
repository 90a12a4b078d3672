"""Execution on a worker: one call of a task, and its connection to the client."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin, get_worker

from flowstone.ports.interrupts import interruptible
from flowstone.task_runners.held_values import provide_held_values
from flowstone.task_runners.shared_site import part_value, running, serve_call

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed import Worker

_PLUGIN = "flowstone-calls"
_answers: dict[str, SimpleQueue[bytes | None]] = {}


def run_call(
    payload: bytes,
    key: str,
    flow_run: str,
    topic: str,
    seconds: float | None,
    names: tuple[str, ...] = (),
    *values: bytes,
) -> bytes | None:
    """Run a call, and send its value or its error to the client that listens to the topic.

    Args:
        payload: the call, serialized.
        key: the name of the call.
        flow_run: the surrounding flow run.
        topic: the topic of the client.
        seconds: the timeout in seconds.
        names: the names of the held values among its arguments.
        values: these values, serialized.

    Returns:
        The serialized value if it is large: it stays on the worker, and the client is notified.
    """
    worker = get_worker()
    _watch_cancellations(worker)
    link = EventLink(worker, topic, key)
    with provide_held_values(dict(zip(names, values, strict=True))):
        message, value = part_value(*serve_call(key, payload, flow_run, link, seconds))
    link.send(message)
    return value


def deliver_answer(key: str, answer: bytes) -> None:
    """Pass the client's answer to the call that waits for it; run by the client."""
    inbox = _answers.get(key)
    if inbox is not None:
        inbox.put(answer)


class EventLink:
    """A `Link` through events that the scheduler forwards to the client."""

    def __init__(self, worker: Worker, topic: str, key: str) -> None:
        self._worker, self._topic, self._key = worker, topic, key

    def send(self, message: bytes) -> None:
        self._worker.log_event(self._topic, [self._key, message])

    def ask(self, message: bytes) -> bytes:
        inbox: SimpleQueue[bytes | None] = SimpleQueue()
        _answers[self._key] = inbox
        try:
            with interruptible(lambda: inbox.put(None)):
                self._worker.log_event(self._topic, [self._key, message, self._worker.address])
                while (answer := inbox.get()) is None:
                    pass  # the thread that stops the call raises an error in this one
            return answer
        finally:
            del _answers[self._key]

    def is_wanted(self) -> bool:
        task = self._worker.state.tasks.get(self._key)
        return task is not None and task.state != "cancelled"


class CallStopper(WorkerPlugin):
    """Stops calls that the scheduler has released, because the client no longer needs them.

    The scheduler also releases them when the client has disconnected.
    """

    name = _PLUGIN

    def transition(self, key: Key, start: str, finish: str, **_: Any) -> None:
        if finish == "released" and start in {"executing", "long-running"}:
            running.stop(str(key))


def _watch_cancellations(worker: Worker) -> None:
    if _PLUGIN in worker.plugins:
        return
    is_watching = threading.Event()

    def watch() -> None:  # in the event loop, which iterates over the plugins
        worker.plugins.setdefault(_PLUGIN, CallStopper())
        is_watching.set()

    worker.loop.add_callback(watch)
    is_watching.wait()
