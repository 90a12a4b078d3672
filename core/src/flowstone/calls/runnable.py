"""The common base of flows and tasks: a function with a spec, whose calls become runs."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping
from copy import deepcopy
from functools import cached_property, partial, update_wrapper
from typing import TYPE_CHECKING, Any, ParamSpec, Self, SupportsIndex, TypeVar, cast

from flowstone.calls.body import choose_function, is_generator, redirect_output
from flowstone.calls.futures import Future
from flowstone.calls.hooks import HookMethods
from flowstone.calls.options import OptionAttributes
from flowstone.calls.origin import UnitCall, make_origin
from flowstone.calls.outcome import (
    areraise_stop_signal,
    aunwrap,
    reraise_stop_signal,
    show_tree,
    unwrap,
)
from flowstone.calls.parameters import Parameters
from flowstone.calls.secret_arguments import register_secret_arguments
from flowstone.calls.signatures import Calling
from flowstone.context import current
from flowstone.context.lineage import PLAIN, record_producer
from flowstone.engine.arguments import find_upstream
from flowstone.engine.async_driver import AsyncRunDriver
from flowstone.engine.blocking_calls import call_blocking
from flowstone.engine.driver import RunDriver
from flowstone.engine.functions import is_async_generator_function, is_coroutine_function
from flowstone.engine.lifecycle import CallPlan, Lifecycle, lifecycle
from flowstone.engine.recorder import RunRecorder, Takeover
from flowstone.engine.signals import sigterm_as_signal, sigterm_on_loop
from flowstone.engine.steps import YieldProgress
from flowstone.errors import ParameterError
from flowstone.records.redaction import register_secrets
from flowstone.records.states import COMPLETED, PENDING, StoredValue
from flowstone.task_runners.base import ThreadPoolTaskRunner

if TYPE_CHECKING:
    from logging import Logger, LoggerAdapter
    from types import CoroutineType

    from flowstone.context.current import Scope, Services
    from flowstone.engine.generators import GeneratorParts
    from flowstone.ports import Clock, RemoteCaller, ResultCache, Runner, RunTransaction
    from flowstone.ports.slots import SlotRequest
    from flowstone.records.runs import Origin, Run
    from flowstone.records.specs import Spec

P = ParamSpec("P")
R = TypeVar("R")


class Runnable(HookMethods, OptionAttributes, Calling[P, R]):
    """A function and its options. Each call is a run; `fn` is the undecorated function."""

    def __init__(
        self,
        fn: Callable[P, R],
        spec: Spec,
        binding: type | None = None,
        around: Mapping[str, Any] | None = None,
    ) -> None:
        """Take a function, how it was bound, and the local names where it was defined."""
        attributes = () if isinstance(fn, Runnable) else ("__dict__",)
        update_wrapper(cast("Callable[..., Any]", self), fn, updated=attributes)
        vars(self).setdefault("__name__", spec.name)  # a partial has none
        self.fn: Callable[P, R] = fn
        self._around = around
        self.spec = spec
        self.name = spec.name
        self.yields = is_generator(fn)
        self.isasync = is_coroutine_function(fn) or is_async_generator_function(fn)
        self._rereads = not spec.cache_result_in_memory
        self._is_direct = not (self.isasync or self.yields)
        self._is_silent = spec.persist_result is None and spec.asks_to_keep is None
        self._binding = binding  # classmethod or staticmethod, if it was declared as one

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def _bind(self, instance: object, owner: type | None = None) -> object:
        """Bind to an instance or class, as a function would be."""
        if self._binding is staticmethod:
            return self
        target = owner if self._binding is classmethod else instance
        if target is None:
            return self
        return self._copy_with(self.fn.__get__(target, owner), self.spec)

    def __getstate__(self) -> dict[str, object]:
        """Return the state for other processes, without local names, which may be unpicklable."""
        return _drop_local_names(self.__dict__)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[object, ...]:
        # Few programs pickle flows or tasks.
        from flowstone.calls.references import find_reference

        return find_reference(self) or super().__reduce_ex__(protocol)

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        copied = self.__copy__()
        copied.fn = deepcopy(self.fn, memo)  # copies a method's instance, but no function
        vars(copied)["__wrapped__"] = copied.fn
        return copied

    # With these three, `inspect` treats it as a function, and knows whether it is async.

    @property
    def __code__(self) -> object:
        return self._ask_function("__code__")

    @property
    def __defaults__(self) -> object:
        return self._ask_function("__defaults__")

    @property
    def __kwdefaults__(self) -> object:
        return self._ask_function("__kwdefaults__")

    def _ask_function(self, name: str) -> object:
        fn: object = self.fn
        while isinstance(fn, partial):
            fn = fn.func
        return getattr(fn, name, None)

    def _copy_with(self, fn: Callable[P, R], spec: Spec) -> Self:
        """Return a flow or task of the same class with another function or spec."""
        raise NotImplementedError

    @property
    def description(self) -> str | None:
        return self.spec.description

    @property
    def tags(self) -> frozenset[str]:
        return self.spec.tags

    def _name_coroutine(self, coroutine: Coroutine[object, object, object]) -> object:
        """Name the flow or task in Python's warning about a coroutine that is never awaited."""
        cast("CoroutineType[object, object, object]", coroutine).__qualname__ = self._title
        return coroutine

    @cached_property
    def _title(self) -> str:
        """Its kind and the name of its function."""
        name: str = vars(self).get("__qualname__") or vars(self)["__name__"]
        return f"{self.spec.kind} {name.rpartition('<locals>.')[2]}"

    @cached_property
    def parameters(self) -> Parameters:
        return Parameters(self.fn, self.name, self._around)

    # ------------------------------------------------------------ a call becomes a run

    def _start(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        wait_for: Iterable[Any] | None,
        parent: Scope | None,
        *,
        caller: RemoteCaller | None = None,
        progress: YieldProgress | None = None,
        takeover: Takeover | None = None,
        return_state: bool = False,
    ) -> tuple[RunDriver, Lifecycle]:
        """Create the run, its driver and its lifecycle, without starting it.

        With `takeover`, it is an existing run, which is taken over next. If the state is requested,
        a run is created even if the arguments don't match, and fails because of that.
        """
        services, spec = current.services(), self.spec
        flow, yields = spec.kind == "flow", progress is not None
        upstream = find_upstream(args, kwargs, wait_for)
        known: dict[str, Any] | None = None
        fits = True
        register_secret_arguments(self, args, kwargs)
        if flow and upstream is None:
            args, kwargs, known, fits = self._check_early(
                args, kwargs, is_tolerant=return_state and takeover is None
            )
            upstream = None if fits else []  # they are checked again in the run
        if takeover is not None:
            origin = takeover.origin
        else:
            call = UnitCall(self, args, kwargs)
            origin = make_origin(call, parent, known=known, upstream=upstream, fits=fits)
        scope = self._make_scope(services, parent, known)
        fn = choose_function(self, services.settings, caller, iterated=yields)
        # By position, and field by field: Python takes three times as long for keywords.
        plan = CallPlan(self, spec, services.settings, origin.id, origin.name, fn, args, kwargs)
        plan.upstream = upstream
        plan.owns_children = flow or parent is None
        plan.cache = self._open_cache(services, origin.id, parent, scope, iterated=yields)
        if not flow:
            plan.transaction = current.transaction.get() or self._make_transaction()
            plan.slot_request = _request_slots(services, origin) if origin.tags else None
        plan.check = self._recheck_arguments if upstream is not None else None
        plan.progress = progress
        plan.is_root = parent is None
        plan.timeout = spec.timeout_seconds if caller is None else None  # the caller enforces it
        recorder = RunRecorder(services, origin, None if parent is None else parent.standing)
        return _make_driver(recorder, plan, scope, services.clock), lifecycle(plan)

    def _make_transaction(self) -> RunTransaction | None:
        """Return a transaction for this run alone; None if none is needed."""
        return None

    def _open_cache(
        self, services: Services, run_id: str, parent: Scope | None, scope: Scope, *, iterated: bool
    ) -> ResultCache | None:
        """Return the result cache of a run; None if results are neither cached nor persisted."""
        if iterated and self.spec.kind == "task":
            return None
        if self._is_silent:  # most are, and this is called for every task run
            around = parent.owner.result_options if parent is not None else None
            if not services.settings.persist_results and (around is None or not around.persist):
                return None
        keeps = merge_result_options(self.spec, parent)
        persist = services.settings.persist_results if keeps.persist is None else keeps.persist
        if not persist:
            return None
        # Blocks and hashing take 60 ms to import, which programs without results don't need.
        from flowstone.results.caching import open_cache

        return open_cache(self, services, keeps, run_id, parent, scope.lineage)

    def _make_scope(
        self, services: Services, parent: Scope | None, known: dict[str, Any] | None
    ) -> Scope:
        if parent is not None and self.spec.kind == "task":
            return current.Scope(parent.owner)
        scope = current.Scope(None, partial(self._open_runner, services))
        scope.arguments = known or {}
        scope.result_options = merge_result_options(self.spec, parent)
        scope.caller = parent
        if parent is not None:
            scope.lineage = _find_lineage(parent.owner, self.name)
        return scope

    def _open_runner(self, services: Services) -> Runner:
        """Open the runner for the tasks that are submitted in a run."""
        return _open_default_runner(services)

    def _check_arguments(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        bound = self.parameters.bind(args, kwargs)
        if self.spec.validate_parameters:
            self.parameters.validate(bound)
            register_secrets(bound.arguments)
        return bound.args, bound.kwargs, dict(bound.arguments)

    def _check_early(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_tolerant: bool
    ) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any] | None, bool]:
        """Check the arguments before a run is created; also return whether they match."""
        try:
            return *self._check_arguments(args, kwargs), True
        except ParameterError:
            if not is_tolerant:
                raise
            return args, kwargs, None, False

    def _recheck_arguments(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        register_secret_arguments(self, args, kwargs)
        if self.spec.kind == "flow":
            args, kwargs, _ = self._check_arguments(args, kwargs)
        return args, kwargs

    def _call(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], takeover: Takeover | None = None
    ) -> Any:
        """Run it here, and return the value or state; for an async function, a coroutine."""
        return_state, wait_for = False, None
        if kwargs:
            return_state = kwargs.pop("return_state", False)
            wait_for = kwargs.pop("wait_for", None)
        if not self._is_direct:
            if self.yields and not return_state:
                # Few programs have generator functions.
                from flowstone.calls.generators import make_iterator

                return make_iterator(
                    self.spec, partial(self._begin, args, kwargs, wait_for), isasync=self.isasync
                )
            if self.isasync:
                return self._name_coroutine(
                    self._acall(
                        args, kwargs, wait_for, return_state=return_state, takeover=takeover
                    )
                )
        parent = current.scope.get()
        driver, story = self._start(
            args, kwargs, wait_for, parent, takeover=takeover, return_state=return_state
        )
        if takeover is not None:
            driver.take_up(takeover)
        token = current.scope.set(driver.scope)
        try:
            if parent is None:
                with show_tree(self.spec), sigterm_as_signal() as stop:
                    driver.register_stop(stop)
                    state = driver.drive(story)
                    reraise_stop_signal(state)
            else:
                state = driver.drive(story)
        finally:
            current.scope.reset(token)
        if parent is not None and state.type is COMPLETED and type(state.data) not in PLAIN:
            record_producer(parent.owner, state.data, driver.recorder.origin.id)
        if return_state or state.type is not COMPLETED or self._rereads:
            value = unwrap(state, return_state)
            if parent is not None and self._rereads and not return_state:
                record_producer(parent.owner, value, driver.recorder.origin.id)
            return value
        return state.data

    def _take_over(
        self, takeover: Takeover, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        """Execute an existing run, and return its state, or a coroutine of it."""
        token = current.scope.set(None)  # the run does not belong to the calling code
        try:
            return self._call(args, {**kwargs, "return_state": True}, takeover)
        finally:
            current.scope.reset(token)

    async def _acall(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        wait_for: Iterable[Any] | None,
        *,
        return_state: bool,
        takeover: Takeover | None,
    ) -> Any:
        parent = None if takeover is not None else current.scope.get()
        if not current.has_services():
            await call_blocking(current.services)  # opens the store
        driver, story = self._start(
            args,
            kwargs,
            wait_for,
            parent,
            takeover=takeover,
            return_state=return_state,
        )
        assert isinstance(driver, AsyncRunDriver)
        token = current.scope.set(driver.scope)
        try:
            if parent is None:
                if takeover is not None:
                    await driver.atake_up(takeover)
                with show_tree(self.spec), sigterm_on_loop() as stop:
                    driver.register_stop(stop)
                    state = await driver.adrive(story)
                    await areraise_stop_signal(state)
            else:
                state = await driver.adrive(story)
        finally:
            current.scope.reset(token)
        if parent is not None and state.type is COMPLETED:
            record_producer(parent.owner, state.data, driver.recorder.origin.id)
        if isinstance(state.data, (BaseException, StoredValue)):
            return await aunwrap(state, return_state)
        return unwrap(state, return_state)

    def _begin(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any] | None
    ) -> GeneratorParts:
        """Create a run that is iterated over, and the contexts around it."""
        progress, parent = YieldProgress(), current.scope.get()
        driver, story = self._start(args, kwargs, wait_for, parent, progress=progress)
        owner = None if parent is None else parent.owner
        return (
            driver,
            story,
            progress,
            owner,
            redirect_output(self.spec, current.services().settings),
        )

    def _submit(
        self, args: tuple[object, ...], kwargs: dict[str, object], wait_for: Iterable[object] | None
    ) -> Future[object]:
        """Submit it to the runner of the current flow run, or of the process outside of one."""
        parent = current.scope.get()
        owner = _alone if parent is None else parent.owner
        runner = owner.open_runner()
        driver, story = self._start(args, kwargs, wait_for, parent, caller=runner.caller)
        driver.record(PENDING, "Pending")
        future: Future[Any] = Future(driver, story, owner)
        future.start(runner, on_loop=self.isasync)
        return future


def _make_driver(recorder: RunRecorder, plan: CallPlan, scope: Scope, clock: Clock) -> RunDriver:
    """Return the driver of a run."""
    scope.current, scope.request = recorder, plan
    kind = AsyncRunDriver if plan.unit.isasync else RunDriver
    return kind(recorder, scope, clock, _open_logger, plan.cache)


def _open_logger(run: Run) -> LoggerAdapter[Logger]:
    # 10 ms to import, with `logging`, during the first run of a flow.
    from flowstone.logging.run_logger import RunLogger

    return RunLogger(run)


def _request_slots(services: Services, origin: Origin) -> SlotRequest:
    return services.slot_queue.make_tag_request(origin.tags, origin.name, origin.id)


def find_owner() -> Scope:
    """Return the owner of the runs that are submitted here."""
    parent = current.scope.get()
    return _alone if parent is None else parent.owner


def _find_lineage(owner: Scope, name: str) -> str:
    """Return a key for this call of a child flow; it is the same in each attempt of the parent."""
    standing = owner.standing
    if standing is None:  # another process doesn't know the earlier calls
        return ""
    number = owner.next_ordinal(f"flow {name} of attempt {standing.attempt}")
    return f"{owner.lineage or owner.run.id}/{name}-{number}"


def _drop_local_names(state: dict[str, object]) -> dict[str, object]:
    return {**{key: state[key] for key in state if key != "parameters"}, "_around": None}


def merge_result_options(spec: Spec, parent: Scope | None) -> current.ResultOptions:
    """Return a unit's result options; those that are not set come from the enclosing flow."""
    around = parent.owner.result_options if parent is not None else None
    own = spec.asks_to_keep if spec.persist_result is None else spec.persist_result
    if around is None:
        return current.ResultOptions(own, spec.result_storage, spec.result_serializer)
    return current.ResultOptions(
        around.persist if own is None else own,
        around.storage if spec.result_storage is None else spec.result_storage,
        around.serializer if spec.result_serializer is None else spec.result_serializer,
    )


def _open_default_pool() -> Runner:
    return _open_default_runner(current.services())


def _open_default_runner(services: Services) -> Runner:
    return ThreadPoolTaskRunner().open(services.settings)


def _finish_alone() -> None:
    for promise in list(_alone.pending_runs.values()):
        promise.wait()


#: The owner of tasks submitted outside of any run; the process waits for them before it exits.
_alone = current.Scope(None, _open_default_pool)
atexit.register(_finish_alone)
if hasattr(os, "register_at_fork"):
    # A forked child has none of the threads that would end them.
    os.register_at_fork(after_in_child=_alone.pending_runs.clear)
