"""A process of a cluster: it makes calls for runs of any programs, several at a time."""

from __future__ import annotations

import logging
import pkgutil
import platform
import threading
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from flowstone.context import current
from flowstone.engine.thread_errors import cancel_error_in_thread, raise_in_thread
from flowstone.engine.timeouts import call_within
from flowstone.logging.run_logger import ROOT
from flowstone.records.version import __version__
from flowstone.task_runners.call_messages import FlowRunMessage, SetupMessage, pack_raised
from flowstone.task_runners.call_site import (
    CallHome,
    HomeJournal,
    HomeLogHandler,
    make_call,
    make_scope,
    unpack_call,
)
from flowstone.task_runners.messages import pack, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowstone.settings import Settings
    from flowstone.task_runners.call_messages import CallMessage
    from flowstone.task_runners.call_site import Link

#: A serialized value of at least this many bytes stays on its cluster until it is requested.
HELD_BYTES = 100_000
#: Number of flow runs whose context a process caches.
REMEMBERED = 16

_home: ContextVar[CallHome | None] = ContextVar("flowstone.home", default=None)
_lock = threading.Lock()


class StoppedCall(BaseException):
    """Raised in a call whose result is no longer needed."""


class RunningCalls:
    """The calls in progress in this process, which can be stopped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: dict[str, int] = {}
        self._stopped: set[str] = set()

    @contextmanager
    def register(self, key: str) -> Iterator[None]:
        """Let `stop` raise `StoppedCall` in this block; if it is too late, nothing is raised."""
        here = threading.get_ident()
        with self._lock:
            self._threads[key] = here
        try:
            yield
        finally:
            with suppress(StoppedCall), self._lock:
                self._threads.pop(key, None)
            if key in self._stopped:
                self._stopped.discard(key)
                with suppress(StoppedCall):
                    cancel_error_in_thread(here)

    def stop(self, key: str) -> bool:
        """Stop a call as soon as Python code runs in it; return whether it is running."""
        with self._lock:
            thread = self._threads.get(key)
            if thread is None:
                return False
            self._stopped.add(key)
            raise_in_thread(thread, StoppedCall)
            return True

    def is_running(self, key: str) -> bool:
        """Return whether a call is still running."""
        return key in self._threads

    def count(self) -> int:
        """Return the number of calls that have not ended."""
        return len(self._threads)


class HomeStore:
    """The store of the home process: each method is called there."""

    def __getattr__(self, method: str) -> Callable[..., object]:
        if method.startswith("_"):
            raise AttributeError(method)
        return partial(self._ask, method)

    def _ask(self, method: str, /, *args: object, **kwargs: object) -> object:
        return _find_home().ask("store", (method, args, kwargs))

    def close(self) -> None:
        """Do nothing: nothing is open."""


class HomeSealer:
    """A `Sealer`: the keys stay in the home process."""

    def seal(self, value: bytes, purpose: str) -> str:
        return cast("str", _find_home().ask("seal", (value, purpose)))

    def open(self, token: str, purpose: str) -> bytes:
        return cast("bytes", _find_home().ask("open", (token, purpose)))


class _Program(NamedTuple):
    """The context of a flow run's calls."""

    services: current.Services
    scope: current.Scope
    settings: Settings


def describe_versions() -> dict[str, str]:
    """Return the versions that must be the same for calls by value."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, "flowstone": __version__}


def serve_call(
    key: str, payload: bytes, flow_run: str, link: Link, seconds: float | None
) -> tuple[str, bytes]:
    """Make a call, and return the kind of its end, and that end, pickled.

    Args:
        key: the name of the call, for stopping it.
        payload: the pickled `CallMessage`.
        flow_run: identifies its context, which is requested if it is not known here.
        link: the connection to the process that drives its run.
        seconds: its timeout.

    Returns:
        "value", "states", "error" or "unreadable", and bytes with the content.
    """
    global _latest
    home = _latest = CallHome(link)
    token = _home.set(home)
    try:
        with running.register(key):
            if not link.is_wanted():
                return "error", pack_raised(StoppedCall(), key)
            program = _find_program(flow_run, home)
            with current.use_services_in_call(program.services):
                return _make_call(unpacked(payload), program, seconds)
    except StoppedCall as error:
        return "error", pack_raised(error, key)
    finally:
        _home.reset(token)


def part_value(kind: str, content: bytes) -> tuple[bytes, bytes | None]:
    """Return the message that tells a call's end, and its value, where that stays here.

    Args:
        kind: of end, as `serve_call` returns it.
        content: what tells the rest.
    """
    if kind == "value" and len(content) >= HELD_BYTES:
        return pack(("held", None)), content
    return pack((kind, content)), None


def _make_call(message: CallMessage, program: _Program, seconds: float | None) -> tuple[str, bytes]:
    if seconds is not None:
        _find_home().send("began", None)
    call = unpack_call(message)
    if isinstance(call, bytes):
        return "unreadable", call
    fn, args, kwargs = call
    if seconds is not None:
        fn = partial(_call_within, fn, seconds, message.run.name)
    return make_call(message, (fn, args, kwargs), program.scope, program.settings)


def _call_within(
    fn: Callable[..., object], seconds: float, name: str, /, *args: object, **kwargs: object
) -> object:
    return call_within(fn, args, kwargs, seconds, name)


def _find_program(flow_run: str, home: CallHome) -> _Program:
    with _lock:
        program = _programs.get(flow_run)
    if program is not None:
        return program
    setup, around = cast("tuple[bytes, bytes]", home.ask("around", describe_versions()))
    with _lock:
        if flow_run not in _programs:
            _programs[flow_run] = _open_program(unpacked(setup), unpacked(around))
            while len(_programs) > REMEMBERED:
                _programs.pop(next(iter(_programs))).services.close()
        return _programs[flow_run]


def _open_program(setup: SetupMessage, around: FlowRunMessage) -> _Program:
    global _is_own_process
    if _is_own_process is None:  # or threads of another program make the calls
        _is_own_process = not current.has_services()
    settings = replace(setup.settings, observers=(), keep_runs_days=None)
    # The composition root belongs to a higher layer, so it is named, as in `context.current`.
    open_services = pkgutil.resolve_name("flowstone.bootstrap:open_services")
    services: current.Services = open_services(settings, HomeStore())
    if _is_own_process:
        ROOT.handlers[:] = [_SiteLogHandler()]
    services = replace(services, journal=HomeJournal(_find_home), sealer=HomeSealer())
    return _Program(services, make_scope(around), settings)


def _find_home() -> CallHome:
    """Return the home process of the current call; a thread that a call created may not know it.

    Such a thread reports to the home of the latest call.
    """
    home = _home.get() or _latest
    assert home is not None
    return home


class _SiteLogHandler(logging.Handler):
    """Sends the log records of a call home; others go to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        home = _home.get()
        if home is not None:
            HomeLogHandler(lambda: home).emit(record)
        elif logging.lastResort is not None:
            logging.lastResort.handle(record)


#: The calls of this process.
running = RunningCalls()
_latest: CallHome | None = None
#: Whether this process only makes calls, so that logging should be set up for them.
_is_own_process: bool | None = None
_programs: dict[str, _Program] = {}
