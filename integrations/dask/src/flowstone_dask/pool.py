"""The runner of one flow run, whose function calls run on the workers of a Dask cluster."""

from __future__ import annotations

import pickle
import threading
from collections import defaultdict
from contextlib import ExitStack, suppress
from contextvars import Context
from functools import partial
from operator import attrgetter
from queue import Empty, SimpleQueue
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from dask.base import annotate, get_annotations

from flowstone.task_runners.held_values import HeldValue
from flowstone.task_runners.remote_pool import RemotePool, SentCall
from flowstone_dask.connection import connect
from flowstone_dask.errors import describe_loss, describe_lost_value
from flowstone_dask.scheduler_rules import END, TOPIC
from flowstone_dask.worker_calls import deliver_answer, run_call

if TYPE_CHECKING:
    from distributed import Future

    from flowstone.ports import RunnerSettings
    from flowstone_dask.task_runner import DaskTaskRunner

#: Seconds between checks for calls whose workers may have died.
LOOK = 0.2
#: Seconds for which calls are collected while others are on the cluster: a submission costs the
#: scheduler a millisecond, whatever its number of calls.
GATHER = 0.005


_find_handlers = attrgetter("_event_handlers")


class _Wanted(NamedTuple):
    """A call to be submitted, with the annotations of the submitting code."""

    call: SentCall
    annotations: dict[str, Any]


class _Handle:
    """The future of a value on a worker, which is released in an empty context.

    The client's event loop may keep a reference to the context of a request, and with it the runs
    of that context and their values.
    """

    def __init__(self, future: Future[bytes | None]) -> None:
        self.future = future

    def __del__(self) -> None:
        Context().run(self.__dict__.clear)


class DaskPool(RemotePool):
    """A `Runner` on a Dask cluster: threads drive the runs here, and their calls run there.

    Calls that many threads request at about the same time are submitted together.
    """

    def __init__(self, chosen: DaskTaskRunner, settings: RunnerSettings) -> None:
        super().__init__(settings.max_workers, settings.max_in_flight)
        self._topic = TOPIC + uuid4().hex
        self._wanted: SimpleQueue[_Wanted | None] = SimpleQueue()
        self._futures: dict[str, Future[bytes | None]] = {}
        self._places: dict[str, str] = {}
        self._queued: set[str] = set()
        #: Held while calls are submitted: some may end before their futures are known.
        self._submission = threading.Lock()
        self._stack = ExitStack()
        try:
            self._client = connect(chosen, self._stack)
            self._client.subscribe_topic(self._topic, self._take_event)
        except BaseException:
            self._stack.close()
            raise
        self._submitter = threading.Thread(
            target=self._submit_calls, name="flowstone-dask", daemon=True
        )
        self._submitter.start()

    def send_call(self, call: SentCall) -> None:
        self._queued.add(call.key)
        self._wanted.put(_Wanted(call, get_annotations()))

    def stop_call(self, call: SentCall) -> None:
        self._places.pop(call.key, None)

        def stop() -> None:
            with self._submission:
                self._queued.discard(call.key)
                future = self._futures.pop(call.key, None)
            if future is not None:
                with suppress(Exception):  # if the connection is lost, the scheduler drops calls
                    future.cancel(force=True)

        Context().run(stop)  # see `_Handle`

    def forget_call(self, call: SentCall) -> None:
        self._places.pop(call.key, None)

        def forget() -> None:
            with self._submission:
                self._futures.pop(call.key, None)

        Context().run(forget)

    def hold_value(self, call: SentCall) -> HeldValue:
        with self._submission:
            handle = _Handle(self._futures.pop(call.key))
        self._places.pop(call.key, None)
        # Not the call: it refers to its arguments, which the cluster should free.
        fetch = partial(Context().run, _fetch, handle, call.name, call.run_id)
        return HeldValue(self, call.key, handle, fetch)

    def share_content(self, key: str, content: bytes) -> HeldValue | None:
        try:
            found = Context().run(self._client.scatter, {key: content}, hash=False)
        except TimeoutError:  # there is no worker yet, as in a cluster that is scaling up
            return None
        return HeldValue(self, key, _Handle(found[key]), lambda: content)

    def send_answer(self, call: SentCall, answer: bytes) -> None:
        ask = partial(self._client.run, workers=[self._places[call.key]], on_error="ignore")
        with suppress(OSError):  # the worker has died, which its future reports
            Context().run(ask, deliver_answer, call.key, answer)

    def close(self) -> None:
        super().close()
        self._wanted.put(None)
        self._submitter.join()
        if self._client.status == "running":  # otherwise the scheduler can't be reached
            with suppress(Exception):
                self._client.log_event(self._topic, END)
        self._stack.close()

    # ------------------------------------------------------------ in the client's event loop

    def _take_event(self, event: tuple[float, Any]) -> None:
        _, message = event
        if message == END:  # the scheduler has dropped the topic; the client does not do so itself
            _find_handlers(self._client).pop(self._topic, None)
            return
        key, content, *place = message
        if place:
            self._places[key] = place[0]
        call = self.find_call(key)
        if call is not None:
            call.deliver(content)

    # ------------------------------------------------------------ in the thread that submits

    def _submit_calls(self) -> None:
        while True:
            batch: list[_Wanted | None] = []
            with suppress(Empty):
                batch.append(self._wanted.get(timeout=LOOK))
                if self._futures:
                    sleep(GATHER)
                while True:
                    batch.append(self._wanted.get_nowait())
            self._submit_batch([wanted for wanted in batch if wanted is not None])
            if None in batch:
                return
            self._look_for_losses()

    def _submit_batch(self, batch: list[_Wanted]) -> None:
        alike: defaultdict[bytes, list[_Wanted]] = defaultdict(list)
        for wanted in batch:
            alike[pickle.dumps(wanted.annotations)].append(wanted)
        for group in alike.values():
            with self._submission:
                calls = [wanted.call for wanted in group if wanted.call.key in self._queued]
                self._queued.difference_update(call.key for call in calls)
                try:
                    with annotate(**group[0].annotations):
                        self._submit(calls)
                except Exception as error:  # noqa: BLE001 - each call's run reports it
                    for call in calls:
                        call.deliver(describe_loss(error, call))

    def _submit(self, calls: list[SentCall]) -> None:
        for call in calls:
            if call.held_values:
                names = tuple(value.key for value in call.held_values)
                handles = [value.handle for value in call.held_values]
                values = [each.future for each in handles if isinstance(each, _Handle)]
                parts = call.payload, call.key, call.flow_run, self._topic, call.seconds, names
                future = self._client.submit(
                    run_call, *parts, *values, key=call.key, pure=False, retries=0
                )
                self._note(call, future)
        if calls := [call for call in calls if not call.held_values]:
            self._submit_alike(calls)

    def _submit_alike(self, calls: list[SentCall]) -> None:
        futures = self._client.map(
            run_call,
            [call.payload for call in calls],
            [call.key for call in calls],
            [call.flow_run for call in calls],
            [self._topic] * len(calls),
            [call.seconds for call in calls],
            key=[call.key for call in calls],
            pure=False,
            retries=0,
        )
        for call, future in zip(calls, futures, strict=True):
            self._note(call, future)

    def _note(self, call: SentCall, future: Future[bytes | None]) -> None:
        self._futures[call.key] = future

    def _look_for_losses(self) -> None:
        """Notify the runs whose calls the cluster has dropped."""
        for key, future in list(self._futures.items()):
            status, call = future.status, self.find_call(key)
            if call is None or status in {"pending", "finished"}:
                continue
            error = future.exception() if status == "error" else None
            self._futures.pop(key, None)
            call.deliver(describe_loss(error, call))


def _fetch(handle: _Handle, name: str, run_id: str) -> bytes:
    """Return the serialized value of a run that a worker holds."""
    try:
        return handle.future.result() or b""
    except Exception as error:
        raise describe_lost_value(error, name, run_id) from error
