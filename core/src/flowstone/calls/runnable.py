"""What `@flow` and `@task` share: a function with a spec, whose call becomes a run."""

from __future__ import annotations

import atexit
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial, update_wrapper
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast

from flowstone.calls.body import around, callee, yields
from flowstone.calls.futures import Future
from flowstone.calls.hooks import Hooked
from flowstone.calls.options import OptionAttributes
from flowstone.calls.origin import make_origin
from flowstone.calls.outcome import given, raise_stop
from flowstone.calls.parameters import Parameters
from flowstone.calls.signatures import Calling
from flowstone.context import current
from flowstone.context.lineage import PLAIN, made
from flowstone.engine.arguments import find_upstream
from flowstone.engine.driver import RunDriver
from flowstone.engine.lifecycle import CallPlan, Lifecycle, lifecycle
from flowstone.engine.recorder import RunRecorder, Takeover
from flowstone.engine.signals import sigterm_as_signal, sigterm_on_loop
from flowstone.engine.steps import YieldProgress
from flowstone.logging.run_logger import RunLogger
from flowstone.records.states import COMPLETED, PENDING
from flowstone.task_runners.base import ThreadPoolTaskRunner

if TYPE_CHECKING:
    from flowstone.context.current import Scope, Services
    from flowstone.engine.generators import GeneratorParts
    from flowstone.ports import Caller, Keeping, Runner, Staging
    from flowstone.records.specs import Spec

P = ParamSpec("P")
R = TypeVar("R")


class Unit(Hooked, OptionAttributes, Calling[P, R]):
    """A function and its options. Calling it makes a run; `fn` is the bare function."""

    def __init__(
        self,
        fn: Callable[P, R],
        spec: Spec,
        binding: type | None = None,
        around: Mapping[str, Any] | None = None,
    ) -> None:
        """Take a function, how it was bound, and the local names where it was written."""
        self.fn = fn
        self._around = around
        self.spec = spec
        self.name = spec.name
        self.yields = yields(fn)
        self.isasync = inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)
        self._rereads = not spec.cache_result_in_memory
        self._is_direct = not (self.isasync or self.yields)
        self._is_silent = spec.persist_result is None and spec.asks_to_keep is None
        self._binding = binding  # classmethod or staticmethod, where it was written so
        update_wrapper(cast("Callable[..., Any]", self), fn)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def _bound(self, instance: object, owner: type | None = None) -> Any:
        """Bind to an instance or class, as a function would be."""
        if self._binding is staticmethod:
            return self
        target = owner if self._binding is classmethod else instance
        if target is None:
            return self
        return self._like(self.fn.__get__(target, owner), self.spec)

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs of it; the names around it may be anything."""
        return _portable(self.__dict__)

    def _like(self, fn: Callable[P, R], spec: Spec) -> Self:
        """Return the same kind of unit around another function or spec."""
        raise NotImplementedError

    @property
    def description(self) -> str | None:
        return self.spec.description

    @property
    def tags(self) -> frozenset[str]:
        return self.spec.tags

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
        caller: Caller | None = None,
        progress: YieldProgress | None = None,
        takeover: Takeover | None = None,
    ) -> tuple[RunDriver, Lifecycle]:
        """Make the run, and all that drives it; nothing has happened yet.

        With `takeover`, it is a run that there is; it is taken up at the end of this.
        """
        services, spec = current.services(), self.spec
        upstream = find_upstream(args, kwargs, wait_for)
        known: dict[str, Any] | None = None
        flow = spec.kind == "flow"
        if flow and upstream is None:
            args, kwargs, known = self._checked(args, kwargs)
        if takeover is not None:
            origin = takeover.origin
        else:
            origin = make_origin(
                self, args, kwargs, services=services, parent=parent, known=known, upstream=upstream
            )
        run_id, name, tags = origin.id, origin.name, origin.tags
        scope = self._scope(services, parent, known)
        plan = CallPlan(
            unit=self,
            spec=spec,
            settings=services.settings,
            run_id=run_id,
            run_name=name,
            fn=callee(self, services.settings, caller, scope, iterated=progress is not None),
            args=args,
            kwargs=kwargs,
            upstream=upstream,
            owns_children=flow or parent is None,
            cache=self._keeping(services, run_id, parent) if progress is None or flow else None,
            transaction=None if flow else current.transaction.get() or self._alone(),
            check=self._rechecked if flow and upstream is not None else None,
            slot_request=services.gate.admission(tags, name, run_id) if tags and not flow else None,
            progress=progress,
            is_root=parent is None,
            timeout=spec.timeout_seconds if caller is None else None,  # the caller keeps to it
        )
        recorder = RunRecorder(services, origin, None if parent is None else parent.token)
        scope.standing, scope.asked = recorder, plan
        driver = RunDriver(recorder, scope, services.clock, RunLogger, cache=plan.cache)
        if takeover is not None:
            recorder.take_up(takeover)
        return driver, lifecycle(plan)

    def _alone(self) -> Staging | None:
        """Return a transaction for one run alone; None where nothing asks for one."""
        return None

    def _keeping(self, services: Services, run_id: str, parent: Scope | None) -> Keeping | None:
        """Return how the result of a run of this is looked for and kept; None for not at all."""
        if self._is_silent:  # most are, and this is asked for every task run
            around = parent.owner.keeps if parent is not None else None
            if not services.settings.persist_results and (around is None or not around.persist):
                return None
        keeps = keeps_of(self.spec, parent)
        persist = services.settings.persist_results if keeps.persist is None else keeps.persist
        if not persist:
            return None
        # Imported where results are kept: blocks and hashing take 60 ms that most programs save.
        from flowstone.results.caching import keeping  # noqa: PLC0415

        return keeping(self, services, keeps, run_id, parent)

    def _scope(
        self, services: Services, parent: Scope | None, known: dict[str, Any] | None
    ) -> Scope:
        if parent is not None and self.spec.kind == "task":
            return current.Scope(parent.owner)
        scope = current.Scope(None, partial(self._open_runner, services))
        scope.arguments = known or {}
        scope.keeps = keeps_of(self.spec, parent)
        scope.above = parent
        if parent is not None:
            scope.lineage = _lineage(parent.owner, self.name)
        return scope

    def _open_runner(self, services: Services) -> Runner:
        """Open what runs the tasks that are submitted in a run of this."""
        return _default_runner(services)

    def _checked(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        bound = self.parameters.bind(args, kwargs)
        if self.spec.validate_parameters:
            self.parameters.validate(bound)
        return bound.args, bound.kwargs, dict(bound.arguments)

    def _rechecked(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, kwargs, _ = self._checked(args, kwargs)
        return args, kwargs

    def _call(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], takeover: Takeover | None = None
    ) -> Any:
        """Run it here: the value, or the state; a coroutine of it for an async function."""
        return_state, wait_for = False, None
        if kwargs:
            return_state = kwargs.pop("return_state", False)
            wait_for = kwargs.pop("wait_for", None)
        if not self._is_direct:
            if self.yields and not return_state:
                # Few programs have functions that yield.
                from flowstone.calls.generators import iterator  # noqa: PLC0415

                return iterator(
                    self.spec, partial(self._begin, args, kwargs, wait_for), isasync=self.isasync
                )
            if self.isasync:
                return self._acall(
                    args, kwargs, wait_for, return_state=return_state, takeover=takeover
                )
        parent = current.scope.get()
        driver, story = self._start(args, kwargs, wait_for, parent, takeover=takeover)
        token = current.scope.set(driver.scope)
        try:
            if parent is None:
                with sigterm_as_signal() as stop:
                    driver.register_stop(stop)
                    state = driver.drive(story)
                    raise_stop(state)
            else:
                state = driver.drive(story)
        finally:
            current.scope.reset(token)
        if return_state or state.type is not COMPLETED or self._rereads:
            return given(state, return_state)
        if parent is not None and type(state.data) not in PLAIN:
            made(parent.owner, state.data, driver.recorder.origin.id)
        return state.data

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
        driver, story = self._start(args, kwargs, wait_for, parent, takeover=takeover)
        token = current.scope.set(driver.scope)
        try:
            if parent is None:
                with sigterm_on_loop() as stop:
                    driver.register_stop(stop)
                    state = await driver.adrive(story)
                    raise_stop(state)
            else:
                state = await driver.adrive(story)
        finally:
            current.scope.reset(token)
        if parent is not None and state.type is COMPLETED:
            made(parent.owner, state.data, driver.recorder.origin.id)
        return given(state, return_state)

    def _begin(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any] | None
    ) -> GeneratorParts:
        """Make a run that is iterated over, and what is entered around it."""
        progress, parent = YieldProgress(), current.scope.get()
        driver, story = self._start(args, kwargs, wait_for, parent, progress=progress)
        owner = None if parent is None else parent.owner
        return driver, story, progress, owner, around(self.spec, current.services().settings)

    def _submit(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any] | None
    ) -> Future[Any]:
        """Run it elsewhere, as a part of the current flow run, or by itself outside one."""
        runner = owner_here().open_runner()
        parent = current.scope.get()
        driver, story = self._start(args, kwargs, wait_for, parent, caller=runner.caller)
        driver.record(PENDING, "Pending")
        future: Future[Any] = Future(driver, story, owner_here())
        future.start(runner, on_loop=self.isasync)
        return future


def owner_here() -> Scope:
    """Return what owns the runs that are submitted here."""
    parent = current.scope.get()
    return _alone if parent is None else parent.owner


def _lineage(owner: Scope, name: str) -> str:
    """Return which call of an inner flow this is; the same in each attempt of the outer one."""
    standing = getattr(owner, "standing", None)
    if standing is None:  # in another process nobody knows what was called before
        return ""
    number = owner.ordinal(f"flow {name} of attempt {standing.attempt}")
    return f"{owner.lineage or owner.run.id}/{name}-{number}"


def _portable(state: dict[str, Any]) -> dict[str, Any]:
    return {**{key: state[key] for key in state if key != "parameters"}, "_around": None}


def keeps_of(spec: Spec, parent: Scope | None) -> current.Keeps:
    """Return what a unit says of keeping its results, and for the rest the flow around it."""
    around = parent.owner.keeps if parent is not None else None
    own = spec.asks_to_keep if spec.persist_result is None else spec.persist_result
    if around is None:
        return current.Keeps(own, spec.result_storage, spec.result_serializer)
    return current.Keeps(
        around.persist if own is None else own,
        around.storage if spec.result_storage is None else spec.result_storage,
        around.serializer if spec.result_serializer is None else spec.result_serializer,
    )


def _default_pool() -> Runner:
    return _default_runner(current.services())


def _default_runner(services: Services) -> Runner:
    return ThreadPoolTaskRunner().open(services.settings)


def _finish_alone() -> None:
    for promise in list(_alone.promises.values()):
        promise.wait()


#: Owns what is submitted outside any run; the process waits for it at its end.
_alone = current.Scope(None, _default_pool)
atexit.register(_finish_alone)
if hasattr(os, "register_at_fork"):
    # A child has none of the threads that would end them.
    os.register_at_fork(after_in_child=_alone.promises.clear)
