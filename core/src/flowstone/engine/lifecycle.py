"""The lifecycle of a run: the same code for flows and tasks, sync and async.

It is a generator without side effects: it yields `Step`s, is sent their answers, and has their
errors thrown into it. It returns the final state of the run. Tests drive it without a store, clock
or loop.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from flowstone.engine import policy
from flowstone.engine.arguments import PLAIN, FutureBase, find_futures, find_states, resolve
from flowstone.engine.remote_call import Remote
from flowstone.engine.steps import (
    ERROR,
    INFO,
    WARNING,
    AcquireSlots,
    Await,
    AwaitSlots,
    CallFunction,
    CallHook,
    FindRequest,
    FinishChildren,
    Iterate,
    Load,
    Log,
    ReadValues,
    Record,
    ReleaseSlots,
    Save,
    Sleep,
    StageInTransaction,
    Step,
    Suspend,
    Unlock,
    YieldProgress,
)
from flowstone.errors import (
    CancelSignal,
    FencedRun,
    SuspendedRun,
    SuspendSignal,
    TerminationSignal,
    UpstreamTaskError,
)
from flowstone.records.record import draft
from flowstone.records.states import (
    CANCELLED,
    COMPLETED,
    PENDING,
    RUNNING,
    SCHEDULED,
    State,
    StoredValue,
    build_state,
)

if TYPE_CHECKING:
    from flowstone.ports import CacheLookup, PendingRun, ResultCache, RunTransaction
    from flowstone.ports.slots import SlotRequest
    from flowstone.records.specs import Spec
    from flowstone.settings import Settings

#: The steps of a run up to its final state.
FullLifecycle = Generator[Step, Any, State]
T = TypeVar("T")


class Continuation(NamedTuple):
    """The lifecycle that yields the remaining steps, and what to send or throw into it next."""

    life: FullLifecycle
    answer: object
    error: BaseException | None


#: The steps of a run; returns the final state of the run, or the continuation with the rest.
Lifecycle = Generator[Step, Any, State | Continuation]
#: The first step of most runs.
BEGIN = Record(RUNNING, "Running")


@draft  # creating a frozen one takes twice as long, and each task run has one
class CallPlan:
    """One call of a flow or task, before it starts.

    Attributes:
        unit: the `Flow` or `Task`, which is passed to hooks.
        upstream: futures that must end first, and whether each is allowed to fail; None if the
            arguments contain nothing to be replaced.
        owns_children: whether this run owns the tasks submitted in it, and finishes them at its
            own end.
        cache: loads and stores its result; None if it is neither cached nor persisted.
        transaction: the enclosing transaction, which stores the result at its commit.
        check: checks the arguments, if that has to wait for the upstream.
        slot_request: the request under the limits of its tags; None if there are none.
        progress: counts the yielded values, if the run is iterated over.
        is_root: whether it can be suspended, and continue in another process.
        timeout: seconds after which the driver ends a call of the function; None if there is no
            limit, or the function itself enforces it.
    """

    unit: Any
    spec: Spec
    settings: Settings
    run_id: str
    run_name: str
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    upstream: Sequence[tuple[PendingRun, bool]] | None = None
    owns_children: bool = False
    cache: ResultCache | None = None
    transaction: RunTransaction | None = None
    check: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]] | None = None
    slot_request: SlotRequest | None = None
    progress: YieldProgress | None = None
    is_root: bool = False
    timeout: float | None = None

    @property
    def uses_value(self) -> bool:
        """Whether the run itself needs the return value of its function."""
        return bool(self.cache is not None or self.transaction is not None or self.spec.hooks)

    @property
    def is_plain(self) -> bool:
        """Whether the run only calls the function, without any other option."""
        return (
            self.upstream is None
            and self.cache is None
            and self.transaction is None
            and self.slot_request is None
            and self.progress is None
            and not self.owns_children
            and not self.is_root
            and not self.spec.hooks
            and self.spec.kind == "task"
        )


def lifecycle(plan: CallPlan) -> Lifecycle:
    """Yield the steps from the first state of a run to its last."""
    return yield_plain_steps(plan) if plan.is_plain else yield_steps(plan)


def yield_plain_steps(plan: CallPlan) -> Lifecycle:
    """Yield the steps of a plain run in one frame: start, call, completion.

    Most runs are plain, and this takes a third of the time. If anything else happens, the same
    answers bring the full lifecycle to the same step, and it yields the rest.
    """
    answers: list[object] = []
    cause: BaseException | None = None
    try:
        answers.append((yield BEGIN))
        value = yield CallFunction(plan.fn, plan.args, plan.kwargs, plan.timeout)
        is_complete = _is_value(value)  # an error here is treated as the function's
        answers.append(value)
        if is_complete:
            final: State = yield Record(COMPLETED, "Completed", None, value)
            return final
    except BaseException as error:  # noqa: BLE001 - the full lifecycle decides what it means
        cause = error
    life = yield_steps(plan)
    last = None if cause is not None else answers.pop()
    next(life)
    for answer in answers:
        life.send(answer)
    return Continuation(life, last, cause)


def yield_steps(plan: CallPlan) -> FullLifecycle:
    """Yield the steps of any run."""
    return _live(plan) if plan.slot_request is None else _live_with_slots(plan, plan.slot_request)


def _live_with_slots(plan: CallPlan, request: SlotRequest) -> FullLifecycle:
    """Yield the steps of a run that may hold slots, which it always releases."""
    try:
        return (yield from _live(plan))
    finally:
        yield from _release_slots(request)


def _live(plan: CallPlan) -> FullLifecycle:
    spec = plan.spec
    look: CacheLookup | None = None
    try:
        args, kwargs = plan.args, plan.kwargs
        if plan.upstream is not None:
            args, kwargs = yield from _resolve_upstream(plan, plan.upstream)
        if plan.cache is not None:
            look = yield Load(args, kwargs)
        if look is not None and look.found:
            end = State(COMPLETED, "Cached", look.told, 0.0, look.value)
        else:
            end = yield from _make_attempts(plan, args, kwargs, look)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends the run
        last_word = (yield from _suspend(plan, error)) if plan.is_root else error
        if isinstance(last_word, State):
            if plan.cache is not None:
                yield Unlock(look)
            return last_word
        cause = (yield from _finish_children(last_word)) if plan.owns_children else last_word
        end = _make_end(plan, cause)
        if isinstance(cause, FencedRun):
            if plan.cache is not None:
                yield Unlock(look)
            return end
    try:
        final, late = yield from _record_end(plan, end, look)
    finally:
        if plan.cache is not None:
            yield Unlock(look)
    if spec.hooks:
        if plan.slot_request is not None:  # final hooks hold no slots
            yield from _release_slots(plan.slot_request)
        yield from _call_hooks(plan, final)
    if late is not None:
        raise late
    return final


def _record_end(
    plan: CallPlan, end: State, look: CacheLookup | None
) -> Generator[Step, Any, tuple[State, BaseException | None]]:
    """Record the final state once; an interrupt in the meantime is delayed."""
    data = end.data if plan.spec.cache_result_in_memory else _choose_held_value(plan, look, end)
    late: BaseException | None = None
    said = end.type is COMPLETED and plan.spec.kind == "task"  # which is not logged
    while True:
        try:
            if not said and plan.is_root and end.type is CANCELLED:
                reason = yield FindRequest()
                end = State(end.type, end.name, reason or end.message, data=end.data)
            if not said:
                said = True
                yield from _log_end(end)
            final: State = yield Record(end.type, end.name, end.message, data)
            return final, late
        except (CancelSignal, KeyboardInterrupt, TerminationSignal) as interrupt:
            if late is not None:
                raise
            late = interrupt
        except SuspendSignal:
            continue  # too late: the run has ended


def _log_end(end: State) -> Generator[Step, object, None]:
    """Log the end of the run; a cancellation was requested, so it is not an error."""
    if end.type is not COMPLETED:
        cause = end.data if isinstance(end.data, BaseException) else None
        level = INFO if end.type is CANCELLED else ERROR
        yield Log(level, f"ended {end.name}: {end.message}", cause)
    else:
        yield Log(INFO, f"ended {end.name}")


def _make_attempts(
    plan: CallPlan, args: tuple[object, ...], kwargs: dict[str, Any], look: CacheLookup | None
) -> FullLifecycle:
    """Call the function until it succeeds or no retries are left."""
    spec = plan.spec
    attempt = 0
    while True:
        attempt += 1
        if plan.slot_request is not None:
            yield from _acquire_slots(plan.slot_request)
        name = "Running" if attempt == 1 else "Retrying"
        state = yield Record(RUNNING, name, None if look is None else look.told or None)
        if attempt == 1 and spec.kind == "flow":
            yield Log(INFO, f"began: a run of flow {spec.name!r}")
        if attempt == 1 and look is not None and look.is_trouble and spec.cache_policy is not None:
            yield Log(WARNING, look.told)  # the user has enabled caching
        if spec.hooks:
            yield from _call_hooks(plan, state)
        end = yield from _attempt(plan, args, kwargs, look)
        if end.type is COMPLETED:
            return end
        seconds = yield from _choose_delay(plan, end, attempt)
        if seconds is None:
            return end
        yield Record(SCHEDULED, "AwaitingRetry", f"{end.message}; again in {seconds:.3g} s")
        if plan.slot_request is not None:
            yield ReleaseSlots(plan.slot_request)
        yield Sleep(seconds)


def _acquire_slots(request: SlotRequest) -> Generator[Step, str | None, None]:
    """Take slots under the limits of the run's tags, and record if the run has to wait."""
    in_the_way = yield AcquireSlots(request)
    if in_the_way is not None:
        yield Record(SCHEDULED, "AwaitingConcurrencySlot", in_the_way)
        yield AwaitSlots(request)


def _release_slots(request: SlotRequest) -> Generator[Step, object, None]:
    """Release slots, even if an interrupt occurs in the meantime."""
    try:
        yield ReleaseSlots(request)
    except BaseException:
        yield ReleaseSlots(request)
        raise


def _choose_held_value(plan: CallPlan, look: CacheLookup | None, end: State) -> object:
    """Return the data of a state whose value is only kept in its file: a reference to it."""
    if (
        end.type is not COMPLETED
        or plan.transaction is not None
        or plan.cache is None
        or look is None
        or look.key is None
    ):
        return end.data
    return StoredValue(partial(plan.cache.read, look.key))


def _suspend(plan: CallPlan, error: BaseException) -> Generator[Step, Any, State | BaseException]:
    """Return the state of the suspended run, or the error that it ends with instead."""
    while isinstance(error, SuspendSignal):
        try:
            yield FinishChildren(None)  # submitted tasks may finish: their results are used later
            yield Log(INFO, f"suspended: {error.message}")
            state: State = yield Suspend(error.message, SuspendedRun(plan.run_name, plan.run_id))
            return state
        except BaseException as other:  # noqa: BLE001 - it ends the run, or asks for the same
            error = other
    return error


def _finish_children(
    error: BaseException, *, is_late: bool = False
) -> Generator[Step, Any, BaseException]:
    """Finish the submitted tasks; return the error that ends the run.

    An interrupt ends a wait for tasks that may finish; after a second one, there is no wait.
    """
    try:
        left = yield FinishChildren(error, is_late)
        if left:
            yield Log(WARNING, policy.describe_left_behind(left))
    except BaseException as again:  # noqa: BLE001 - the first reason is the run's end
        if isinstance(error, Exception) and not isinstance(again, Exception):
            return (yield from _finish_children(again))
        yield Log(WARNING, f"submitted tasks were left behind: {policy.describe_error(again)}")
    return error


def _make_end(plan: CallPlan, error: BaseException) -> State:
    kind, name, message = policy.choose_end(error, plan.run_id)
    return State(kind, name, message, data=error)


def _resolve_upstream(
    plan: CallPlan, upstream: Sequence[tuple[PendingRun, bool]]
) -> Generator[Step, Any, tuple[tuple[Any, ...], dict[str, Any]]]:
    """Wait for the futures in the arguments, and replace them with their values."""
    waiting = [promise for promise, _ in upstream if not promise.done()]
    if waiting:
        yield Record(PENDING, "Pending", f"waiting for {', '.join(p.name for p in waiting[:5])}")
        yield Await(waiting)
    for promise, may_fail in upstream:
        state = promise.final_state()
        if state.type is COMPLETED:
            continue
        promise.observed = True  # its failure becomes this run's failure, or is allowed
        if not may_fail:
            raise UpstreamTaskError(plan.run_name, promise.name, state.name)
    promises = [promise for promise, _ in upstream]
    take: Callable[[PendingRun, bool], object] = _take_value
    if isinstance(plan.fn, Remote) and plan.cache is None:  # a cache key is computed from values
        take = partial(plan.fn.take_value, _take_value)
    args, kwargs = yield from _take_values((plan.args, plan.kwargs), promises, take)
    return plan.check(args, kwargs) if plan.check else (args, kwargs)


def _take_values(
    value: T, promises: Sequence[PendingRun], take: Callable[[PendingRun, bool], object]
) -> Generator[Step, T, T]:
    """Replace futures with their values; persisted values are read from storage."""
    read: Callable[[], T] = partial(resolve, value, take)
    if any(isinstance(promise.final_state().data, StoredValue) for promise in promises):
        return (yield ReadValues(read))
    return read()


def _take_value(promise: Any, may_fail: bool) -> Any:
    promise.observed = True
    return promise.final_state().result(raise_on_failure=not may_fail)


def _attempt(
    plan: CallPlan, args: tuple[object, ...], kwargs: dict[str, object], look: CacheLookup | None
) -> Generator[Step, object, State]:
    """Call the function once, store its return value, and return the resulting state."""
    try:
        # Not in a separate generator, which could not raise the function's StopIteration.
        step = CallFunction if plan.progress is None else Iterate
        value = yield step(plan.fn, args, kwargs, plan.timeout)
        if isinstance(value, StoredValue) and plan.uses_value:
            value = yield ReadValues(value.read)
        end = yield from _judge(plan, value)
        kept = look if look is not None and look.key is not None else None
        if end.type is COMPLETED and plan.transaction is not None:
            commits, undoes = plan.spec.on_commit, plan.spec.on_rollback
            yield StageInTransaction(plan.transaction, kept, end.data, commits, undoes)
        elif end.type is COMPLETED and kept is not None:
            yield Save(kept, end.data)
        return end
    except FencedRun:
        raise
    except Exception as error:
        is_late = policy.is_late(error, plan.run_name)
        cause = (
            (yield from _finish_children(error, is_late=is_late)) if plan.owns_children else error
        )
        if not isinstance(cause, Exception):
            raise cause from error
        if plan.progress is not None and cause is plan.progress.closed:
            return State(COMPLETED, "Completed", plan.progress.closed.message)
        return _make_end(plan, cause)


def _judge(plan: CallPlan, value: object) -> FullLifecycle:
    """Return the final state of a run, based on the return value of its function."""
    if not plan.owns_children and _is_value(value):
        return _make_completed(value)
    promises = _find_futures(value)
    if not plan.owns_children and not promises:
        return policy.judge(find_states(value), value)
    for promise in promises:
        promise.observed = True
    unseen = (yield FinishChildren(None)) if plan.owns_children else (yield Await(promises)) or ()
    states = find_states(value) + [promise.final_state() for promise in promises]
    lost = policy.judge_unobserved(unseen)
    if not states:
        return lost or _make_completed(value)
    if lost is not None:
        yield Log(WARNING, f"{lost.message}; the flow's return value decides its final state")
    good = all(state.type is COMPLETED for state in states)
    if good:
        value = yield from _take_values(value, promises, _take_value)
    return policy.judge(states, value)


def _is_value(value: object) -> bool:
    """Return whether a return value contains no future and no state, so the run has completed."""
    if type(value) in PLAIN:  # most values
        return True
    return not (FutureBase.made and _find_futures(value)) and not find_states(value)


def _make_completed(value: object) -> State:
    return build_state(COMPLETED, "Completed", None, 0.0, value)


def _find_futures(value: object) -> list[Any]:
    return [promise for promise, _ in find_futures(value)]


def _choose_delay(
    plan: CallPlan, end: State, attempt: int
) -> Generator[Step, object, float | None]:
    """Return the seconds to wait before the next attempt; None to give up."""
    spec, error = plan.spec, end.data
    if attempt > policy.count_retries(spec, plan.settings) or not policy.may_retry(error):
        return None
    if plan.progress is not None and plan.progress.count:
        told = f"not retried: {plan.progress.count} of its values were already yielded"
        yield Log(WARNING, f"{told}, and would be yielded again")
        return None
    if spec.retry_condition_fn is not None:
        try:
            if not (yield CallHook(spec.retry_condition_fn, plan.unit, end)):
                return None
        except Exception as problem:  # noqa: BLE001 - a broken condition must not hide the failure
            told = f"not retried: retry_condition_fn raised {policy.describe_error(problem)}"
            yield Log(ERROR, told, problem)
            return None
    seconds = policy.choose_delay(spec, plan.settings, attempt, plan.run_id)
    yield Log(WARNING, f"attempt {attempt} failed: {end.message}; again in {seconds:.3g} s")
    return seconds


def _call_hooks(plan: CallPlan, state: State) -> Generator[Step, object, None]:
    """Call the hooks of a state; one that fails is logged."""
    for hook in plan.spec.hooks.get(state.type, ()):
        try:
            yield CallHook(hook, plan.unit, state)
        except Exception as error:  # noqa: BLE001 - a hook must not change the run's end
            name = getattr(hook, "__name__", repr(hook))
            told = f"hook {name!r} raised {policy.describe_error(error)}"
            yield Log(ERROR, told, error)
