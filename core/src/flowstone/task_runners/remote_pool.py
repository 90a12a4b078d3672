"""Runs driven on threads here, whose calls are made by a cluster that exchanges messages."""

from __future__ import annotations

import threading
from abc import abstractmethod
from contextlib import suppress
from hashlib import sha256
from itertools import count
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from uuid import uuid4
from weakref import WeakSet, WeakValueDictionary

from flowstone.context import current
from flowstone.errors import ConfigurationError, CrashedRun, NotSendable, RunTimeout
from flowstone.task_runners.call_messages import (
    SetupMessage,
    pack_call,
    pack_flow_run,
    revive_error,
)
from flowstone.task_runners.call_reports import CallReports
from flowstone.task_runners.held_values import HeldValue, collect_held
from flowstone.task_runners.messages import count_sent_by_value, pack, send_by_value, unpacked
from flowstone.task_runners.shared_site import describe_versions
from flowstone.task_runners.threads import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowstone.ports import RemoteCaller
    from flowstone.records.runs import Run

#: Seconds that a call has for ending after its timeout.
GRACE = 2.0
_STOP = b""
_PROCESS = uuid4().hex
_numbers = count()
#: Larger pickled arguments, in bytes, are sent to the cluster once for all calls with them.
SHARED_BYTES = 100_000


class SentCall:
    """A call in a cluster.

    Attributes:
        key: its name there.
        name: the name of its run.
        run_id: the id of its run.
        payload: the pickled data for the process that makes it.
        flow_run: identifies the flow run around it.
        seconds: its timeout.
        held_values: the held values among its arguments.
    """

    __slots__ = ("_inbox", "flow_run", "held_values", "key", "name", "payload", "run_id", "seconds")

    def __init__(
        self,
        run: Run,
        payload: bytes,
        held_values: Sequence[HeldValue],
        flow_run: str,
        seconds: float | None,
    ) -> None:
        self.held_values = held_values
        # A run may send a call again, also from a later process; Dask groups calls by their prefix.
        self.key = f"flowstone.{run.unit}-{run.id}-{_PROCESS}-{next(_numbers)}"
        self.name, self.run_id = run.name, run.id
        self.payload, self.flow_run, self.seconds = payload, flow_run, seconds
        self._inbox: SimpleQueue[bytes | BaseException] = SimpleQueue()

    def deliver(self, message: bytes | BaseException) -> None:
        """Deliver a message of the call, or an error that prevents further ones. Never blocks."""
        self._inbox.put(message)

    def receive(self, seconds: float | None) -> bytes:
        """Return its next message. Raises a delivered error, and `Empty`."""
        message = self._inbox.get(timeout=seconds)
        if isinstance(message, BaseException):
            raise message
        return message


class RemotePool(ThreadPool):
    """A `Runner` and a `RemoteCaller`; a subclass communicates with its cluster.

    Args:
        max_workers: the maximum number of runs driven at a time.
        max_in_flight: the default maximum of calls in flight of a `.map`.
    """

    def __init__(self, max_workers: int, max_in_flight: int | None) -> None:
        super().__init__(max_workers, max_in_flight)
        self.caller: RemoteCaller | None = self
        self._setup = pack(SetupMessage([], current.services().settings))
        self._sent_lock = threading.Lock()
        self._sent: dict[str, SentCall] = {}
        self._by_thread: dict[int, SentCall] = {}
        self._around: dict[str, bytes] = {}
        self._held: WeakSet[HeldValue] = WeakSet()
        self._share_lock = threading.Lock()
        #: Arguments that the cluster holds, by key, while a call needs them.
        self._shared: WeakValueDictionary[str, HeldValue] = WeakValueDictionary()
        self._is_over = False

    @abstractmethod
    def send_call(self, call: SentCall) -> None:
        """Make the cluster execute a call once; its messages go to `find_call(key).deliver`."""

    @abstractmethod
    def stop_call(self, call: SentCall) -> None:
        """Stop a call that has not ended; its result is no longer needed. Never raises."""

    @abstractmethod
    def forget_call(self, call: SentCall) -> None:
        """Free what the cluster has of a call that has ended. Never raises."""

    @abstractmethod
    def hold_value(self, call: SentCall) -> HeldValue:
        """Return a placeholder for the value of a call that was reported as held."""

    @abstractmethod
    def share_content(self, key: str, content: bytes) -> HeldValue | None:
        """Make the cluster hold a pickled argument; return None if that is not possible now."""

    @abstractmethod
    def send_answer(self, call: SentCall, answer: bytes) -> None:
        """Send an answer to the process that makes a call."""

    def find_call(self, key: str) -> SentCall | None:
        """Return a call that has not ended."""
        return self._sent.get(key)

    def list_calls(self) -> list[SentCall]:
        """Return the calls that have not ended."""
        with self._sent_lock:
            return list(self._sent.values())

    def call(
        self,
        fn: Callable[..., object],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        runs: tuple[Run, Run],
        seconds: float | None,
    ) -> object:
        """Call the function on the cluster, and return its value or raise its error.

        Raises:
            NotSendable: the function, an argument or the value can't be sent.
            ProcessDied: the process that made the call died before the call ended.
            RunTimeout: the call took longer than `seconds`.
        """
        run, flow_run = runs
        self._around.setdefault(flow_run.id, b"")
        while True:
            by_value = count_sent_by_value()
            with collect_held() as held:
                payload = pack_call(fn, args, kwargs, run, seconds)
                if len(payload) >= SHARED_BYTES:
                    payload = pack_call(fn, *self._share(args, kwargs), run, seconds)
            sent = SentCall(run, payload, list(held.values()), flow_run.id, seconds)
            try:
                kind, content = self._make_call(sent, runs)
            except CrashedRun:
                self._forget_shared(sent)  # they may have been lost with a process
                raise
            if kind in {"value", "states"}:
                return unpacked(content)
            if kind == "held":
                value = self.hold_value(sent)
                self._held.add(value)
                return value
            if kind == "unreadable":
                name, told = unpacked(content)
                if name is not None and (send_by_value(name) or count_sent_by_value() > by_value):
                    continue  # another thread may have done the same
                error = revive_error(told)
                raise NotSendable(f"the call of {run.name!r}", str(error)) from error
            raise revive_error(content)

    def _share(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """Return arguments with placeholders for large ones, which concurrent calls share."""
        named = {name: self._share_argument(value) for name, value in kwargs.items()}
        return tuple(map(self._share_argument, args)), named

    def _share_argument(self, value: object) -> object:
        if isinstance(value, HeldValue):
            return value
        content = pack(value)
        if len(content) < SHARED_BYTES:
            return value
        # By its content, as the object may be changed between two calls.
        key = f"flowstone.argument-{sha256(content).hexdigest()}"
        with self._share_lock:
            shared = self._shared.get(key)
            if shared is None:
                shared = self.share_content(key, content)
                if shared is None:
                    return value
                self._shared[key] = shared
            return shared

    def _forget_shared(self, call: SentCall) -> None:
        with self._share_lock:
            for value in call.held_values:
                self._shared.pop(value.key, None)

    def interrupt(self, thread: int) -> None:
        """Wake a thread that waits for a call, which is then stopped."""
        call = self._by_thread.get(thread)
        if call is not None:
            call.deliver(_STOP)

    def close(self) -> None:
        super().close()
        self._is_over = True
        for call in self.list_calls():
            call.deliver(_STOP)
        for value in list(self._held):  # it may be read after the cluster is closed
            with suppress(Exception):
                value.bring_home()

    def _make_call(self, call: SentCall, runs: tuple[Run, Run]) -> tuple[str, bytes]:
        here = threading.get_ident()
        with self._sent_lock:
            if self._is_over:
                raise CrashedRun(runs[0].name, "its flow run has ended")
            self._sent[call.key] = self._by_thread[here] = call
        has_ended = False
        try:
            self.send_call(call)
            end = self._take_messages(call, runs)
            has_ended = True
        finally:
            with self._sent_lock:
                self._sent.pop(call.key, None)
                self._by_thread.pop(here, None)
            if not has_ended:
                self.stop_call(call)
        if end[0] != "held":
            self.forget_call(call)
        return end

    def _take_messages(self, call: SentCall, runs: tuple[Run, Run]) -> tuple[str, bytes]:
        """Handle the reports of a call, and return the outcome."""
        reports = CallReports(current.services(), lambda answer: self.send_answer(call, answer))
        patience = None
        while True:
            try:
                message = call.receive(patience)
            except Empty:
                told = "It can't be interrupted where it runs; its further output is discarded."
                raise RunTimeout(runs[0].name, call.seconds or 0.0, told) from None
            if message == _STOP:
                raise CrashedRun(runs[0].name, "it was stopped")
            kind, content = unpacked(message)
            if kind == "began":
                patience = (call.seconds or 0.0) + GRACE
            elif kind == "around":
                self.send_answer(call, self._describe_around(runs[1], content))
            elif not reports.take_in(kind, content):
                return kind, content

    def _describe_around(self, flow_run: Run, versions: dict[str, str]) -> bytes:
        """Return, pickled, what a process needs to know of a flow run.

        Raises:
            ConfigurationError: the process has other versions.
        """
        ours = describe_versions()
        if versions != ours:
            raise make_version_error(ours, versions)
        around = self._around[flow_run.id] = self._around[flow_run.id] or pack_flow_run(flow_run)
        return pack((None, (self._setup, around)))


def make_version_error(ours: Mapping[str, str], theirs: Mapping[str, str]) -> ConfigurationError:
    """Return an error that names the different versions of this process and one of a cluster."""
    differing = [
        f"{name} {theirs.get(name, 'missing')} there and {version} here"
        for name, version in ours.items()
        if theirs.get(name) != version
    ]
    problem = f"one of its processes has other versions: {', '.join(differing)}"
    return ConfigurationError("the cluster", problem, "Install the same versions on both sides.")
