"""A process of a cluster: it makes calls of any program's runs, some of them at once."""

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
from flowstone.task_runners.messages import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowstone.settings import Settings
    from flowstone.task_runners.call_messages import CallMessage
    from flowstone.task_runners.call_site import Link

#: So many flow runs a process remembers what is around their calls.
REMEMBERED = 16

_home: ContextVar[CallHome | None] = ContextVar("flowstone.home", default=None)
_lock = threading.Lock()


class StoppedCall(BaseException):
    """Raised in a call that nobody waits for any more."""


class RunningCalls:
    """The calls that this process is making, and how one is stopped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: dict[str, int] = {}
        self._stopped: set[str] = set()

    @contextmanager
    def register(self, key: str) -> Iterator[None]:
        """Let `stop` raise `StoppedCall` in this block; what comes too late is not raised."""
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
        """Stop a call as soon as Python code runs in it; tell whether it is running."""
        with self._lock:
            thread = self._threads.get(key)
            if thread is None:
                return False
            self._stopped.add(key)
            raise_in_thread(thread, StoppedCall)
            return True

    def is_running(self, key: str) -> bool:
        """Tell whether a call has not ended."""
        return key in self._threads

    def count(self) -> int:
        """Return the number of calls that have not ended."""
        return len(self._threads)


class HomeStore:
    """All that the store at home does: what is called here is called there."""

    def __getattr__(self, method: str) -> Callable[..., object]:
        if method.startswith("_"):
            raise AttributeError(method)
        return partial(self._ask, method)

    def _ask(self, method: str, /, *args: object, **kwargs: object) -> object:
        return _find_home().ask("store", (method, args, kwargs))

    def close(self) -> None:
        """Nothing is held here."""


class HomeSealer:
    """A `Sealer`: the keys stay at home."""

    def seal(self, value: bytes, purpose: str) -> str:
        return cast("str", _find_home().ask("seal", (value, purpose)))

    def open(self, token: str, purpose: str) -> bytes:
        return cast("bytes", _find_home().ask("open", (token, purpose)))


class _Program(NamedTuple):
    """What is around the calls of a flow run."""

    services: current.Services
    scope: current.Scope
    settings: Settings


def describe_versions() -> dict[str, str]:
    """Return the versions that must agree where calls go by value."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, "flowstone": __version__}


def serve_call(
    key: str, errand: bytes, flow_run: str, link: Link, seconds: float | None
) -> tuple[str, bytes]:
    """Make a call, and return what kind of end it has, and that, packed.

    Args:
        key: names the call, for who stops it.
        errand: the packed `CallMessage`.
        flow_run: names what is around it, which is asked for where it is not known here.
        link: the way to where its run is driven.
        seconds: its timeout.

    Returns:
        "value", "states", "error" or "unreadable", and bytes that tell the rest.
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
                return _make_call(unpacked(errand), program, seconds)
    except StoppedCall as error:
        return "error", pack_raised(error, key)
    finally:
        _home.reset(token)


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
    if _is_own_process is None:  # or the calls are made by threads of a program of its own
        _is_own_process = not current.has_services()
    settings = replace(setup.settings, observers=(), keep_runs_days=None)
    # The composition root is above this floor, so it is named, as in `context.current`.
    open_services = pkgutil.resolve_name("flowstone.bootstrap:open_services")
    services: current.Services = open_services(settings, HomeStore())
    if _is_own_process:
        ROOT.handlers[:] = [_SiteLogHandler()]
    services = replace(services, journal=HomeJournal(_find_home), sealer=HomeSealer())
    return _Program(services, make_scope(around), settings)


def _find_home() -> CallHome:
    """Return where the call is driven that the code is in; a thread that a call made may not know.

    Such a thread reports to where the latest call came from.
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
#: Whether this process does nothing but make calls, and its logging is to be set up for them.
_is_own_process: bool | None = None
_programs: dict[str, _Program] = {}
