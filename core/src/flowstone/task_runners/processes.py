"""Calls in child processes: a run is driven here, and only its function is called there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from time import monotonic
from typing import TYPE_CHECKING, Any

from flowstone.context import current
from flowstone.errors import CrashedRun, NotSendable, ProcessDied, RunTimeout
from flowstone.task_runners.call_messages import (
    pack_call,
    pack_flow_run,
    pack_if_possible,
    revive_error,
)
from flowstone.task_runners.call_reports import CallReports
from flowstone.task_runners.messages import count_sent_by_value, send_by_value, unpacked
from flowstone.task_runners.threads import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone.context.current import Services
    from flowstone.ports import RemoteCaller
    from flowstone.records.runs import Run
    from flowstone.task_runners.call_messages import SetupMessage

PROGRAM = (
    "import sys; from flowstone.task_runners.worker_process import main; "
    "main(*map(int, sys.argv[1:]))"
)

#: Seconds that a child has for exiting before it is killed.
GRACE = 2.0


class ProcessPool(ThreadPool):
    """A `Runner` and a `RemoteCaller`: runs are driven on threads, each call in its own process.

    The processes are started as needed, up to a maximum, and serve one call after another. They
    are new interpreters, not forks. When this process ends, in any way, so do they.
    """

    def __init__(
        self, max_workers: int, setup: SetupMessage, max_in_flight: int | None = None
    ) -> None:
        super().__init__(max_workers, max_in_flight)
        self.caller: RemoteCaller | None = self
        self._setup = pack_if_possible(setup, "the initializer, or one of its arguments,")
        self._life, self._held = os.pipe()
        self._free = threading.Condition()
        self._idle_children: list[Child] = []
        self._busy: dict[int, Child] = {}
        self._started = 0
        self._over = False
        self._around, self._around_id = b"", ""

    # ------------------------------------------------------------ a call

    def call(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        runs: tuple[Run, Run],
        seconds: float | None,
    ) -> Any:
        """Call the function in a child process, and return its value or raise its error.

        Raises:
            NotSendable: the function or an argument can't be sent.
            ProcessDied: the child died before the call ended.
            RunTimeout: the call took longer than `seconds`; its child was killed.
        """
        services = current.services()
        while True:
            by_value = count_sent_by_value()
            payload = pack_call(fn, args, kwargs, runs[0], seconds)
            if self._around_id != runs[1].id:
                self._around, self._around_id = pack_flow_run(runs[1]), runs[1].id
            child = self._take_child(runs[0].name)
            try:
                child.tell(runs[1].id, self._around)
                kind, content = child.talk(payload, runs[0], seconds, services)
            except BaseException:
                self._discard_child(child)
                raise
            if kind == "broken":
                self._discard_child(child)
                raise revive_error(content)
            self._return_child(child)
            if kind in {"value", "states"}:
                return unpacked(content)
            if kind == "unreadable":
                name, told = unpacked(content)
                if name is not None and (send_by_value(name) or count_sent_by_value() > by_value):
                    continue  # another thread may have done the same
                error = revive_error(told)
                raise NotSendable(f"the call of {runs[0].name!r}", str(error)) from error
            raise revive_error(content)

    def interrupt(self, thread: int) -> None:
        """Kill the child that a thread waits for."""
        with self._free:
            child = self._busy.get(thread)
            if child is not None:
                child.kill()
            self._free.notify_all()

    # ------------------------------------------------------------ the children

    def _take_child(self, name: str) -> Child:
        here = threading.get_ident()
        with self._free:
            while True:
                if self._over:
                    raise CrashedRun(name, "its flow run has ended")
                while self._idle_children:
                    child = self._idle_children.pop()
                    if child.is_alive():
                        self._busy[here] = child
                        return child
                    child.let_go()
                    self._started -= 1
                if self._started < self._max_workers:
                    self._started += 1
                    break
                self._free.wait()
        try:
            child = Child(self._setup, self._life)
        except BaseException:
            with self._free:
                self._started -= 1
                self._free.notify()
            raise
        with self._free:
            self._busy[here] = child
        return child

    def _return_child(self, child: Child) -> None:
        with self._free:
            self._busy.pop(threading.get_ident(), None)
            self._idle_children.append(child)
            self._free.notify()

    def _discard_child(self, child: Child) -> None:
        child.kill()
        child.let_go()
        with self._free:
            self._busy.pop(threading.get_ident(), None)
            self._started -= 1
            self._free.notify()

    def close(self) -> None:
        super().close()
        with self._free:
            if self._over:
                return
            self._over = True
            idle, self._idle_children = self._idle_children, []
            busy = list(self._busy.values())
            self._free.notify_all()
        for child in busy:
            child.kill()
        for child in idle:
            child.let_go()
        end = monotonic() + GRACE
        for child in idle:
            child.wait_for_exit(end - monotonic())
        os.close(self._held)
        os.close(self._life)


class Child:
    """One child process, and the connection to it."""

    def __init__(self, setup: bytes, life: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            fds = (theirs.fileno(), life)
            command = [sys.executable, "-c", PROGRAM, *map(str, fds)]
            try:
                self._process = subprocess.Popen(command, pass_fds=fds, stdin=subprocess.DEVNULL)  # noqa: S603
            except BaseException:
                ours.close()
                raise
        self._connection: Connection[Any, Any] = Connection(ours.detach())
        self._ready = False
        self._around_id = ""
        with suppress(OSError):  # it has died, which shows when it is used
            self._connection.send_bytes(setup)

    def tell(self, run_id: str, around: bytes) -> None:
        """Send it the flow run around the next call, unless it knows it."""
        if self._around_id != run_id:
            self._around_id = run_id
            with suppress(OSError):  # it has died, which shows when it does not answer
                self._connection.send_bytes(around)

    def talk(
        self, payload: bytes, run: Run, seconds: float | None, services: Services
    ) -> tuple[str, Any]:
        """Send a call, handle the child's reports, and return the outcome."""
        reports = CallReports(services, self._connection.send_bytes)
        while not self._ready:
            kind, content = self._receive(run)
            if kind == "broken":
                return kind, content
            if not reports.take_in(kind, content):
                self._ready = True
        with suppress(OSError):  # it has died, which shows when it does not answer
            self._connection.send_bytes(payload)
        end = None if seconds is None else monotonic() + seconds
        while True:
            if end is not None and not self._connection.poll(max(0.0, end - monotonic())):
                raise RunTimeout(run.name, seconds or 0.0, "Its process was killed.")
            kind, content = self._receive(run)
            if not reports.take_in(kind, content):
                return kind, content

    def _receive(self, run: Run) -> tuple[str, object]:
        try:
            content = self._connection.recv_bytes()
        except (EOFError, OSError):
            raise ProcessDied(run.name, run.id, self.wait_for_exit(GRACE)) from None
        kind, value = unpacked(content)
        return kind, value

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill it. May be called from any thread, and twice."""
        self._process.kill()
        self._process.wait()

    def let_go(self) -> None:
        """Close the connection, so that an idle child exits. Only for the thread that has it."""
        self._connection.close()

    def wait_for_exit(self, seconds: float) -> int:
        """Wait for its exit up to a timeout, and return its exit code."""
        try:
            return self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
