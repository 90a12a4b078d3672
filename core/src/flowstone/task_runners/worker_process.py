"""The program of a child process: it makes the calls that its parent sends, and reports home."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import pkgutil
import signal
import sys
import threading
from contextlib import nullcontext
from contextvars import Context
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

from flowstone.context import current
from flowstone.context.deadlines import limit_to
from flowstone.errors import FailedRun, NotSendable, RemoteTraceback
from flowstone.logging.run_logger import ROOT
from flowstone.logging.tracebacks import format_traceback
from flowstone.records import redaction
from flowstone.records.encoding import encode_event
from flowstone.task_runners.messages import pack, pack_error, unpacked
from flowstone.task_runners.threads import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flowstone.errors import StopSignal
    from flowstone.records.events import Event
    from flowstone.records.runs import Run
    from flowstone.settings import Settings


class SetupMessage(NamedTuple):
    """What a child is told before its first call."""

    path: list[str]
    settings: Settings
    initializer: Callable[..., object] | None
    initargs: tuple[Any, ...]


class FlowRunMessage(NamedTuple):
    """The flow run around the calls that follow; its arguments packed, None where they can't be."""

    run: Run
    arguments: Mapping[str, bytes | None]


class CallMessage(NamedTuple):
    """One call.

    Attributes:
        run: the run that it is of.
        tags: those of the code that calls.
        body: the packed function and its arguments.
        seconds: after how many seconds its process is killed; None where there is no timeout.
    """

    run: Run
    tags: frozenset[str]
    body: bytes
    seconds: float | None


class UnsentArgument:
    """Stands for a flow's argument that did not come along; no key of a cache can be made of it."""

    def __reduce__(self) -> str:
        raise TypeError("it was not sent to the process in which the task runs")


class ParentJournal:
    """The way home; also a `Journal`, whose facts the parent's keeps, under the parent's token."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self._told = 0

    def send(self, kind: str, content: object) -> None:
        with self._lock:
            if self._told != redaction.size():  # the parent must know what to mask
                values = redaction.list_registered()
                self._told = len(values)
                self._connection.send_bytes(pack(("secrets", values)))
            self._connection.send_bytes(pack((kind, content)))

    def append(self, event: Event, _token: str | None = None) -> None:
        self.send("append", encode_event(event))

    def create(self, event: Event, _token: str | None = None) -> None:
        self._ask("create", encode_event(event))

    def record(self, event: Event, _token: str | None = None) -> Any:
        return self._ask("record", encode_event(event))

    def refresh(self, run_id: str, _token: str | None = None) -> Any:
        return self._ask("heed", run_id)

    def _ask(self, kind: str, content: object) -> object:
        with self._lock:
            self.send(kind, content)
            error, answer = unpacked(self._connection.recv_bytes())
        if error is not None:
            raise error
        return answer

    def is_full(self) -> bool:
        return False

    def flush(self) -> None:
        """What was sent is the parent's to keep."""

    def on_request(self, root_id: str, stop: Callable[[type[StopSignal]], None]) -> None:
        """Who asks something of a root is answered by its own process."""

    def abandon(self, root_id: str, token: str | None = None) -> None:
        """It has no leases."""

    def leave(self, root_id: str, run_ids: Iterable[str]) -> None:
        """What is submitted here is the parent's to stop."""

    def release(self, root_id: str) -> None:
        """A root is not driven here."""

    def count_unwritten(self) -> int:
        """Nothing waits here."""
        return 0

    def close(self) -> None:
        """Nothing is held here."""


class ParentLogHandler(logging.Handler):
    """Sends log records home, where the program's handlers are."""

    def __init__(self, home: ParentJournal) -> None:
        super().__init__()
        self._home = home

    def emit(self, record: logging.LogRecord) -> None:
        facts = dict(record.__dict__)
        run: Run | None = facts.get("flowstone_run")
        if run is not None:
            facts["flowstone_run"] = replace(run, parameters=None)
        if record.exc_info:
            facts["exc_text"] = redaction.redact(_formatter.formatException(record.exc_info))
        facts |= {"msg": redaction.redact(record.getMessage()), "args": None, "exc_info": None}
        try:
            self._home.send("line", facts)
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - an extra field that can't be pickled is told in words
            known = (str, int, float, type(None))
            told = {
                key: value if isinstance(value, known) or key == "flowstone_run" else repr(value)
                for key, value in facts.items()
            }
            self._home.send("line", told)


_formatter = logging.Formatter()


def main(link: int, life: int) -> None:
    """Serve a parent until it closes the link."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the parent's to say who stops
    threading.Thread(target=_end_with_parent, args=(life,), daemon=True).start()
    connection: Connection[Any, Any] = Connection(link)
    home = ParentJournal(connection)
    try:
        setup: SetupMessage = unpacked(connection.recv_bytes())
    except EOFError:
        return
    try:
        services = _make_services(setup, home)
        if setup.initializer is not None:
            setup.initializer(*setup.initargs)
    except BaseException as error:  # noqa: BLE001 - whoever needs this child is told
        home.send("broken", _pack_error(error, "initializer"))
        return
    with current.use_services(services):
        home.send("ready", None)
        _serve(connection, home, setup.settings)


def _make_services(setup: SetupMessage, home: ParentJournal) -> current.Services:
    sys.path[:] = setup.path
    # The composition root is above this floor, so it is named, as in `context.current`.
    services: current.Services = pkgutil.resolve_name("flowstone.bootstrap:open_services")(
        setup.settings
    )
    ROOT.handlers[:] = [ParentLogHandler(home)]
    return replace(services, journal=home)


def _serve(connection: Connection[object, object], home: ParentJournal, settings: Settings) -> None:
    around = None
    while True:
        try:
            errand: CallMessage | FlowRunMessage = unpacked(connection.recv_bytes())
        except EOFError:
            return
        if isinstance(errand, FlowRunMessage):
            around = _make_scope(errand)
            continue
        assert around is not None
        try:
            call = unpacked(errand.body)
        except BaseException as error:  # noqa: BLE001 - the parent may send it in another way
            name = error.name if isinstance(error, ModuleNotFoundError) else None
            home.send("unreadable", (name, _pack_error(error, errand.run.name)))
            continue
        # A fresh context for each: nothing that one sets is left for the next.
        kind, content = Context().run(_make_call, errand, call, around, settings)
        sys.stdout.flush()
        home.send(kind, content)
        del errand, call, content


def _make_scope(around: FlowRunMessage) -> current.Scope:
    scope = current.Scope(None)
    scope.run = around.run
    scope.arguments = {name: _unpack_argument(value) for name, value in around.arguments.items()}
    return scope


def _unpack_argument(value: bytes | None) -> object:
    try:
        return UnsentArgument() if value is None else unpacked(value)
    except Exception:  # noqa: BLE001 - most tasks never ask for it
        return UnsentArgument()


def _make_call(
    errand: CallMessage, call: tuple[Any, ...], around: current.Scope, settings: Settings
) -> tuple[str, bytes]:
    """Make the call; return its value, or its error, packed."""
    fn, args, kwargs = call
    owner = current.Scope(None, lambda: ThreadPool(settings.max_workers, settings.max_in_flight))
    owner.run, owner.arguments = around.run, around.arguments
    scope = current.Scope(owner)
    scope.run = errand.run
    current.scope.set(scope)
    current.tags.set(errand.tags)
    try:
        with nullcontext() if errand.seconds is None else limit_to(errand.seconds):
            value = fn(*args, **kwargs)
            if inspect.iscoroutine(value):
                value = asyncio.run(value)
            _settle(owner)
        try:
            return "value", pack(value)
        except Exception as error:
            raise NotSendable(f"the result of {errand.run.name!r}", str(error)) from error
    except BaseException as error:  # noqa: BLE001 - it is the run's, and raised at home
        return "error", _pack_error(error, errand.run.name)
    finally:
        if owner.runner is not None:
            owner.runner.close()


def _settle(owner: current.Scope) -> None:
    """Wait for what the call has submitted: it can't outlive the call."""
    while waiting := [promise for promise in owner.pending_runs.values() if not promise.done()]:
        for promise in waiting:
            promise.wait()
    for promise in owner.pending_runs.values():
        end = promise.final_state()
        if not promise.observed and not end.is_completed():
            raise FailedRun(promise.name, f"{end.message}; nobody asked for its result")


def _pack_error(error: BaseException, name: str) -> bytes:
    """Return an error packed, with its traceback as text, and what can be said of it."""
    text = redaction.redact(format_traceback(error))
    said = f"{type(error).__name__}: {error}"
    return pack((pack_error(error), name, said, text))


def revive_error(told: bytes) -> BaseException:
    """Return an error that a child has packed; the child's traceback is the last of its causes."""
    content, name, said, text = unpacked(told)
    try:
        error = unpacked(content)
    except Exception:  # noqa: BLE001 - its class is not here, or it has not been packed at all
        error = FailedRun(name, said)
    last, seen = error, {error}
    while (cause := _find_cause(last)) is not None and cause not in seen:
        seen.add(last := cause)
    last.__cause__ = RemoteTraceback(text)
    assert isinstance(error, BaseException)
    return error


def _find_cause(error: BaseException) -> BaseException | None:
    """Return the exception that a traceback shows above this one."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _end_with_parent(life: int) -> None:
    """End when the parent does, however it does, and whatever this process is doing."""
    os.read(life, 1)  # nothing is ever written; it ends when the parent's side is closed
    os.kill(os.getpid(), signal.SIGKILL)
