"""What is current here: the services of the process, and the run that the code is in."""

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
    """The ports of this process, each filled; made by `flowstone.bootstrap`, or by a test.

    Attributes:
        holder: says where this process is, for its leases: ``host/pid/presence``.
        slots: what is held under limits, by all processes.
        gate: this process's way to slots.
        threads: what waits for submitted tasks; a simulation has its own.
        audience: who is told of what goes into `runs`.
        background: what uses the others beside runs, and is closed before them.
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
#: In a process that makes calls of many programs at once, the services of the call around the code.
_of_call: ContextVar[Services | None] = ContextVar("flowstone.services", default=None)
#: Whether there was ever such a call in this process.
_makes_calls = False
#: Where the default services come from. The composition root is above this floor; so it is named,
#: as plugins are, not imported. Tests name another.
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
    """Tell whether there are current services; if not, `services` opens them."""
    return bool(_stack)


def set_default_origin(origin: str) -> None:
    """Take the default services, when they are first needed, from what ``module:name`` returns."""
    global _origin
    _origin = origin


def _import(module: str) -> ModuleType:
    """Import a module; an error that comes of a shadowed standard module says which file it is."""
    try:
        return import_module(module)
    except (ImportError, AttributeError) as error:
        # Only an error needs it.
        from flowstone.plugins.shadows import describe_shadows

        if hint := describe_shadows():
            error.add_note(hint)
        raise


@contextmanager
def use_services(current: Services) -> Iterator[Services]:
    """Make other services the current ones of this process, for a while; they may nest."""
    _stack.append(current)
    try:
        yield current
    finally:
        _stack.remove(current)


@contextmanager
def use_services_in_call(current: Services) -> Iterator[None]:
    """Make other services the current ones of the code in this block, and of no other thread."""
    global _makes_calls
    _makes_calls = True
    token = _of_call.set(current)
    try:
        yield
    finally:
        _of_call.reset(token)


class ResultOptions(NamedTuple):
    """What a flow says of the results of its tasks; None where it does not say."""

    persist: bool | None
    storage: Any
    serializer: Any


class Sketching(Protocol):
    """Stands in for the runs of a flow that is drawn, and not run; see `flowstone.calls.sketch`."""

    def call(self, unit: Any, args: tuple[object, ...], kwargs: dict[str, object]) -> Any: ...
    def submit(self, unit: Any, args: tuple[object, ...], kwargs: dict[str, object]) -> Any: ...
    def map(self, unit: Any, args: tuple[object, ...], kwargs: dict[str, object]) -> Any: ...


class Scope:
    """The run that the code is in.

    Attributes:
        run: as it was at its first state; its facts do not change, its state does.
        owner: the scope of the nearest flow run, or of the root; its own for those.
        standing: the run as it is now, from before its first state on.
        asked: the call that made it.
        above: of an owner, the run that called it.
        arguments: of a flow run, what it was called with, by name.
        lineage: of a flow run that another called, which of its calls that is, in any attempt.
        keeps: of an owner, how its tasks' results are kept where they do not say.
        promises: of an owner, what was submitted in it and either has not ended or ended badly.
        runner: of an owner, where its submitted tasks run; made at the first submit.
        makers: of an owner, which runs made the values that its code has; None before the first.
        sketch: what stands in for the calls of a flow that is only drawn; None for a run.
    """

    sketch: Sketching | None = None  # the class's own, so that no run pays for it

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
        # `run` is set with the run's first state: no code of the run comes before that.
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
        """Return the runner of this owner's tasks, opened at the first need."""
        with _lock:
            if self.runner is None:
                assert self.make_runner is not None
                self.runner = self.make_runner()
            return self.runner

    @property
    def token(self) -> str | None:
        """The token of the lease that the facts of this run are kept under, where it is known."""
        standing: CurrentRun | None = getattr(self, "current", None)
        return None if standing is None else standing.token

    @property
    def time(self) -> Callable[[], float] | None:
        """The clock of this run's tree; None if another process drives it."""
        standing: CurrentRun | None = getattr(self, "current", None)
        return None if standing is None else standing.time

    def next_ordinal(self, name: str) -> int:
        """Return how often a child of that name was called before."""
        number = self.counters.get(name, 0)
        self.counters[name] = number + 1
        return number


def sketch() -> Sketching | None:
    """Return what stands in for calls here; None where they are runs, as they mostly are."""
    here = scope.get()
    return None if here is None else here.sketch


transaction: ContextVar[RunTransaction | None] = ContextVar("flowstone.transaction", default=None)
scope: ContextVar[Scope | None] = ContextVar("flowstone.scope", default=None)
tags: ContextVar[frozenset[str]] = ContextVar("flowstone.tags", default=frozenset())


def current_run() -> Run | None:
    """Return the run that the code is in; None before its first state, when no store has it."""
    found = scope.get()
    return None if found is None else getattr(found, "run", None)
