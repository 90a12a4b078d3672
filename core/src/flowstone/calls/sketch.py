"""Draws the graph of a flow without running it: `flow.visualize()`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import copy_context
from copy import copy
from inspect import isawaitable
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from flowstone.calls.body import collect_values
from flowstone.calls.futures import FutureList
from flowstone.calls.mapping import WHOLE, zip_arguments
from flowstone.calls.origin import UnitCall
from flowstone.calls.placeholders import Placeholder, SketchedFuture, ValueSource, find_sources
from flowstone.context import current
from flowstone.context.runtime import SentRun
from flowstone.engine.annotations import Mark
from flowstone.engine.arguments import ITEMS, FutureBase, find_futures, resolve
from flowstone.errors import ValueNotComputed
from flowstone.graphs import Graph, build_graph
from flowstone.logging.run_logger import disable_run_logger
from flowstone.records.ids import new_id
from flowstone.records.record import evolve
from flowstone.records.runs import Run
from flowstone.records.states import COMPLETED, PENDING, RUNNING, State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

#: Maximum number of elements that are drawn of an iterator, which may be infinite.
_MOST = 1_000
#: Types whose values are often the same object although they have different sources.
_SHARED = (type(None), bool, int)


def sketch_call(flow: object, args: tuple[object, ...], kwargs: dict[str, object]) -> Graph:
    """Return the graph of the runs that a call would create, without changing the context.

    Raises:
        ValueNotComputed: the flow's code needs the value of a task.
        ParameterBindError, ParameterTypeError: the arguments don't match.
        Exception: the error of the flow's own code.
    """
    sketch = Sketch()
    copy_context().run(sketch.draw, flow, args, kwargs)
    return build_graph(sketch.runs[0], sketch.runs, now=0.0, ran=False)


class Sketch:
    """Replaces the runs of one flow; implements the protocol `Sketching`.

    Attributes:
        runs: the runs that would have been created, in the order of the calls.
    """

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self._values: dict[int, tuple[object, str]] = {}
        self._stood_in: dict[str, None] = {}

    def draw(self, flow: Any, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Call the flow's own code."""
        current.scope.set(None)
        current.transaction.set(None)
        try:
            with disable_run_logger():
                called = self._call_flow(flow, args, kwargs, None)
                if flow.isasync:
                    _finish(called)
        except Exception as error:
            if self._stood_in and not isinstance(error, ValueNotComputed):
                names = ", ".join(self._stood_in)
                error.add_note(
                    f"flow.visualize() used placeholders for the values of these tasks: {names}."
                    " If one caused this error, set viz_return_value on its task."
                )
            raise

    # ------------------------------------------------------------ replacements of calls

    def call(self, unit: Any, args: tuple[object, ...], kwargs: dict[str, Any]) -> object:
        """Return the result of a call: a placeholder, or the value of a child flow's code."""
        return_state, wait_for = kwargs.pop("return_state", False), kwargs.pop("wait_for", None)
        if unit.spec.kind == "flow":
            value = self._call_flow(unit, args, kwargs, wait_for)
        else:
            value = self._call_task(unit, args, kwargs, wait_for).value
        if unit.yields and not return_state:
            return _aiterate(value) if unit.isasync else iter(_list_items(value))
        if unit.isasync:
            is_flow = unit.spec.kind == "flow"
            return _answer(value, is_flow=is_flow, return_state=return_state)
        return State(COMPLETED, data=value) if return_state else value

    def submit(self, unit: Any, args: tuple[object, ...], kwargs: dict[str, Any]) -> object:
        """Return a future that has ended, or its state."""
        return_state, wait_for = kwargs.pop("return_state", False), kwargs.pop("wait_for", None)
        future = self._call_task(unit, args, kwargs, wait_for)
        return future.state if return_state else future

    def map(self, unit: Any, args: tuple[object, ...], kwargs: dict[str, Any]) -> object:
        """Return a future for each element; for a placeholder, one that represents all."""
        return_state, wait_for = kwargs.pop("return_state", False), kwargs.pop("wait_for", None)
        for option in {"max_in_flight", "batch_size"} - set(unit.parameters.signature.parameters):
            kwargs.pop(option, None)
        whole = [value for value in (*args, *kwargs.values()) if self._is_result(value)]
        wait_for = [*(wait_for or ()), *whole]
        columns = _fill_columns({**dict(enumerate(args)), **kwargs})
        args = tuple(columns.pop(place) for place in range(len(args)))
        futures: FutureList[Any] = FutureList()
        for one, named in zip_arguments(unit.name, args, columns):
            futures.append(cast("Any", self._call_task(unit, one, named, wait_for)))
        return [future.state for future in futures] if return_state else futures

    def _call_task(
        self, unit: Any, args: tuple[object, ...], kwargs: dict[str, object], wait_for: object
    ) -> SketchedFuture:
        unit.parameters.bind(args, kwargs)
        run = self._add(unit, (args, kwargs, wait_for))
        value = unit.spec.viz_return_value
        if value is None:
            self._stood_in[unit.name] = None
            return SketchedFuture(run.id, run.name, Placeholder(ValueSource(run.id, unit.name)))
        if type(value) in {list, dict, set}:
            value = copy(value)  # to distinguish it from that of the task's next call
        if not isinstance(value, _SHARED):
            self._values[id(value)] = (value, run.id)
        return SketchedFuture(run.id, run.name, value)

    def _call_flow(
        self, unit: Any, args: tuple[object, ...], kwargs: dict[str, object], wait_for: object
    ) -> Any:
        """Call the flow's own code; of an async flow, return the coroutine that does."""
        sources = (args, kwargs, wait_for)
        args, kwargs = resolve(args, _strip_sources), resolve(kwargs, _strip_sources)
        bound = unit.parameters.bind(args, kwargs)
        # Placeholders match no type hint.
        if unit.spec.validate_parameters and not any(find_futures([*args, *kwargs.values()])):
            unit.parameters.validate(bound)
        run = self._add(unit, sources)
        scope = _DrawnScope(self, run, UnitCall(unit, args, kwargs), dict(bound.arguments))
        fn = collect_values(unit.fn, _MOST)
        if unit.isasync:
            return _await_inside(scope, fn(*bound.args, **bound.kwargs))
        with _enter(scope):
            return fn(*bound.args, **bound.kwargs)

    def _add(self, unit: Any, given: object) -> Run:
        parent = current.scope.get()
        run_id = new_id()
        ordinal = "" if parent is None else f"-{parent.next_ordinal(unit.name)}"
        name = unit.name if unit.spec.kind == "flow" else f"{unit.name}{ordinal}"
        above = None if parent is None else parent.current.origin.id
        root_id = self.runs[0].id if self.runs else run_id
        inputs = tuple(dict.fromkeys(self._find_sources(given)))
        run = Run(
            id=run_id,
            kind=unit.spec.kind,
            name=name,
            unit=unit.name,
            root_id=root_id,
            parent_id=above,
            inputs=inputs,
            state=State(PENDING),
        )
        self.runs.append(run)
        return run

    def _is_result(self, value: object) -> bool:
        return isinstance(value, SketchedFuture) or id(value) in self._values

    def _find_sources(self, value: object) -> Iterator[str]:
        """Yield the ids of the runs whose results a value contains, or would contain."""
        if isinstance(value, Placeholder):
            yield from (source.run_id for source in find_sources(value) if source.run_id)
        elif isinstance(value, SketchedFuture):
            yield value.run_id
        elif id(value) in self._values:
            yield self._values[id(value)][1]
        elif isinstance(value, Mark):
            yield from self._find_sources(value.value)
        elif isinstance(value, dict):
            for item in value.values():
                yield from self._find_sources(item)
        elif isinstance(value, ITEMS):
            for item in value:
                yield from self._find_sources(item)


class _DrawnScope(current.Scope):
    """The scope of a flow's code while it is drawn."""

    __slots__ = ("sketch",)

    def __init__(
        self, sketch: Sketch, run: Run, asked: UnitCall, arguments: dict[str, object]
    ) -> None:
        super().__init__(None)
        self.sketch = sketch
        self.caller, self.request, self.arguments = current.scope.get(), asked, arguments
        origin = evolve(run.origin(), unit_version=asked.unit.spec.version)
        self.current = SentRun(origin, 1, State(RUNNING))


@contextmanager
def _enter(scope: _DrawnScope) -> Iterator[None]:
    token = current.scope.set(scope)
    try:
        yield
    finally:
        current.scope.reset(token)


async def _await_inside(scope: _DrawnScope, coroutine: Coroutine[object, object, object]) -> object:
    with _enter(scope):
        return await coroutine


async def _answer(value: Any, *, is_flow: bool, return_state: bool) -> object:
    if is_flow:
        value = await value
    return State(COMPLETED, data=value) if return_state else value


async def _aiterate(value: Any) -> AsyncIterator[object]:
    for item in _list_items(await value if isawaitable(value) else value):
        yield item


def _list_items(value: object) -> Iterable[object]:
    """Return the values that a generator function yields; a single one for a placeholder."""
    is_many = isinstance(value, Iterable) and not isinstance(value, (Placeholder, WHOLE))
    return cast("Iterable[object]", value) if is_many else [value]


def _finish(coroutine: Coroutine[object, object, object]) -> None:
    """Run a coroutine to its end; if a loop is running, in a separate thread."""
    # 40 ms to import, which only async flows need.
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(copy_context().run, asyncio.run, coroutine).result()


def _strip_sources(promise: Any, _may_have_failed: bool) -> object:
    """Return the value for a child flow, which does not know its source."""
    value = promise.value if isinstance(promise, SketchedFuture) else promise
    if not isinstance(value, Placeholder):
        return value
    return Placeholder(*(ValueSource("", name) for _, name in find_sources(value)))


def _fill_columns(named: dict[Any, object]) -> dict[Any, object]:
    """Return the arguments of a `.map`, with lists for those of unknown length."""
    named = {name: _draw_argument(value) for name, value in named.items()}
    unknown = {name for name, value in named.items() if isinstance(value, Placeholder)}
    lengths = [len(value) for value in named.values() if isinstance(value, list)]
    count = lengths[0] if lengths else 1
    return {name: [value] * count if name in unknown else value for name, value in named.items()}


def _draw_argument(value: object) -> object:
    """Return an argument of a `.map` as in a run: the value of a future, or a list."""
    if isinstance(value, SketchedFuture):
        value = value.value
    if isinstance(value, (WHOLE, Mark, FutureBase)) or not isinstance(value, Iterable):
        return value
    return list(value if isinstance(value, Sized) else islice(value, _MOST))
