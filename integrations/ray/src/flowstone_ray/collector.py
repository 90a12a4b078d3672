"""Receives the ends of the calls on the cluster."""

from __future__ import annotations

import pickle
import threading
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

import ray

from flowstone.task_runners.messages import unpacked
from flowstone_ray.connection import connection

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ray import ObjectRef

    from flowstone_ray.correspondence import Correspondence
    from flowstone_ray.worker_calls import CallEnd

#: With more calls than this on the cluster, Ray is polled for their ends: a callback for each one
#: costs the flow's process as much as submitting the call.
FEW = 16
#: The shortest and the longest interval between two polls, in seconds.
INTERVALS = 0.002, 0.05
#: The fraction of the calls that a poll should find ended, at least and at most. With fewer,
#: polling takes too much CPU time; with more, the cluster may run out of calls.
ENDED = 1 / 8, 1 / 4

#: What pickle raises for the objects of another version.
UNREADABLE = AttributeError, ImportError, TypeError, ValueError, pickle.UnpicklingError


class EndCollector:
    """Receives the ends of the calls of one flow run.

    A few calls report theirs by callbacks. For many, Ray is polled, and their ends are read in
    batches.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: dict[ObjectRef[bytes], Correspondence] = {}
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def add(
        self, end: ObjectRef[bytes], correspondence: Correspondence, *, by_polling: bool
    ) -> None:
        """Pass the end of a call to its correspondence as soon as it is known.

        Args:
            end: the result of the call.
            correspondence: accepts it.
            by_polling: whether to poll for it; if not, Ray calls back.
        """
        if not by_polling:
            end.future().add_done_callback(partial(_take_end, correspondence))
            return
        with self._condition:
            self._waiting[end] = correspondence
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._collect, name="flowstone-ray-ends", daemon=True
                )
                self._thread.start()
            self._condition.notify()

    def close(self) -> None:
        """Stop collecting, and wait for that."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()

    def _collect(self) -> None:
        interval = INTERVALS[0]
        while True:
            with self._condition:
                while not (self._waiting or self._is_closed):
                    self._condition.wait()
                self._condition.wait_for(lambda: self._is_closed, interval)
                if self._is_closed:
                    return
                waiting = list(self._waiting)
            try:
                with connection.access():
                    ready = self._take_ready(waiting)
            except Exception as error:  # noqa: BLE001 - the run of each call reports it
                for end in waiting:
                    self._lose(end, error)
            else:
                interval = adapt_interval(interval, ready / len(waiting))

    def _take_ready(self, waiting: list[ObjectRef[bytes]]) -> int:
        """Take the ends that have arrived, and return their number."""
        ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        values: list[bytes] = []
        with suppress(Exception):  # one of them is an error, which is found below
            values = ray.get(ready)
        for end, value in zip_longest(ready, values):
            if value is None:
                end.future().add_done_callback(partial(_take_end, self._remove(end)))
            else:
                _pass_on(self._remove(end), value)
        return len(ready)

    def _lose(self, end: ObjectRef[bytes], error: Exception) -> None:
        with self._condition:
            correspondence = self._waiting.pop(end, None)
        if correspondence is not None:  # otherwise it has been taken
            correspondence.lose(error)

    def _remove(self, end: ObjectRef[bytes]) -> Correspondence:
        with self._condition:
            return self._waiting.pop(end)


def adapt_interval(interval: float, fraction: float) -> float:
    """Return the seconds until the next poll.

    Args:
        interval: the seconds before this poll.
        fraction: the fraction of the calls that it found ended.
    """
    (least, most), (shortest, longest) = ENDED, INTERVALS
    if fraction > most:
        interval /= 2
    elif fraction < least:
        interval *= 1.5
    return min(max(interval, shortest), longest)


def _take_end(correspondence: Correspondence, done: Future[bytes]) -> None:
    error = done.exception()
    if error is None:
        _pass_on(correspondence, done.result())
    else:
        correspondence.lose(error)


def _pass_on(correspondence: Correspondence, packed: bytes) -> None:
    """Pass the end of a call on; one that can't be read, as of another version, loses the call."""
    try:
        end: CallEnd = unpacked(packed)
    except UNREADABLE as error:
        correspondence.lose(error)
    else:
        correspondence.take_end(end)
