"""The current services of the process, and the current run."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from flowstone.records.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from flowstone.context.lineage import Producers
    from flowstone.ports import (
        CallRequest,
        Clock,
        CurrentRun,
        DocumentStore,
        Journal,
        Observers,
        PendingRun,
        Runner,
        RunStore,
        RunTransaction,
        Sealer,
        SecretReferences,
    )
    from flowstone.ports.services import BackgroundWork
    from flowstone.ports.slots import SlotQueue, SlotStore
    from flowstone.ports.threads import Threads
    from flowstone.records.runs import Run
    from flowstone.settings import Settings


@record
class Services:
    """The ports of this process, with their implementations; from `flowstone.bootstrap`, or a test.

    Attributes:
        holder: returns the name of this process, for its leases: ``host/pid/presence``.
        slots: the slots held under limits, by all processes.
        gate: this process's queue for slots.
        threads: threads and synchronization; a simulation has its own.
        audience: the observers of what is written to `runs`.
        background: work that uses the other services besides runs, and is closed before them.
    """

    settings: Settings
    runs: RunStore
    documents: DocumentStore
    sealer: Sealer
    references: SecretReferences
    clock: Clock
    journal: Journal
    holder: Callable[[], str]
    slots: SlotStore
    slot_queue: SlotQueue
    observers: Observers
    threads: Threads = threading
    background: Sequence[BackgroundWork] = ()

    def close(self) -> None:
        for work in self.background:
            work.close()
        self.slot_queue.close()
        try:
            self.journal.close()
        finally:
            self.observers.close()
            self.runs.close()
            self.documents.close()


_lock = threading.RLock()
_stack: list[Services] = []
#: In a process that makes calls of many programs at once, the services of the current call.
_of_call: ContextVar[Services | None] = ContextVar("flowstone.services", default=None)
#: Whether this process has ever made such a call.
_makes_calls = False
#: The origin of the default services. The composition root belongs to a higher layer; so it is
#: named, as plugins are, and not imported. Tests set another.
_origin = "flowstone.bootstrap:open_default_services"


def services() -> Services:
    """Return the current services; the first call opens the default ones."""
    if _makes_calls and (found := _of_call.get()) is not None:
        return found
    if _stack:
        return _stack[-1]
    with _lock:
        if not _stack:
            module, _, name = _origin.partition(":")
            _stack.append(getattr(_import(module), name)())
        return _stack[-1]


def has_services() -> bool:
    """Return whether there are current services; if not, `services` opens them."""
    return bool(_stack)


def set_default_origin(origin: str) -> None:
    """Set the function ``module:name`` that returns the default services when they are needed."""
    global _origin
    _origin = origin


def _import(module: str) -> ModuleType:
    """Import a module; add the name of a file that shadows a standard module to an error."""
    try:
        return import_module(module)
    except (ImportError, AttributeError) as error:
        # Only needed for an error.
        from flowstone.plugins.shadows import describe_shadows

        if hint := describe_shadows():
            error.add_note(hint)
        raise


@contextmanager
def use_services(current: Services) -> Iterator[Services]:
    """Make other services the current ones of this process, for a while; may be nested."""
    _stack.append(current)
    try:
        yield current
    finally:
        _stack.remove(current)


@contextmanager
def use_services_in_call(current: Services) -> Iterator[None]:
    """Make other services the current ones in this block, and not in other threads."""
    global _makes_calls
    _makes_calls = True
    token = _of_call.set(current)
    try:
        yield
    finally:
        _of_call.reset(token)


class ResultOptions(NamedTuple):
    """A flow's defaults for the results of its tasks; None for options that are not set."""

    persist: bool | None
    storage: Any
    serializer: Any


class Sketching(Protocol):
    """Replaces the runs of a flow that is only drawn; see `flowstone.calls.sketch`."""

    def call(self, unit: Any, args: tuple[object, ...], kwargs: dict[str, object]) -> Any: ...
    def submit(self, unit: Any, args: tuple[object, ...], kwargs: dict[str, object]) -> Any: ...
    def map(self, unit: Any, args: tuple[object, ...], kwargs: dict[str, object]) -> Any: ...


class Scope:
    """The run that the code is in.

    Attributes:
        run: as of its first state; its fixed properties stay valid, its state does not.
        owner: the scope of the nearest flow run, or of the root; its own for those.
        standing: the run's current state, from before its first state on.
        asked: the call that created it.
        above: for an owner, the run that called it.
        arguments: for a flow run, its arguments by name.
        lineage: for a flow run that another called, identifies the call in any attempt of that one.
        keeps: for an owner, the default options for its tasks' results.
        promises: for an owner, submitted runs that have not ended or have failed.
        runner: for an owner, the runner of its submitted tasks; created by the first submit.
        makers: for an owner, the runs that created the values its code has; None before the first.
        sketch: replaces calls in a flow that is only drawn; None for a run.
    """

    sketch: Sketching | None = None  # a class attribute, so that it costs runs nothing

    run: Run
    current: CurrentRun
    request: CallRequest

    __slots__ = (
        "arguments",
        "caller",
        "counters",
        "current",
        "lineage",
        "make_runner",
        "owner",
        "pending_runs",
        "producers",
        "request",
        "result_options",
        "run",
        "runner",
    )

    def __init__(
        self, owner: Scope | None, make_runner: Callable[[], Runner] | None = None
    ) -> None:
        # `run` is set with the run's first state: no code of the run is executed before that.
        self.owner: Scope = owner or self
        self.caller: Scope | None = None
        self.make_runner = make_runner
        self.runner: Runner | None = None
        self.arguments: dict[str, Any] = {}
        self.lineage = ""
        self.result_options: ResultOptions | None = None
        self.pending_runs: dict[str, PendingRun] = {}
        self.counters: dict[str, int] = {}
        self.producers: Producers | None = None

    def open_runner(self) -> Runner:
        """Return the runner of this owner's tasks, opened on first use."""
        runner = self.runner
        if runner is not None:  # as for all but the first of them
            return runner
        with _lock:
            if self.runner is None:
                assert self.make_runner is not None
                self.runner = self.make_runner()
            return self.runner

    @property
    def standing(self) -> CurrentRun | None:
        """The run as it is now; None if another process drives it."""
        found: CurrentRun | None = getattr(self, "current", None)
        return found

    @property
    def token(self) -> str | None:
        """The token of the lease for events of this run, if it is known."""
        standing = self.standing
        return None if standing is None else standing.token

    @property
    def time(self) -> Callable[[], float] | None:
        """The clock of this run's tree; None if another process drives it."""
        standing = self.standing
        return None if standing is None else standing.time

    def next_ordinal(self, name: str) -> int:
        """Return the number of previous calls of a child with that name."""
        number = self.counters.get(name, 0)
        self.counters[name] = number + 1
        return number


def sketch() -> Sketching | None:
    """Return the replacement for calls in a flow that is only drawn; None otherwise."""
    here = scope.get()
    return None if here is None else here.sketch


transaction: ContextVar[RunTransaction | None] = ContextVar("flowstone.transaction", default=None)
scope: ContextVar[Scope | None] = ContextVar("flowstone.scope", default=None)
tags: ContextVar[frozenset[str]] = ContextVar("flowstone.tags", default=frozenset())


def current_run() -> Run | None:
    """Return the run that the code is in; None before its first state, when no store has it."""
    found = scope.get()
    return None if found is None else getattr(found, "run", None)
