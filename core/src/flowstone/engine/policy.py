"""Decisions about a run, as pure functions: values in, values out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from zlib import crc32

from flowstone.errors import (
    CancelSignal,
    ConfigurationError,
    FlowstoneError,
    ProcessDied,
    RunTimeout,
    StopSignal,
    SuspendSignal,
    TerminationSignal,
    UpstreamTaskError,
)
from flowstone.records.states import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    CRASHED,
    FAILED,
    TERMINAL,
    State,
    StateType,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowstone.engine.steps import FinishChildren
    from flowstone.ports import PendingRun
    from flowstone.records.specs import Delay, Spec
    from flowstone.settings import Settings

#: Maximum number of delays that a function for `retry_delay_seconds` may return.
MOST_DELAYS = 50


def count_retries(spec: Spec, settings: Settings) -> int:
    """Return the maximum number of retries of a run."""
    if spec.retries is not None:
        return spec.retries
    return settings.flow_retries if spec.kind == "flow" else settings.task_retries


def choose_delay(spec: Spec, settings: Settings, attempt: int, seed: str) -> float:
    """Return the seconds to wait after a failed attempt, the first attempt being 1.

    The jitter is derived from the run's id, so the same run always has the same delays.
    """
    chosen: Delay | None = spec.retry_delay_seconds
    if chosen is None:
        flow = spec.kind == "flow"
        chosen = settings.flow_retry_delay_seconds if flow else settings.task_retry_delay_seconds
    if callable(chosen):
        chosen = _check_delays(spec, chosen(count_retries(spec, settings)))
    if isinstance(chosen, (int, float)):
        seconds = float(chosen)
    else:
        seconds = float(chosen[min(attempt, len(chosen)) - 1]) if chosen else 0.0
    if spec.retry_jitter_factor:
        chance = crc32(f"{seed}:{attempt}".encode()) / 2**32
        seconds *= 1 + spec.retry_jitter_factor * chance
    return seconds


def _check_delays(spec: Spec, seconds: Sequence[float]) -> Sequence[float]:
    if len(seconds) > MOST_DELAYS:
        raise ConfigurationError(
            f"retry_delay_seconds of {spec.name!r}",
            f"the function returned {len(seconds)} delays",
            f"Return at most {MOST_DELAYS}; the last one is used again for further retries.",
        )
    return seconds


def may_retry(error: BaseException) -> bool:
    """Return whether an attempt that ended with this error can be retried at all."""
    return isinstance(error, Exception) and not isinstance(error, UpstreamTaskError)


def is_cancellation(error: BaseException) -> bool:
    """Return whether the error is a cancellation by asyncio, if that is loaded."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


def choose_end(error: BaseException, run_id: str) -> tuple[StateType, str, str]:
    """Return the type, name and message of the state that an error ends a run in."""
    if isinstance(error, ProcessDied) and error.run_id == run_id:
        return CRASHED, "Crashed", str(error.message)
    if isinstance(error, RunTimeout):
        return FAILED, "TimedOut", str(error)
    if isinstance(error, UpstreamTaskError):
        return FAILED, "UpstreamFailed", str(error)
    if isinstance(error, KeyboardInterrupt):
        return CANCELLED, "Cancelled", "interrupted from the keyboard"
    if is_cancellation(error):
        return CANCELLED, "Cancelled", "its coroutine was cancelled"
    if isinstance(error, (CancelSignal, SuspendSignal)):
        return CANCELLED, "Cancelled", str(error)
    if isinstance(error, TerminationSignal):
        return CRASHED, "Crashed", str(error)
    if isinstance(error, SystemExit):
        return CRASHED, "Crashed", f"its code called sys.exit({error.code!r})"
    if isinstance(error, FlowstoneError):
        is_told = error.state_name == type(error).__name__
        return FAILED, error.state_name, str(error) if is_told else describe_error(error)
    if isinstance(error, Exception):
        return FAILED, "Failed", describe_error(error)
    return CRASHED, "Crashed", describe_error(error)


def describe_error(error: BaseException) -> str:
    """Return an error in one line, like the last line of its traceback."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def judge(ends: Sequence[State], value: object) -> State:
    """Return the final state of a run that returns futures or states: the worst of them."""
    bad = [state for state in ends if state.type is not COMPLETED]
    if isinstance(value, State) and value.type in TERMINAL:
        return value
    if not bad:
        return State(COMPLETED, "Completed", None, data=value)
    if len(ends) == 1 and bad[0].type in TERMINAL:
        return bad[0]
    worst = next((state for state in bad if state.type is CRASHED), bad[0])
    message = f"{len(bad)} of {len(ends)} did not complete: {worst.name} {worst.message or ''}"
    kind = worst.type if worst.type in TERMINAL else FAILED
    return State(kind, kind.value.capitalize(), message.strip(), data=worst.data)


def judge_unobserved(promises: Iterable[PendingRun]) -> State | None:
    """Return the final state of a flow with unobserved failures of submitted tasks."""
    bad = list(promises)
    if not bad:
        return None
    names = ", ".join(promise.name for promise in bad[:5]) + (" …" if len(bad) > 5 else "")
    first = bad[0].final_state()
    count = "a submitted task" if len(bad) == 1 else f"{len(bad)} submitted tasks"
    message = f"{count} did not complete, and no code requested the result: {names}"
    if first.message:
        message += f" ({first.message})"
    return State(FAILED, "Failed", message, data=first.data)


def find_request(state: State) -> type[StopSignal] | None:
    """Return the signal that a state set by another process requests; None if there is none."""
    if state.type is CANCELLING:
        return CancelSignal
    return SuspendSignal if state.name == "Suspending" else None


class LateSignal(CancelSignal):
    """The flow run that this run belongs to has exceeded its timeout."""

    def __init__(self) -> None:
        super().__init__("its flow run exceeded its timeout")


def is_late(error: BaseException, run_name: str) -> bool:
    """Return whether a run was ended by its own timeout, and not that of an awaited run."""
    return isinstance(error, RunTimeout) and error.name == run_name


def describe_left_behind(promises: Sequence[PendingRun]) -> str:
    """Return a message about runs that could not be stopped, and what to do about it."""
    names = ", ".join(promise.name for promise in promises[:5])
    more = " …" if len(promises) > 5 else ""
    count = "a submitted task" if len(promises) == 1 else f"{len(promises)} submitted tasks"
    return (
        f"{count} could not be stopped; further output is discarded: {names}{more}. A call that "
        "blocks can't be interrupted in a thread; a ProcessPoolTaskRunner kills its process."
    )


def choose_stop_signal(step: FinishChildren) -> type[BaseException] | None:
    """Return the error to raise in submitted tasks that are running when their flow ends."""
    error = step.error
    if step.is_late:
        return LateSignal
    if error is None or isinstance(error, Exception):
        return None  # they may finish
    if isinstance(error, (KeyboardInterrupt, CancelSignal)) or is_cancellation(error):
        return CancelSignal
    return TerminationSignal
