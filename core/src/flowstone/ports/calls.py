"""Protocols of calls and runs, as the engine sees them."""

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
        """Return whether it has ended."""

    def withdraw(self) -> bool:
        """End it as CANCELLED if it has not started; return whether it will not run."""

    def stop(self, error: type[BaseException]) -> None:
        """Raise an error in its thread, as soon as Python code runs there."""

    def wait(self, timeout: float | None = None) -> None:
        """Block until it has ended, or the timeout has expired."""

    async def await_end(self) -> None:
        """Wait until it has ended without blocking the event loop."""

    def final_state(self) -> State:
        """Return its final state, without marking it as retrieved."""


class CallRequest(Protocol):
    """A call of a flow or task.

    Attributes:
        unit: the flow or task.
        args, kwargs: the arguments; futures are not resolved yet.
    """

    @property
    def unit(self) -> Any: ...
    @property
    def args(self) -> tuple[Any, ...]: ...
    @property
    def kwargs(self) -> Mapping[str, Any]: ...


class CurrentRun(Protocol):
    """The current state of a run.

    Attributes:
        origin: the record of its creation.
        attempt: the number of times it has been started.
        state: its state.
        token: the token of the lease of its root when it was created; None if unknown.
        time: the clock of its tree of runs; None if another process executes the run.
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
        """Add a completed run.

        The caller awaits or calls each item that is yielded, and sends its value in. A transaction
        that has ended calls the hooks at once.

        Args:
            name: the name of the run.
            save: persists the run's result.
            on_commit: the hooks to call at the commit.
            on_rollback: the hooks to call at a rollback.
        """
