"""Where submitted calls run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from flowstone.records.runs import Run


class RemoteCaller(Protocol):
    """Calls functions in other processes, while the runs' lives are driven here."""

    def call(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        runs: tuple[Run, Run],
        seconds: float | None,
    ) -> Any:
        """Call the function; return its value or raise its error.

        A `StoredValue` whose holder is the caller may stand for a value that stays where it was
        made. It comes back among the arguments of other calls, and is read where it is asked for.

        Args:
            fn: sync or async.
            args: its arguments.
            kwargs: those by name.
            runs: the run that it belongs to, and the flow run around that.
            seconds: after so long it is killed; None for no limit.

        Raises:
            NotSendable: the function, an argument or the value can't be sent.
            ProcessDied: the process ended before the call did.
            RunTimeout: the call took too long.
        """

    def interrupt(self, thread: int) -> None:
        """Kill the call that a thread waits for."""


class RunnerSettings(Protocol):
    """What a task runner reads of the settings, where it is not told otherwise."""

    @property
    def max_workers(self) -> int:
        """The number of runs that are driven at once."""

    @property
    def max_in_flight(self) -> int | None:
        """The window of each `.map`."""


class Runner(Protocol):
    """Where submitted calls run: each once, some time, elsewhere.

    Attributes:
        max_in_flight: the window of each `.map` that does not say; None for no window.
        caller: makes the calls of functions elsewhere than the rest of a run; None for here.
    """

    max_in_flight: int | None
    caller: RemoteCaller | None

    def submit(self, call: Callable[[], None]) -> None:
        """Run a call, which never raises."""

    def submit_async(self, call: Callable[[], Coroutine[object, object, None]]) -> None:
        """Run a coroutine function's call, which never raises, on an event loop of the runner's."""

    def close(self) -> None:
        """Take no more; what was taken and has not begun may be dropped."""
