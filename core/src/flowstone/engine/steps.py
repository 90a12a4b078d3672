"""What a run's life asks of the world; the drivers do it and hand the answer back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowstone.records.record import fact

if TYPE_CHECKING:
    from flowstone.errors import ClosedEarly
    from flowstone.ports import CacheLookup, PendingRun, RunTransaction
    from flowstone.ports.slots import SlotRequest
    from flowstone.records.states import State, StateType


#: The levels of log lines, as `logging` has them, which takes 8 ms to import.
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
    """Call the function. Answer: its value; what it raises is thrown in."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    timeout: float | None = None


class YieldProgress:
    """How many values of a run were handed out, and how it was closed, where it was."""

    __slots__ = ("closed", "count")

    def __init__(self) -> None:
        self.count = 0
        self.closed: ClosedEarly | None = None


@fact
class Iterate:
    """Call the function, and hand out what it yields. Answer: what it returned in the end.

    It is thrown in what the function raises, or the progress's `closed`.
    The drivers leave it to who called them, as the consumer's code runs between two values.
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
    """Take slots under the limits of the run's tags. Answer: None, or what is in the way."""

    request: SlotRequest


@fact
class AwaitSlots:
    """Wait until the slots are taken. Answer: None."""

    request: SlotRequest


@fact
class ReleaseSlots:
    """Give the slots back, or leave the queue. Answer: None."""

    request: SlotRequest


@fact
class Load:
    """Look for a kept result of this call. Answer: a `CacheLookup`."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@fact
class Save:
    """Keep the result, or stage it in the transaction around the run. Answer: None."""

    look: CacheLookup
    value: Any


@fact
class StageInTransaction:
    """Hand a completed run to the transaction around it. Answer: None."""

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
    """Let others compute this call again, also where the look was not finished. Answer: None."""

    look: CacheLookup | None


@fact
class Await:
    """Wait until each has ended. Answer: None."""

    promises: Sequence[PendingRun]


@fact
class FinishChildren:
    """Bring to an end all that was submitted in this run.

    Answer: what ended badly, unobserved; with an error, what could not be stopped.

    Attributes:
        error: why the run ends; None where it simply returned. With an error, what has not
            started is cancelled; with a stop signal or an interrupt, what runs is told to stop.
        is_late: whether the run has exceeded its own timeout; then, too, what runs is told to stop.
    """

    error: BaseException | None
    is_late: bool = False


@fact
class Sleep:
    """Wait. Answer: None."""

    seconds: float


@fact
class Refresh:
    """See what others have made of the run, and go on from there. Answer: now, and its `State`."""


@fact
class FindRequest:
    """See whether others ask the run to end. Answer: their reason, or None."""


@fact
class Resume:
    """Go on with a paused run, in the same attempt. Answer: whether somebody has resumed it."""


@fact
class Suspend:
    """Give the run up, to be executed again elsewhere. Answer: the `State` that it is left in."""

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
