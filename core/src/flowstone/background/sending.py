"""Send calls of tasks to the background: each is stored as a scheduled run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

from flowstone.background.keys import AnyTask, find_sent_key
from flowstone.calls.distributed_futures import DistributedFuture
from flowstone.calls.kept_calls import Arguments, keep_call, pack_arguments
from flowstone.calls.origin import UnitCall, make_origin
from flowstone.calls.secret_arguments import register_secret_arguments
from flowstone.context.current import services
from flowstone.deployments.idempotency import choose_run_id, find_run
from flowstone.engine.annotations import allow_failure
from flowstone.engine.arguments import find_awaited, find_upstream, resolve
from flowstone.engine.blocking_calls import call_blocking, is_on_loop
from flowstone.errors import ConfigurationError, NotSerializable
from flowstone.records.events import KINDS, Event
from flowstone.records.ids import derive_id, new_id, read_time
from flowstone.records.record import evolve
from flowstone.records.states import SCHEDULED, State

if TYPE_CHECKING:
    from flowstone.ports import PendingRun
    from flowstone.records.runs import Run

#: What a call depends on besides its arguments: by any names, futures or the ids of runs.
Dependencies = Mapping[str, Iterable[object]]


class Sending(NamedTuple):
    """A call before anything of it is stored.

    Attributes:
        unit_call: the call; futures among its arguments are those of background tasks.
        key: the key of its task.
        content: the serialized arguments, as they were when the call was made.
        inputs: the ids of the runs that it depends on.
        awaited: those of them that have not ended.
        idempotency_key: the caller's key; None if each call is a separate run.
    """

    unit_call: UnitCall
    key: str
    content: bytes
    inputs: tuple[str, ...]
    awaited: tuple[str, ...]
    idempotency_key: str | None


def send(
    task: AnyTask,
    args: Iterable[object] | None,
    kwargs: Mapping[str, object] | None,
    wait_for: Iterable[object] | None,
    dependencies: Dependencies | None,
    idempotency_key: str | None,
) -> DistributedFuture[object]:
    """Store a call, and return its future; see `Task.apply_async`.

    On an event loop it returns immediately, and a thread stores the call.
    """
    sending = _prepare(task, args, kwargs, wait_for, dependencies, idempotency_key)
    if not is_on_loop():
        run = _keep(sending)
        return DistributedFuture(run.id, run.name)
    call = partial(copy_context().run, _keep, sending)
    return DistributedFuture("", sending.unit_call.unit.name, _open_sender().submit(call))


async def asend(
    task: AnyTask,
    args: Iterable[object] | None,
    kwargs: Mapping[str, object] | None,
    wait_for: Iterable[object] | None,
    dependencies: Dependencies | None,
    idempotency_key: str | None,
) -> DistributedFuture[object]:
    """Async version of `send`, which returns when the call is stored."""
    sending = _prepare(task, args, kwargs, wait_for, dependencies, idempotency_key)
    run = await call_blocking(_keep, sending)
    return DistributedFuture(run.id, run.name)


@cache
def _open_sender() -> ThreadPoolExecutor:
    """Return the thread that stores calls from event loops; the process waits for it at exit."""
    return ThreadPoolExecutor(1, thread_name_prefix="flowstone-sender")


if hasattr(os, "register_at_fork"):
    # A forked child has no such thread.
    os.register_at_fork(after_in_child=_open_sender.cache_clear)


def _prepare(
    task: AnyTask,
    args: Iterable[object] | None,
    kwargs: Mapping[str, object] | None,
    wait_for: Iterable[object] | None,
    dependencies: Dependencies | None,
    idempotency_key: str | None,
) -> Sending:
    """Check a call, and serialize its arguments as they are now."""
    _check_types(task, args, kwargs, wait_for)
    given, named = tuple(args or ()), dict(kwargs or {})
    key = find_sent_key(task)
    task.parameters.bind(given, named)
    register_secret_arguments(task, given, named)
    upstream = [promise for promise, _ in find_upstream(given, named, wait_for or ()) or ()]
    given, named = resolve((given, named), _settle)
    settled = [_settle(*each) for each in find_awaited(list(wait_for or ()))]
    arguments = Arguments(given, named, [each for each in settled if _is_background(each)])
    inputs = [*(each.run_id for each in upstream), *_list_ids(dependencies or {})]
    awaited = [each.run_id for each in upstream if _is_background(each)]
    return Sending(
        UnitCall(task, given, named),
        key,
        _pack(task, arguments),
        tuple(dict.fromkeys(filter(None, inputs))),
        tuple(dict.fromkeys(awaited)),
        idempotency_key,
    )


def _pack(task: AnyTask, arguments: Arguments) -> bytes:
    """Return arguments as bytes.

    Raises:
        NotSerializable: one can't be sent; the message names it.
    """
    try:
        return pack_arguments(arguments)
    except NotSerializable as error:
        bound = task.parameters.bind(arguments.args, arguments.kwargs).arguments
        for name, value in bound.items():
            try:
                pack_arguments(Arguments((value,), {}, []))
            except NotSerializable as own:
                kind = type(value).__name__
                raise NotSerializable(own.serializer, kind, own.problem, task.name, name) from error
        raise


def _check_types(task: AnyTask, args: object, kwargs: object, wait_for: object) -> None:
    """Refuse arguments of `apply_async` that would be misinterpreted or ignored."""
    for name, value, kind, remedy in (
        ("args", args, Iterable, "Pass a list or a tuple of the arguments: [value]."),
        ("kwargs", kwargs, Mapping, "Pass a dict of the arguments by name."),
        ("wait_for", wait_for, Iterable, "Pass a list of futures."),
    ):
        if value is not None and (isinstance(value, (str, bytes)) or not isinstance(value, kind)):
            problem = f"{name} is of the type {type(value).__name__}"
            raise ConfigurationError(f"a call of {task.name!r}", problem, remedy)
    for each in wait_for if isinstance(wait_for, (list, tuple, set, frozenset)) else ():
        if next(find_awaited(each), None) is None and not isinstance(each, (list, tuple, set)):
            problem = f"wait_for has a value of the type {type(each).__name__}"
            raise ConfigurationError(f"a call of {task.name!r}", problem, "Pass futures only.")


def _settle(promise: PendingRun, may_fail: bool) -> object:
    """Return the value of a future for another process, unless it is of a background task.

    Raises:
        ConfigurationError: it has not ended, and waiting for it would block the event loop.
        Exception: the exception of its run.
    """
    if isinstance(promise, DistributedFuture):
        return allow_failure(promise) if may_fail else promise
    if not promise.done():
        if is_on_loop():
            problem = f"{promise.name!r} has not ended, but the call needs its value"
            raise ConfigurationError("a background call", problem, "Await that future first.")
        promise.wait()
    promise.observed = True
    return promise.final_state().result(raise_on_failure=not may_fail)


def _is_background(value: object) -> bool:
    inner = value.value if isinstance(value, allow_failure) else value
    return isinstance(inner, DistributedFuture)


def _list_ids(dependencies: Dependencies) -> list[str]:
    found = []
    for each in (item for items in dependencies.values() for item in items):
        run_id = each if isinstance(each, str) else getattr(each, "run_id", None)
        if not isinstance(run_id, str):
            problem = f"{each!r} is not a run"
            raise ConfigurationError("dependencies", problem, "Pass futures, or ids of runs.")
        found.append(run_id)
    return found


def _keep(sending: Sending) -> Run:
    """Store a call and its run, unless its idempotency key has one; return the run."""
    run_id = new_id()
    if sending.idempotency_key is not None:
        run_id = choose_run_id(f"task {sending.key}", sending.idempotency_key)
        run = find_run(run_id)
        if run is not None:
            return run
    # First, since a run without its call would wait forever, and a call without its run is ignored.
    keep_call(run_id, sending.key, sending.awaited, sending.content)
    origin = make_origin(sending.unit_call, None, known=None, upstream=None)
    origin = evolve(origin, id=run_id, root_id=run_id, inputs=sending.inputs, lease=None)
    state = State(SCHEDULED, "Scheduled", "sent to the background", origin.created)
    run = origin.make_run(state, 0)
    birth = Event(
        derive_id(read_time(run_id), run_id, "birth"),
        KINDS["task"][SCHEDULED],
        run_id,
        run_id,
        run.created,
        run,
    )
    services().runs.create(birth)
    return run
