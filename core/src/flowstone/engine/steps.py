"""What a run's life asks of the world; the drivers do it and hand the answer back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowstone.ports import Promise
    from flowstone.states import State, StateType


@dataclass(frozen=True, slots=True)
class Record:
    """Put the run into a state. Answer: that `State`."""

    type: StateType
    name: str
    message: str | None = None
    data: Any = None


@dataclass(frozen=True, slots=True)
class Call:
    """Call the function. Answer: its value; what it raises is thrown in."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Consult:
    """Call a hook or a condition, sync or async, with unit, run and state. Answer: its value."""

    fn: Callable[..., Any]
    unit: Any
    state: State


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until each has ended. Answer: None."""

    promises: Sequence[Promise]


@dataclass(frozen=True, slots=True)
class Settle:
    """Bring to an end all that was submitted in this run. Answer: what ended badly, unobserved.

    Attributes:
        error: why the run ends; None where it simply returned. With an error, what has not
            started is cancelled; with a stop signal or an interrupt, what runs is told to stop.
    """

    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait. Answer: None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Say:
    """Log a line about the run. Answer: None."""

    level: int
    message: str
    error: BaseException | None = None


Step = Record | Call | Consult | Await | Settle | Sleep | Say
