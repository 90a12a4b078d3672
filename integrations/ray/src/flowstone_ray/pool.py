"""The task runs of one flow run whose functions run on the workers of a Ray cluster."""

from __future__ import annotations

import pickle
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import ray
from ray.exceptions import RayError

from flowstone.task_runners.held_values import HeldValue
from flowstone.task_runners.remote_pool import GRACE, RemotePool, SentCall
from flowstone_ray.collector import FEW, EndCollector
from flowstone_ray.connection import connection
from flowstone_ray.context import find_options
from flowstone_ray.errors import describe_loss, describe_lost_value
from flowstone_ray.inbox import inboxes
from flowstone_ray.worker_calls import CallOrder, run_call

if TYPE_CHECKING:
    from contextlib import ExitStack

    from ray import ObjectRef

    from flowstone.ports import RunnerSettings


#: Options of a call. Retries are up to its run, unless the user chooses otherwise.
OPTIONS = {"num_returns": 2, "max_retries": 0}


class _Refs(NamedTuple):
    """The results of a call on the cluster."""

    end: ObjectRef[bytes]
    value: ObjectRef[bytes | None]


class RayPool(RemotePool):
    """A `Runner` on a Ray cluster: runs are driven here, and their functions are called there.

    The end of a call is its result in Ray. Earlier messages arrive through an actor.

    Args:
        connected: holds the connection to Ray, which is released when the pool is closed.
        settings: the defaults of options that the task runner does not set.
    """

    def __init__(self, connected: ExitStack, settings: RunnerSettings) -> None:
        super().__init__(settings.max_workers, settings.max_in_flight)
        self._refs: dict[str, _Refs] = {}
        self._function = ray.remote(run_call)
        self._run_call: Any = self._function.options(**OPTIONS)
        self._collector = EndCollector()
        self._inbox = inboxes.find()
        connected.enter_context(self._inbox.read())
        self._connected = connected.pop_all()

    def send_call(self, call: SentCall) -> None:
        try:
            with connection.access():
                self._submit(call)
        except (ConnectionError, RayError) as error:
            raise describe_loss(error, call) from error

    def _submit(self, call: SentCall) -> None:
        mailbox, correspondence = self._inbox.open(call)
        submit = self._run_call
        if options := find_options():
            submit = self._function.options(**{**OPTIONS, **options})
        names = tuple(value.key for value in call.held_values)
        values = [value.handle for value in call.held_values]
        order = CallOrder(call.payload, call.key, call.flow_run, mailbox, call.seconds, names)
        end, value = submit.remote(pickle.dumps(order), *values)
        self._refs[call.key] = _Refs(end, value)
        self._collector.add(end, correspondence, by_polling=len(self._refs) > FEW)

    def stop_call(self, call: SentCall) -> None:
        self._inbox.close(call)
        refs = self._refs.pop(call.key, None)
        if refs is None:
            return
        _cancel(refs.end, force=False)
        # A blocking C call ignores it; its worker runs no other call, so it can be killed.
        timer = threading.Timer(GRACE, _cancel, (refs.end,), {"force": True})
        timer.daemon = True
        timer.start()

    def forget_call(self, call: SentCall) -> None:
        self._inbox.close(call)
        self._refs.pop(call.key, None)

    def hold_value(self, call: SentCall) -> HeldValue:
        self._inbox.close(call)
        value = self._refs.pop(call.key).value
        # Not the call: it refers to its arguments, which the cluster should free.
        return HeldValue(self, call.key, value, partial(_fetch, value, call.name, call.run_id))

    def share_content(self, key: str, content: bytes) -> HeldValue | None:
        try:
            with connection.access():
                return HeldValue(self, key, ray.put(content), lambda: content)
        except ConnectionError:  # sending the call reports it
            return None

    def send_answer(self, call: SentCall, answer: bytes) -> None:
        with suppress(ConnectionError), connection.access():
            self._inbox.answer(call, answer)

    def close(self) -> None:
        with self._connected:
            super().close()
            self._collector.close()


def _cancel(ref: ObjectRef[bytes], *, force: bool) -> None:
    with suppress(Exception), connection.access():  # it has ended, or the cluster is gone
        ray.cancel(ref, force=force)


def _fetch(ref: ObjectRef[bytes | None], name: str, run_id: str) -> bytes:
    """Return the serialized value of a run that the cluster holds."""
    try:
        with connection.access():
            return ray.get(ref) or b""
    except Exception as error:
        raise describe_lost_value(error, name, run_id) from error
