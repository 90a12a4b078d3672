"""States, and `NEXT`: the table of transitions."""

from __future__ import annotations

from enum import StrEnum
from time import time
from typing import TYPE_CHECKING, Any, Generic, Literal, overload

from flowstone.errors import (
    CancelledRun,
    ConfigurationError,
    CrashedRun,
    FailedRun,
    MissingResult,
    UnfinishedRun,
)
from flowstone.records.record import field, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    # A bare `State` is one of any value.
    from typing_extensions import TypeVar

    R = TypeVar("R", default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R")


class StateType(StrEnum):
    """The nine types of states; a state's name may be more specific: ``Late``, ``TimedOut``."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    CRASHED = "CRASHED"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"


SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, CRASHED, PAUSED, CANCELLING = StateType

TERMINAL = frozenset({COMPLETED, FAILED, CANCELLED, CRASHED})

_ENDS = frozenset({FAILED, CANCELLED, CRASHED, CANCELLING})

#: The states that may follow each state. A run is created in SCHEDULED, PENDING or RUNNING
#: (`BIRTH`). COMPLETED may follow a state that never ran: a cached result needs no run.
NEXT: dict[StateType, frozenset[StateType]] = {
    SCHEDULED: frozenset({SCHEDULED, PENDING, RUNNING, COMPLETED, PAUSED}) | _ENDS,
    PENDING: frozenset({SCHEDULED, PENDING, RUNNING, COMPLETED, PAUSED}) | _ENDS,
    RUNNING: frozenset({SCHEDULED, PENDING, RUNNING, COMPLETED, PAUSED}) | _ENDS,
    PAUSED: frozenset({SCHEDULED, PENDING, RUNNING}) | _ENDS,
    CANCELLING: frozenset({CANCELLED, CRASHED, FAILED, COMPLETED}),
    COMPLETED: frozenset(),
    FAILED: frozenset({SCHEDULED}),
    CANCELLED: frozenset({SCHEDULED}),
    CRASHED: frozenset({SCHEDULED}),
}
BIRTH = frozenset({SCHEDULED, PENDING, RUNNING})


@record
class State(Generic[R]):
    """A state of a run, whose value is an `R`.

    Attributes:
        type: the type of the state; may be passed by its name.
        name: the type's name, or a more specific one such as ``Retrying`` or ``TimedOut``.
        message: the reason, for people; None if there is nothing to add.
        at: when it began, in seconds since the epoch.
        data: the value, or the exception, that the run ended with. It stays in the process
            that created it and is never stored. With `cache_result_in_memory=False`
            it is not the value; `result()` reads that.
    """

    type: StateType
    name: str = ""
    message: str | None = None
    at: float = field(default_factory=time)
    data: Any = field(default=None, compare=False, show=False)

    def __post_init__(self) -> None:
        if type(self.type) is not StateType:
            object.__setattr__(self, "type", _read_type(self.type))
        if not self.name:
            object.__setattr__(self, "name", self.type.value.capitalize())

    @property
    def timestamp(self) -> datetime:
        # Takes 3 ms to import, and no run of a flow needs it.
        from datetime import UTC, datetime

        return datetime.fromtimestamp(self.at, UTC)

    def __str__(self) -> str:
        return f"{self.name}({self.message!r})" if self.message else f"{self.name}()"

    def is_scheduled(self) -> bool:
        return self.type is SCHEDULED

    def is_pending(self) -> bool:
        return self.type is PENDING

    def is_running(self) -> bool:
        return self.type is RUNNING

    def is_completed(self) -> bool:
        return self.type is COMPLETED

    def is_failed(self) -> bool:
        return self.type is FAILED

    def is_crashed(self) -> bool:
        return self.type is CRASHED

    def is_cancelled(self) -> bool:
        return self.type is CANCELLED

    def is_cancelling(self) -> bool:
        return self.type is CANCELLING

    def is_paused(self) -> bool:
        return self.type is PAUSED

    def is_final(self) -> bool:
        return self.type in TERMINAL

    @overload
    def result(self, raise_on_failure: Literal[True] = ...) -> R: ...
    @overload
    def result(self, raise_on_failure: bool) -> R | BaseException: ...
    def result(self, raise_on_failure: bool = True) -> R | BaseException:
        """Return the run's value, or raise its exception.

        Args:
            raise_on_failure: False to return the exception instead of raising it.

        Raises:
            UnfinishedRun: the run has not ended.
            MissingResult: the run completed in another process, and its value was not persisted; or
                it was not cached in memory, and its file no longer exists.
            Exception: the exception that the run failed with.
        """
        if self.type is COMPLETED:
            if isinstance(self.data, _Missing):
                raise MissingResult("")
            value: R = self.data.read() if isinstance(self.data, StoredValue) else self.data
            return value
        error = self._error()
        if raise_on_failure:
            raise error
        return error

    def _error(self) -> BaseException:
        if isinstance(self.data, BaseException):
            return self.data
        if self.type not in TERMINAL:
            return UnfinishedRun("", self.type.value.lower())
        ends = {FAILED: FailedRun, CRASHED: CrashedRun, CANCELLED: CancelledRun}
        return ends[self.type]("", self.message)


class _OpenState(Generic[R]):
    """A `State` under construction: with the same bases and slots, and not frozen."""

    __slots__ = ("at", "data", "message", "name", "type")


def build_state(
    kind: StateType, name: str, message: str | None, at: float, data: object = None
) -> State:
    """Return a state in a fifth of the time of `State(...)`, without checks.

    A frozen dataclass sets each field with `object.__setattr__`, and a task run has four states. So
    one that is not frozen is filled, and becomes a `State` when it is complete.
    """
    state: Any = _OpenState()
    state.type = kind
    state.name = name
    state.message = message
    state.at = at
    state.data = data
    state.__class__ = State
    complete: State = state
    return complete


def _read_type(written: object) -> StateType:
    """Return the type of state for a name."""
    if isinstance(written, str) and written.upper() in StateType.__members__:
        return StateType[written.upper()]
    known = ", ".join(StateType.__members__)
    raise ConfigurationError(
        "the type of a state", f"there is no {written!r}", f"Use one: {known}."
    )


class StoredValue:
    """A value that is not in memory: it is read each time it is needed.

    Attributes:
        read: returns the value.
        holder: the runner in whose processes it is, to which it can be sent; None for storage.
    """

    __slots__ = ("read",)

    holder: object | None = None

    def __init__(self, read: Callable[[], Any]) -> None:
        self.read = read

    def __repr__(self) -> str:
        return "KEPT"


class _Missing:
    """Stands for a value that was not stored."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()

#: The state of a run before its first event; no store has it.
UNBORN = State(PENDING, "Unborn", None, 0.0)


def Scheduled(message: str | None = None, *, name: str = "Scheduled") -> State:
    """Return the state of a run that waits for its scheduled time."""
    return State(SCHEDULED, name, message)


def Late(message: str | None = None) -> State:
    """Return the state of a run that should have started by now."""
    return State(SCHEDULED, "Late", message)


def AwaitingConcurrencySlot(message: str | None = None) -> State:
    """Return the state of a run that waits for a slot under a limit."""
    return State(SCHEDULED, "AwaitingConcurrencySlot", message)


def AwaitingRetry(message: str | None = None) -> State:
    """Return the state of a run that failed, and waits for its retry."""
    return State(SCHEDULED, "AwaitingRetry", message)


def Pending(message: str | None = None, *, name: str = "Pending") -> State:
    """Return the state of a run that is about to start."""
    return State(PENDING, name, message)


def Submitting(message: str | None = None) -> State:
    """Return the state of a run that is being submitted to its infrastructure."""
    return State(PENDING, "Submitting", message)


def InfrastructurePending(message: str | None = None) -> State:
    """Return the state of a run whose machine or container is being created."""
    return State(PENDING, "InfrastructurePending", message)


def Running(message: str | None = None, *, name: str = "Running") -> State:
    """Return the state of a run that is running."""
    return State(RUNNING, name, message)


def Retrying(message: str | None = None) -> State:
    """Return the state of a run that is running again after a failure."""
    return State(RUNNING, "Retrying", message)


def Completed(message: str | None = None, *, name: str = "Completed", data: object = None) -> State:
    """Return the state of a run that has completed.

    Args:
        message: the reason, for people.
        name: a more specific name than the type's.
        data: the value of the run.
    """
    return State(COMPLETED, name, message, data=data)


def Failed(message: str | None = None, *, name: str = "Failed", data: Any = None) -> State:
    """Return the state of a run that has failed.

    Args:
        message: the reason, for people.
        name: a more specific name than the type's.
        data: the exception.
    """
    return State(FAILED, name, message, data=data)


def Crashed(message: str | None = None, *, name: str = "Crashed", data: object = None) -> State:
    """Return the state of a run whose process or machine died before its end.

    Args:
        message: the reason, for people.
        name: a more specific name than the type's.
        data: the exception.
    """
    return State(CRASHED, name, message, data=data)


def Cancelled(message: str | None = None, *, name: str = "Cancelled", data: object = None) -> State:
    """Return the state of a run that was cancelled.

    Args:
        message: the reason, for people.
        name: a more specific name than the type's.
        data: the exception.
    """
    return State(CANCELLED, name, message, data=data)


def Skipped(message: str) -> State:
    """Return a Skipped state, of type CANCELLED; it does not count as success.

    Args:
        message: why it was skipped; it must not be empty.
    """
    if not message:
        problem, remedy = "the message is empty", "Pass the reason why the run was skipped."
        raise ConfigurationError("a Skipped state", problem, remedy)
    return State(CANCELLED, "Skipped", message)


def Cancelling(message: str | None = None) -> State:
    """Return the state of a run that was asked to cancel, and has not ended yet."""
    return State(CANCELLING, "Cancelling", message)


def Paused(message: str | None = None, *, name: str = "Paused") -> State:
    """Return the state of a run that waits to be resumed."""
    return State(PAUSED, name, message)


def Suspending(message: str | None = None) -> State:
    """Return the state of a run that was asked to suspend itself, and has not yet."""
    return State(RUNNING, "Suspending", message)


def Resuming(message: str | None = None) -> State:
    """Return the state of a paused run that was resumed, and has not continued yet."""
    return State(SCHEDULED, "Resuming", message)


def Suspended(message: str | None = None) -> State:
    """Return the state of a suspended run, which waits without a process to be resumed."""
    return State(PAUSED, "Suspended", message)


def get_state_exception(state: State) -> BaseException:
    """Return the exception of a run; if it was raised in another process, an error that says so.

    Raises:
        ConfigurationError: the state is not a failure.
    """
    if state.type not in {FAILED, CRASHED, CANCELLED}:
        problem = f"a run that is {state.name} has not failed"
        raise ConfigurationError("get_state_exception", problem, "Ask state.is_failed() first.")
    error: BaseException = state.result(raise_on_failure=False)
    return error


def raise_state_exception(state: State) -> None:
    """Raise the exception of a run; do nothing if it has not failed."""
    if state.type in {FAILED, CRASHED, CANCELLED}:
        raise get_state_exception(state)
