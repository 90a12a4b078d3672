"""The process of a call whose run is driven in another process."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from flowstone.context import current
from flowstone.context.deadlines import limit_to
from flowstone.engine.arguments import find_states
from flowstone.errors import FailedRun, NotSendable
from flowstone.records import redaction
from flowstone.records.encoding import encode_event
from flowstone.task_runners.call_messages import pack_raised
from flowstone.task_runners.messages import pack, unpacked
from flowstone.task_runners.threads import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flowstone.errors import StopSignal
    from flowstone.records.events import Event
    from flowstone.records.runs import Run
    from flowstone.settings import Settings
    from flowstone.task_runners.call_messages import CallMessage, FlowRunMessage

    #: A function, sync or async, and its arguments.
    SentFunction = tuple[Callable[..., object], tuple[object, ...], Mapping[str, object]]


class Link(Protocol):
    """Sends bytes to the process that drives the run."""

    def send(self, message: bytes) -> None:
        """Send a message; messages arrive in order."""

    def ask(self, message: bytes) -> bytes:
        """Send a message, and return its answer."""

    def is_wanted(self) -> bool:
        """Return whether a caller still waits for the end of the call."""


class CallHome:
    """The process that drives the run, which receives the reports of a call."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.RLock()
        self._told = 0

    def send(self, kind: str, content: object) -> None:
        """Send a report."""
        with self._lock:
            self._tell_secrets()
            self._link.send(pack((kind, content)))

    def ask(self, kind: str, content: object) -> object:
        """Send a request, and return its answer. Raises the error that it caused there."""
        with self._lock:
            self._tell_secrets()
            error, answer = unpacked(self._link.ask(pack((kind, content))))
        if error is not None:
            raise error
        return answer

    def _tell_secrets(self) -> None:
        if self._told != redaction.size():  # the home process must know what to mask
            values = redaction.list_registered()
            self._told = len(values)
            self._link.send(pack(("secrets", values)))


class HomeJournal:
    """A `Journal` whose events the home process stores, under the token of the waiting run."""

    def __init__(self, find_home: Callable[[], CallHome]) -> None:
        self._find_home = find_home

    def append(self, event: Event, _token: str | None = None) -> None:
        self._find_home().send("append", encode_event(event))

    def create(self, event: Event, _token: str | None = None) -> None:
        self._find_home().ask("create", encode_event(event))

    def record(self, event: Event, _token: str | None = None) -> Any:
        return self._find_home().ask("record", encode_event(event))

    def refresh(self, run_id: str, _token: str | None = None) -> Any:
        return self._find_home().ask("heed", run_id)

    def is_full(self) -> bool:
        return False

    def flush(self) -> None:
        """Do nothing: the home process stores what was sent."""

    def on_request(self, root_id: str, stop: Callable[[type[StopSignal]], None]) -> None:
        """Do nothing: requests to a root are handled by its own process."""

    def abandon(self, root_id: str, token: str | None = None) -> None:
        """Do nothing: there are no leases here."""

    def leave(self, root_id: str, run_ids: Iterable[str]) -> None:
        """Do nothing: the home process stops what was submitted here."""

    def release(self, root_id: str) -> None:
        """Do nothing: no root is driven here."""

    def count_unwritten(self) -> int:
        """Return 0: nothing is queued here."""
        return 0

    def close(self) -> None:
        """Do nothing: nothing is open."""


class HomeLogHandler(logging.Handler):
    """Sends log records to the home process, where the program's handlers are."""

    def __init__(self, find_home: Callable[[], CallHome]) -> None:
        super().__init__()
        self._find_home = find_home

    def emit(self, record: logging.LogRecord) -> None:
        home = self._find_home()
        facts = dict(record.__dict__)
        run: Run | None = facts.get("flowstone_run")
        if run is not None:
            facts["flowstone_run"] = replace(run, parameters=None)
        if record.exc_info:
            facts["exc_text"] = redaction.redact(_formatter.formatException(record.exc_info))
        facts |= {"msg": redaction.redact(record.getMessage()), "args": None, "exc_info": None}
        try:
            home.send("line", facts)
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - an extra field that can't be pickled is described
            known = (str, int, float, type(None))
            told = {
                key: value if isinstance(value, known) or key == "flowstone_run" else repr(value)
                for key, value in facts.items()
            }
            home.send("line", told)


_formatter = logging.Formatter()


class UnsentArgument:
    """Stands for a flow's argument that was not sent; cache keys can't be computed from it."""

    def __reduce__(self) -> str:
        raise TypeError("it was not sent to the process in which the task runs")


def make_scope(around: FlowRunMessage) -> current.Scope:
    """Return the scope of the flow run around calls."""
    scope = current.Scope(None)
    scope.run = around.run
    scope.arguments = {name: _unpack_argument(value) for name, value in around.arguments.items()}
    return scope


def _unpack_argument(value: bytes | None) -> object:
    if value is not None:
        with suppress(Exception):  # most tasks never use it
            return unpacked(value)
    return UnsentArgument()


def unpack_call(message: CallMessage) -> SentFunction | bytes:
    """Return the function and its arguments, or, pickled, why they can't be loaded here."""
    try:
        call: SentFunction = unpacked(message.body)
    except BaseException as error:  # noqa: BLE001 - home may send it in another way
        name = error.name if isinstance(error, ModuleNotFoundError) else None
        return pack((name, pack_raised(error, message.run.name)))
    return call


def make_call(
    message: CallMessage,
    call: SentFunction,
    around: current.Scope,
    settings: Settings,
) -> tuple[str, bytes]:
    """Make the call, and return the kind of its end, and that end, pickled.

    Returns:
        "value" and its value; "states" and its value, if it contains states, which decide how the
        run ends; or "error" and its error.
    """
    fn, args, kwargs = call
    owner = current.Scope(None, lambda: ThreadPool(settings.max_workers, settings.max_in_flight))
    owner.run, owner.arguments = around.run, around.arguments
    scope = current.Scope(owner)
    scope.run = message.run
    current.scope.set(scope)
    current.tags.set(message.tags)
    try:
        with nullcontext() if message.seconds is None else limit_to(message.seconds):
            value = fn(*args, **kwargs)
            if inspect.iscoroutine(value):
                value = asyncio.run(value)
            _settle(owner)
        try:
            return "states" if find_states(value) else "value", pack(value)
        except Exception as error:
            raise NotSendable(f"the result of {message.run.name!r}", str(error)) from error
    except BaseException as error:  # noqa: BLE001 - it is the run's, and raised at home
        return "error", pack_raised(error, message.run.name)
    finally:
        if owner.runner is not None:
            owner.runner.close()


def _settle(owner: current.Scope) -> None:
    """Wait for what the call has submitted, which can't outlive the call."""
    while waiting := [promise for promise in owner.pending_runs.values() if not promise.done()]:
        for promise in waiting:
            promise.wait()
    for promise in owner.pending_runs.values():
        end = promise.final_state()
        if not promise.observed and not end.is_completed():
            raise FailedRun(promise.name, f"{end.message}; its result was never requested")
