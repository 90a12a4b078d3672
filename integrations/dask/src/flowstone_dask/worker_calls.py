"""What runs on a worker: one call of a task, and its way to the client that sent it."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin, get_worker

from flowstone.ports.interrupts import interruptible
from flowstone.task_runners.held_values import place_beside
from flowstone.task_runners.messages import pack
from flowstone.task_runners.shared_site import running, serve_call

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed import Worker

#: A value of so many bytes, packed, stays on its worker until somebody asks for it.
LARGE = 100_000
_PLUGIN = "flowstone-calls"
_answers: dict[str, SimpleQueue[bytes | None]] = {}


def run_call(
    errand: bytes,
    key: str,
    flow_run: str,
    topic: str,
    seconds: float | None,
    names: tuple[str, ...] = (),
    *values: bytes,
) -> bytes | None:
    """Make a call; its value, or its error, goes to the client that listens to the topic.

    Args:
        errand: the call, packed.
        key: its name.
        flow_run: that of the flow run around it.
        topic: of the client.
        seconds: its timeout.
        names: those of the held values among its arguments.
        values: these, packed.

    Returns:
        The packed value, where it is large: it stays on the worker, and the client is told so.
    """
    worker = get_worker()
    _watch_cancellations(worker)
    link = EventLink(worker, topic, key)
    with place_beside(dict(zip(names, values, strict=True))):
        kind, content = serve_call(key, errand, flow_run, link, seconds)
    if kind == "value" and len(content) >= LARGE:
        link.send(pack(("held", None)))
        return content
    link.send(pack((kind, content)))
    return None


def deliver_answer(key: str, answer: bytes) -> None:
    """Hand the client's answer to the call that waits for it; run by the client."""
    inbox = _answers.get(key)
    if inbox is not None:
        inbox.put(answer)


class EventLink:
    """A `Link` by events that the scheduler passes on to the client."""

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
                    pass  # whoever stops the call raises an error in this thread
            return answer
        finally:
            del _answers[self._key]

    def is_wanted(self) -> bool:
        task = self._worker.state.tasks.get(self._key)
        return task is not None and task.state != "cancelled"


class CallStopper(WorkerPlugin):
    """Stops the call of a task that the scheduler has taken back, as its client wants it no more.

    So does the scheduler when the client is gone.
    """

    name = _PLUGIN

    def transition(self, key: Key, start: str, finish: str, **_: Any) -> None:
        if finish == "released" and start in {"executing", "long-running"}:
            running.stop(str(key))


def _watch_cancellations(worker: Worker) -> None:
    if _PLUGIN in worker.plugins:
        return
    is_watching = threading.Event()

    def watch() -> None:  # in the event loop, which goes through the plugins
        worker.plugins.setdefault(_PLUGIN, CallStopper())
        is_watching.set()

    worker.loop.add_callback(watch)
    is_watching.wait()
