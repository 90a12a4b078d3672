"""The life of a run, told once for flows and tasks, sync and async.

It is a generator that touches nothing: it yields `Step`s and is sent their answers; what a step
raises is thrown in. It returns the state that the run ended in. A test talks to it with no store,
clock or loop.
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

#: The steps of a run up to its last state.
FullLifecycle = Generator[Step, Any, State]
T = TypeVar("T")


class Continuation(NamedTuple):
    """The lifecycle that yields the rest of the steps, and what to send or throw into it next."""

    life: FullLifecycle
    answer: object
    error: BaseException | None


#: The steps of a run; returns the state that the run ended in, or what goes on with the rest.
Lifecycle = Generator[Step, Any, State | Continuation]
#: The first step of most runs.
BEGIN = Record(RUNNING, "Running")


@draft  # a frozen one takes twice as long to make, and each task run has one
class CallPlan:
    """One call of a flow or task, before anything has happened.

    Attributes:
        unit: the `Flow` or `Task`; hooks get it.
        upstream: futures that must have ended first, and whether each may have failed; None
            where the arguments are what they are, with nothing in them to be replaced.
        owns_children: whether this run owns what is submitted in it, and ends it at its own end.
        cache: how its result is looked for and kept; None where it is not.
        transaction: the transaction around the run, which keeps the result at its commit.
        check: checks the arguments, where that had to wait for the upstream.
        slot_request: under the limits of its tags; None where it has none.
        progress: counts what is handed out, where the function yields and is iterated over.
        is_root: whether it can be suspended, and go on in another process.
        timeout: seconds after which the driver ends a call of the function; None where there is
            no limit, or the function keeps to it by itself.
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
        """Whether the run itself needs the value that its function returned."""
        return bool(self.cache is not None or self.transaction is not None or self.spec.hooks)

    @property
    def is_plain(self) -> bool:
        """Whether nothing is wanted of the run but to call the function."""
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
    """Tell what happens from the first state of a run to its last."""
    return yield_plain_steps(plan) if plan.is_plain else yield_steps(plan)


def yield_plain_steps(plan: CallPlan) -> Lifecycle:
    """Yield the steps of a plain run in one frame: it begins, is called, and completes.

    Most runs are plain, and this takes a third of the time. If anything else happens, the full
    lifecycle is brought to the same step by the same answers, and yields the rest.
    """
    answers: list[object] = []
    cause: BaseException | None = None
    try:
        answers.append((yield BEGIN))
        value = yield CallFunction(plan.fn, plan.args, plan.kwargs, plan.timeout)
        is_complete = _is_value(value)  # what this raises is as if the function had raised it
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
    """Tell the same of a run that may hold slots: whatever its end, it gives them back."""
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
        if plan.slot_request is not None:  # hooks of the end hold no slots
            yield from _release_slots(plan.slot_request)
        yield from _call_hooks(plan, final)
    if late is not None:
        raise late
    return final


def _record_end(
    plan: CallPlan, end: State, look: CacheLookup | None
) -> Generator[Step, Any, tuple[State, BaseException | None]]:
    """Say how the run ended, once; an interrupt that comes into that has to wait."""
    data = end.data if plan.spec.cache_result_in_memory else _choose_held_value(plan, look, end)
    late: BaseException | None = None
    said = end.type is COMPLETED and plan.spec.kind == "task"  # which needs no line
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
            continue  # too late: it has ended


def _log_end(end: State) -> Generator[Step, object, None]:
    """Log how the run ends; that it was cancelled is what somebody wanted, and no error."""
    if end.type is not COMPLETED:
        cause = end.data if isinstance(end.data, BaseException) else None
        level = INFO if end.type is CANCELLED else ERROR
        yield Log(level, f"ended {end.name}: {end.message}", cause)
    else:
        yield Log(INFO, f"ended {end.name}")


def _make_attempts(
    plan: CallPlan, args: tuple[object, ...], kwargs: dict[str, Any], look: CacheLookup | None
) -> FullLifecycle:
    """Call the function as often as it takes, or may."""
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
            yield Log(WARNING, look.told)  # somebody asked for a cache
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
    """Take slots under the limits of the run's tags, and say so where that has to wait."""
    in_the_way = yield AcquireSlots(request)
    if in_the_way is not None:
        yield Record(SCHEDULED, "AwaitingConcurrencySlot", in_the_way)
        yield AwaitSlots(request)


def _release_slots(request: SlotRequest) -> Generator[Step, object, None]:
    """Give slots back; an interrupt that comes meanwhile does not keep them."""
    try:
        yield ReleaseSlots(request)
    except BaseException:
        yield ReleaseSlots(request)
        raise


def _choose_held_value(plan: CallPlan, look: CacheLookup | None, end: State) -> object:
    """Return what is held of a value that is wanted in its file only: where it is read."""
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
    """Return the state that a run is suspended in, or the error that it ends with after all."""
    while isinstance(error, SuspendSignal):
        try:
            yield FinishChildren(None)  # what was submitted may finish: its results are there later
            yield Log(INFO, f"suspended: {error.message}")
            state: State = yield Suspend(error.message, SuspendedRun(plan.run_name, plan.run_id))
            return state
        except BaseException as other:  # noqa: BLE001 - it ends the run, or asks for the same
            error = other
    return error


def _finish_children(
    error: BaseException, *, is_late: bool = False
) -> Generator[Step, Any, BaseException]:
    """Bring to an end what was submitted; return what ends the run.

    An interrupt ends a wait for tasks that may finish; a second one means: do not wait at all.
    """
    try:
        left = yield FinishChildren(error, is_late)
        if left:
            yield Log(WARNING, policy.describe_left_behind(left))
    except BaseException as again:  # noqa: BLE001 - the first reason is the run's end
        if isinstance(error, Exception) and not isinstance(again, Exception):
            return (yield from _finish_children(again))
        yield Log(WARNING, f"what was submitted was left behind: {policy.describe_error(again)}")
    return error


def _make_end(plan: CallPlan, error: BaseException) -> State:
    kind, name, message = policy.choose_end(error, plan.run_id)
    return State(kind, name, message, data=error)


def _resolve_upstream(
    plan: CallPlan, upstream: Sequence[tuple[PendingRun, bool]]
) -> Generator[Step, Any, tuple[tuple[Any, ...], dict[str, Any]]]:
    """Wait for what the arguments need, and put the values in their places."""
    waiting = [promise for promise, _ in upstream if not promise.done()]
    if waiting:
        yield Record(PENDING, "Pending", f"waiting for {', '.join(p.name for p in waiting[:5])}")
        yield Await(waiting)
    for promise, may_fail in upstream:
        state = promise.final_state()
        if state.type is COMPLETED:
            continue
        promise.observed = True  # its failure is this run's failure now, or is allowed
        if not may_fail:
            raise UpstreamTaskError(plan.run_name, promise.name, state.name)
    promises = [promise for promise, _ in upstream]
    take: Callable[[PendingRun, bool], object] = _take_value
    if isinstance(plan.fn, Remote) and plan.cache is None:  # a key of a cache is made of values
        take = partial(plan.fn.take_value, _take_value)
    args, kwargs = yield from _take_values((plan.args, plan.kwargs), promises, take)
    return plan.check(args, kwargs) if plan.check else (args, kwargs)


def _take_values(
    value: T, promises: Sequence[PendingRun], take: Callable[[PendingRun, bool], object]
) -> Generator[Step, T, T]:
    """Replace promises by their values; persisted values are read from storage."""
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
    """Call the function once, keep what it returned, and say how that ended."""
    try:
        # Here, not in a generator of its own: that could not raise a function's StopIteration.
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
    """Return the end that a run gets by what its function returned."""
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
    """Tell whether a run that returns this has completed: there is no future and no state in it."""
    if type(value) in PLAIN:  # as most values are
        return True
    return not (FutureBase.made and _find_futures(value)) and not find_states(value)


def _make_completed(value: object) -> State:
    return build_state(COMPLETED, "Completed", None, 0.0, value)


def _find_futures(value: object) -> list[Any]:
    return [promise for promise, _ in find_futures(value)]


def _choose_delay(
    plan: CallPlan, end: State, attempt: int
) -> Generator[Step, object, float | None]:
    """Return the seconds to wait before the next attempt, or None to give up."""
    spec, error = plan.spec, end.data
    if attempt > policy.count_retries(spec, plan.settings) or not policy.may_retry(error):
        return None
    if plan.progress is not None and plan.progress.count:
        told = f"not retried: {plan.progress.count} of its values are handed out"
        yield Log(WARNING, f"{told}, and would come again")
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
