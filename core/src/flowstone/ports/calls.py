"""What the engine sees of runs that are asked for, submitted, or going on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence

    from flowstone.records.runs import Origin
    from flowstone.records.states import State


class PendingRun(Protocol):
    """A submitted task, as the engine sees it."""

    name: str
    run_id: str
    observed: bool

    def done(self) -> bool:
        """Tell whether it has ended."""

    def withdraw(self) -> bool:
        """End it as CANCELLED if it has not started; tell whether it will not run."""

    def stop(self, error: type[BaseException]) -> None:
        """Raise an error where it runs, as soon as Python code runs there."""

    def wait(self, timeout: float | None = None) -> None:
        """Block until it has ended, or the time is over."""

    async def await_end(self) -> None:
        """Let other coroutines run until it has ended."""

    def final_state(self) -> State:
        """Return the state that it ended in, without counting as somebody looking at it."""


class CallRequest(Protocol):
    """A call of a flow or task, as whoever asked for it put it.

    Attributes:
        unit: the flow or task.
        args, kwargs: what it was given; futures stand in it for their values.
    """

    @property
    def unit(self) -> Any: ...
    @property
    def args(self) -> tuple[Any, ...]: ...
    @property
    def kwargs(self) -> Mapping[str, Any]: ...


class CurrentRun(Protocol):
    """A run as it stands now.

    Attributes:
        origin: what it was, or will be, born with.
        attempt: how often it has been started.
        state: the state that it is in.
        token: of the lease that its root had when it was made; None where that is not known.
        time: the clock of its tree of runs; None if another process drives the run.
    """

    @property
    def origin(self) -> Origin: ...
    @property
    def token(self) -> str | None: ...
    @property
    def time(self) -> Callable[[], float] | None: ...
    @property
    def attempt(self) -> int: ...
    @property
    def state(self) -> State: ...


class RunTransaction(Protocol):
    """The transaction around a run, as the engine sees it."""

    def stage_run(
        self,
        name: str,
        save: Callable[[], None] | None,
        on_commit: Sequence[Callable[..., object]],
        on_rollback: Sequence[Callable[..., object]],
    ) -> Generator[Awaitable[object] | Callable[[], object], object, None]:
        """Take a run that has completed: what to do at the commit, or at a rollback.

        Each item is awaited or called by the caller, who sends its value in. A transaction that
        has ended calls the hooks at once.
        """
