"""The flows and tasks that act out a program; each finds its node by its number."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from flowstone import allow_failure, ambient, flow, task
from flowstone.cache_policies import CachePolicy
from flowstone.locking import IsolationLevel

from .blobs import SimBlobs, SimLocks
from .here import here

if TYPE_CHECKING:
    from collections.abc import Callable

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
    for nap in node.naps:
        process.nap(nap)
    if attempt <= node.fails:
        raise Planned(f"node {number}, attempt {attempt}")
    return number


def compute(number: int) -> str:
    """Act out a cached computation: nobody else does it at the same time, or again."""
    process = here()
    node = process.nodes[number]
    run_id = ambient.scope.get().run.id  # type: ignore[union-attr]
    with process.world.cache.computing(node.key, process, run_id):
        work(number)
    return f"value of {node.key}"


def act(number: int) -> Any:
    """Act out a flow run."""
    process = here()
    node = process.nodes[number]
    futures: dict[int, list[Future[Any]]] = {}
    for child in node.nodes:
        _do(child, futures)
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


TASK_HOOKS = ("on_running", "on_completion", "on_failure")
FLOW_HOOKS = (*TASK_HOOKS, "on_crashed", "on_cancellation")


def task_of(node: Node) -> Any:
    return _task(node.retries, node.delay, node.limit, node.hooks, here().world.parts.task)


@lru_cache
def _task(retries: int, delay: float, limit: float | None, hooks: bool, change: Any) -> Any:
    hooked: Any = {name: [hook] for name in TASK_HOOKS} if hooks else {}
    made = task(
        name="t", retries=retries, retry_delay_seconds=delay, timeout_seconds=limit, **hooked
    )(work)
    return made if change is None else change(made)


def cached_of(node: Node) -> Any:
    return _cached(node.retries, node.delay)


@lru_cache
def _cached(retries: int, delay: float) -> Any:
    policy = CachePolicy.from_cache_key_fn(key_of).configure(
        isolation_level=IsolationLevel.SERIALIZABLE, lock_manager=SimLocks()
    )
    return task(
        name="c",
        retries=retries,
        retry_delay_seconds=delay,
        cache_policy=policy,
        result_storage=SimBlobs(place="simulation"),
    )(compute)


def flow_of(node: Node) -> Any:
    return _flow(node.retries, node.delay, node.workers, node.hooks)


@lru_cache
def _flow(retries: int, delay: float, workers: int, hooks: bool) -> Any:
    hooked: Any = {name: [hook] for name in FLOW_HOOKS} if hooks else {}
    return flow(
        name="f",
        flow_run_name="f{number}",
        retries=retries,
        retry_delay_seconds=delay,
        validate_parameters=False,
        task_runner=Runners(workers),
        **hooked,
    )(act)
