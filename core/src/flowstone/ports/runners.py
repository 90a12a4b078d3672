"""The ports of task runners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from flowstone.records.runs import Run


class RemoteCaller(Protocol):
    """Calls functions in other processes; the lives of the runs are driven in this one."""

    def call(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        runs: tuple[Run, Run],
        seconds: float | None,
    ) -> Any:
        """Call the function; return its value or raise its error.

        The value may be represented by a `StoredValue` whose holder is the caller: it stays where
        it was created, may be an argument of other calls, and is read when it is needed.

        Args:
            fn: a sync or async function.
            args: its positional arguments.
            kwargs: its keyword arguments.
            runs: the run that it belongs to, and the flow run around that.
            seconds: the timeout after which it is killed; None for no limit.

        Raises:
            NotSendable: the function, an argument or the value can't be sent.
            ProcessDied: the process exited before the call ended.
            RunTimeout: the call took too long.
        """

    def interrupt(self, thread: int) -> None:
        """Kill the call that a thread waits for."""


class RunnerSettings(Protocol):
    """The settings of task runners, used unless they have their own options."""

    @property
    def max_workers(self) -> int:
        """The maximum number of runs at a time."""

    @property
    def max_in_flight(self) -> int | None:
        """The maximum number of calls of each `.map` in flight."""


class Runner(Protocol):
    """Runs submitted calls: each one once, at some time, elsewhere.

    Attributes:
        max_in_flight: the default maximum of calls in flight of a `.map`; None for no maximum.
        caller: calls functions elsewhere than the rest of a run; None to call them here.
    """

    max_in_flight: int | None
    caller: RemoteCaller | None

    def submit(self, call: Callable[[], None]) -> None:
        """Run a call, which never raises."""

    def submit_async(self, call: Callable[[], Coroutine[object, object, None]]) -> None:
        """Run a call of a coroutine function, which never raises, on the runner's event loop."""

    def close(self) -> None:
        """Stop accepting calls; those that have not begun may be dropped."""
