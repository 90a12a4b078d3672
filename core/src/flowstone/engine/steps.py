"""The steps of a lifecycle; drivers perform them and return the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowstone.records.record import fact

if TYPE_CHECKING:
    from flowstone.errors import ClosedEarly
    from flowstone.ports import CacheLookup, PendingRun, RunTransaction
    from flowstone.ports.slots import SlotRequest
    from flowstone.records.states import State, StateType


#: The levels of `logging`, which takes 8 ms to import.
INFO, WARNING, ERROR = 20, 30, 40


@fact
class Record:
    """Put the run into a state. Answer: that `State`."""

    type: StateType
    name: str
    message: str | None = None
    data: Any = None


@fact
class CallFunction:
    """Call the function. Answer: its value; its error is thrown in."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    timeout: float | None = None


class YieldProgress:
    """The number of values that a run has yielded, and how it was closed, if it was."""

    __slots__ = ("closed", "count")

    def __init__(self) -> None:
        self.count = 0
        self.closed: ClosedEarly | None = None


@fact
class Iterate:
    """Call the function, and yield its values. Answer: its return value.

    The function's error, or the progress's `closed`, is thrown in. Drivers leave this step to their
    callers, as the consumer's code runs between two values.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    timeout: float | None = None


@fact
class CallHook:
    """Call a hook or a condition, sync or async, with unit, run and state. Answer: its value."""

    fn: Callable[..., Any]
    unit: Any
    state: State


@fact
class AcquireSlots:
    """Take slots under the limits of the run's tags. Answer: None, or the reason why not."""

    request: SlotRequest


@fact
class AwaitSlots:
    """Wait until the slots are taken. Answer: None."""

    request: SlotRequest


@fact
class ReleaseSlots:
    """Release the slots, or leave the queue. Answer: None."""

    request: SlotRequest


@fact
class Load:
    """Look up the stored result of this call. Answer: a `CacheLookup`."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@fact
class Save:
    """Store the result, or stage it in the enclosing transaction. Answer: None."""

    look: CacheLookup
    value: Any


@fact
class StageInTransaction:
    """Add a completed run to the enclosing transaction. Answer: None."""

    around: RunTransaction
    look: CacheLookup | None
    value: Any
    on_commit: tuple[Callable[..., Any], ...]
    on_rollback: tuple[Callable[..., Any], ...]


@fact
class ReadValues:
    """Call a function that reads persisted values. Answer: what it returns."""

    fn: Callable[[], object]


@fact
class Unlock:
    """Release the lock on the cache key, even if the lookup did not finish. Answer: None."""

    look: CacheLookup | None


@fact
class Await:
    """Wait until each has ended. Answer: None."""

    promises: Sequence[PendingRun]


@fact
class FinishChildren:
    """Finish all tasks that were submitted in this run.

    Answer: unobserved failures; with an error, the tasks that could not be stopped.

    Attributes:
        error: the error that ends the run; None if it returned. With an error, tasks that have not
            started are cancelled; with a stop signal or an interrupt, running ones are stopped.
        is_late: whether the run has exceeded its own timeout; running tasks are then stopped, too.
    """

    error: BaseException | None
    is_late: bool = False


@fact
class Sleep:
    """Wait. Answer: None."""

    seconds: float


@fact
class Refresh:
    """Read the run from the store, and continue from there. Answer: the time, and its `State`."""


@fact
class FindRequest:
    """Check for a request to end the run. Answer: its reason, or None."""


@fact
class Resume:
    """Continue a paused run in the same attempt. Answer: whether it was resumed by a request."""


@fact
class Suspend:
    """Release the run, to be executed again elsewhere. Answer: the `State` that it is left in."""

    message: str
    data: BaseException


@fact
class Log:
    """Log a line about the run. Answer: None."""

    level: int
    message: str
    error: BaseException | None = None


Step = (
    Record
    | CallFunction
    | Iterate
    | CallHook
    | AcquireSlots
    | AwaitSlots
    | ReleaseSlots
    | Load
    | Save
    | StageInTransaction
    | ReadValues
    | Unlock
    | Await
    | FinishChildren
    | Sleep
    | Refresh
    | FindRequest
    | Resume
    | Suspend
    | Log
)
