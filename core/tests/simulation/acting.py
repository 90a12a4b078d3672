"""The flows and tasks that act out a program; each finds its node by its number."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flowstone import allow_failure, flow, task
from flowstone.cache_policies import CachePolicy
from flowstone.concurrency import concurrency, rate_limit
from flowstone.concurrency.queue import held_here
from flowstone.context import current
from flowstone.errors import FlowstoneError, PauseTimeout
from flowstone.flow_runs.pauses import pause_flow_run, suspend_flow_run
from flowstone.locking import IsolationLevel
from flowstone.records.limits import TAG

from .blobs import SimBlobs, SimLocks
from .flights import fly
from .here import here
from .ledger import RATE, TAGGED
from .loops import run_on_loop
from .together import transact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowstone.futures import Future

    from .programs import Node


class Planned(Exception):
    """A failure that the program has."""


class Runners:
    """A task runner: fibers of the process that the flow is in."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def open(self, settings: Any) -> Any:
        return here().pool(self._workers)


def work(number: int, upstream: Any = ()) -> int:
    """Act out one task run, or one flow run's part of its own."""
    process = here()
    node = process.nodes[number]
    process.see(node, upstream)
    attempt = process.begin(node)
    with holding(node, (TAGGED,) if node.tagged else ()):
        for nap in node.naps:
            process.nap(nap)
    if attempt <= node.fails:
        raise Planned(f"node {number}, attempt {attempt}")
    return number


def pass_on(number: int, item: int) -> tuple[int, int]:
    """Act out one run of a stream."""
    work(number)
    return number, item


@contextmanager
def holding(node: Node, names: tuple[str, ...] = ()) -> Iterator[None]:
    """Hold the slots that a node wants, and see that they are held, those of the names too."""
    process, holds = here(), node.holds
    ledger = process.world.ledger
    with ExitStack() as stack:
        if holds is not None and holds.names == (RATE,):
            rate_limit(RATE, timeout_seconds=holds.timeout)
        elif holds is not None:
            stack.enter_context(
                concurrency(
                    holds.names,
                    holds.occupy,
                    holds.timeout,
                    lease_duration=holds.lease,
                    raise_on_lease_renewal_failure=holds.raises,
                )
            )
            names += holds.names
        ledger.inside(process, held_here.get(), names)
        yield
        ledger.inside(process, held_here.get(), names)


def wait_for_somebody(node: Node) -> None:
    """Wait until somebody resumes the run, in vain maybe."""
    run_id = current.scope.get().run.id  # type: ignore[union-attr]
    try:
        if node.kind == "ask":
            pause_flow_run(timeout=node.patience, key=here().world.parts.pause_key)
        else:
            suspend_flow_run(timeout=node.patience)
    except PauseTimeout:
        return
    here().world.auditor.passes(run_id, node.number)


def compute(number: int) -> str:
    """Act out a cached computation: nobody else does it at the same time, or again."""
    process = here()
    node = process.nodes[number]
    run_id = current.scope.get().run.id  # type: ignore[union-attr]
    with process.world.cache.computing(node.key, process, run_id):
        work(number)
    return f"value of {node.key}"


async def awork(number: int) -> int:
    """Act out one run of an async task."""
    process = here()
    node = process.nodes[number]
    attempt = process.begin(node)
    async with AsyncExitStack() as stack:
        names: tuple[str, ...] = (TAGGED,) if node.tagged else ()
        if (holds := node.holds) is not None:
            block = concurrency(
                holds.names, timeout_seconds=holds.timeout, lease_duration=holds.lease
            )
            await stack.enter_async_context(block)
            names += holds.names
        for nap in node.naps:
            process.world.ledger.inside(process, held_here.get(), names)
            await current.services().clock.asleep(nap)
        process.world.ledger.inside(process, held_here.get(), names)
    if attempt <= node.fails:
        raise Planned(f"node {number}, attempt {attempt}")
    return number


async def acompute(number: int) -> str:
    """Act out a cached computation on a loop."""
    process = here()
    node = process.nodes[number]
    run_id = current.scope.get().run.id  # type: ignore[union-attr]
    with process.world.cache.computing(node.key, process, run_id):
        await awork(number)
    return f"value of {node.key}"


async def act_on_loop(number: int) -> int:
    """Act out an async flow."""
    process = here()
    node = process.nodes[number]
    if node.asks:
        await asyncio.gather(*map(_ado, node.nodes))
    else:
        for child in node.nodes:
            await _ado(child)
    if process.begin(node) <= node.fails:
        raise Planned(f"flow {number}")
    return number


async def _ado(node: Node) -> None:
    process = here()
    if node.kind == "pause":
        for nap in node.naps:
            await current.services().clock.asleep(nap)
        return
    unit = atask_of(node)
    state = await unit(node.number, return_state=True)
    if node.kind == "cached" and state.type == "COMPLETED":
        process.check(state.result() == f"value of {node.key}", f"a hit gave {state.data!r}")


@flow(name="f", validate_parameters=False)
def act(number: int) -> Any:
    """Act out a flow run."""
    process = here()
    node = process.nodes[number]
    futures: dict[int, list[Future[Any]]] = {}
    try:
        for child in node.nodes:
            _do(child, futures)
    except Exception as error:
        process.check(isinstance(error, (Planned, FlowstoneError)), f"a flow raised {error!r}")
        raise
    attempt = process.begin(node)
    if attempt <= node.fails:
        raise Planned(f"flow {number}, attempt {attempt}")
    if node.returns == "futures":
        return [future for made in futures.values() for future in made]
    return number


def _do(node: Node, futures: dict[int, list[Future[Any]]]) -> None:
    process = here()
    if node.kind == "pause":
        for nap in node.naps:
            process.nap(nap)
        return
    if node.kind in {"ask", "suspend"}:
        wait_for_somebody(node)
        return
    if node.kind == "hold":
        with holding(node):
            for child in node.nodes:
                _do(child, futures)
        return
    if node.kind == "transaction":
        transact(node, work, Planned)
        return
    if node.kind == "stream":
        fly(node, pass_on)
        return
    if node.kind == "loop":
        run_on_loop(loop_of(node)(node.number, return_state=True))
        return
    if node.kind == "flow":
        state = flow_of(node)(node.number, return_state=True)
        process.check(
            state.type != "COMPLETED" or node.returns == "futures" or state.data == node.number,
            f"flow {node.number} returned {state.data!r}",
        )
        return
    if node.kind == "cached":
        state = cached_of(node)(node.number, return_state=True)
        if state.type == "COMPLETED":
            process.check(state.result() == f"value of {node.key}", f"a hit gave {state.data!r}")
        return
    needed = [future for number in node.needs for future in futures[number]]
    options: dict[str, Any] = {"wait_for": needed} if node.how == "wait_for" else {}
    args: Any = () if node.how == "wait_for" else needed
    if node.how == "arguments that may fail" and needed:
        args = allow_failure(needed)
    unit = task_of(node)
    if node.kind == "call":
        unit(node.number, args, return_state=True, **options)
        return
    made = [unit.submit(node.number, args, **options) for _ in range(node.count)]
    futures[node.number] = made
    process.futures += made
    if node.asks:
        for future in made:
            value = future.result(raise_on_failure=False)
            ok = isinstance(value, BaseException) or value == node.number
            process.check(ok, f"the result of node {node.number} is {value!r}")


def hook(unit: Any, run: Any, state: Any) -> None:
    """A hook that takes a step, so that others may come between."""
    here().nap(0.0)


def key_of(call: Any, parameters: Any) -> str:
    return here().nodes[parameters["number"]].key


def _hooks(node: Node, names: tuple[str, ...]) -> dict[str, list[Callable[..., Any]]]:
    return {name: [hook] for name in names} if node.hooks else {}


TAGS = (TAGGED.removeprefix(TAG),)
TASK_HOOKS = ("on_running", "on_completion", "on_failure")
FLOW_HOOKS = (*TASK_HOOKS, "on_crashed", "on_cancellation")


def task_of(node: Node) -> Any:
    change = here().world.parts.task
    return _task(node.retries, node.delay, node.limit, node.hooks, node.tagged, change)


@lru_cache
def _task(
    retries: int, delay: float, limit: float | None, hooks: bool, tagged: bool, change: Any
) -> Any:
    hooked: Any = {name: [hook] for name in TASK_HOOKS} if hooks else {}
    made = task(
        name="t",
        retries=retries,
        retry_delay_seconds=delay,
        timeout_seconds=limit,
        tags=TAGS if tagged else None,
        **hooked,
    )(work)
    return made if change is None else change(made)


def atask_of(node: Node) -> Any:
    policy = _serializable(here().world.locks_by_store) if node.kind == "cached" else None
    change = here().world.parts.task
    return _atask(node.retries, node.delay, node.hooks, node.tagged, policy, change)


@lru_cache
def _atask(
    retries: int,
    delay: float,
    hooks: bool,
    tagged: bool,
    policy: CachePolicy | None,
    change: Any,
) -> Any:
    options: Any = {name: [hook] for name in TASK_HOOKS} if hooks else {}
    if policy is not None:
        options.update(cache_policy=policy, result_storage=SimBlobs(place="simulation"))
    made = task(
        name="t" if policy is None else "c",
        retries=retries,
        retry_delay_seconds=delay,
        tags=TAGS if tagged else None,
        **options,
    )(awork if policy is None else acompute)
    return made if change is None else change(made)


def loop_of(node: Node) -> Any:
    return _loop(node.retries, node.delay, node.hooks)


@lru_cache
def _loop(retries: int, delay: float, hooks: bool) -> Any:
    return _make_flow(act_on_loop, retries, delay, hooks)


def _make_flow(fn: Any, retries: int, delay: float, hooks: bool, **options: Any) -> Any:
    hooked: Any = {name: [hook] for name in FLOW_HOOKS} if hooks else {}
    return flow(
        name="f",
        flow_run_name="f{number}",
        retries=retries,
        retry_delay_seconds=delay,
        validate_parameters=False,
        **hooked,
        **options,
    )(fn)


@lru_cache
def _serializable(by_store: bool) -> CachePolicy:
    return CachePolicy.from_cache_key_fn(key_of).configure(
        isolation_level=IsolationLevel.SERIALIZABLE,
        lock_manager=None if by_store else SimLocks(),
    )


def cached_of(node: Node) -> Any:
    policy = _serializable(here().world.locks_by_store)
    return _cached(node.retries, node.delay, node.tagged, policy)


@lru_cache
def _cached(retries: int, delay: float, tagged: bool, policy: CachePolicy) -> Any:
    return task(
        name="c",
        retries=retries,
        retry_delay_seconds=delay,
        tags=TAGS if tagged else None,
        cache_policy=policy,
        result_storage=SimBlobs(place="simulation"),
    )(compute)


def flow_of(node: Node) -> Any:
    return _flow(node.retries, node.delay, node.workers, node.hooks)


@lru_cache
def _flow(retries: int, delay: float, workers: int, hooks: bool) -> Any:
    return _make_flow(act.fn, retries, delay, hooks, task_runner=Runners(workers))


def __getattr__(name: str) -> Any:
    """Return a flow by the number of its node, for a process that executes a run again."""
    if not (name.startswith("f") and name[1:].isdigit()):
        raise AttributeError(name)
    return flow_of(here().nodes[int(name[1:])])
