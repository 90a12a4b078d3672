"""The watchdog: calls third-party code in a thread, with a time limit."""

from __future__ import annotations

import sys
from queue import Empty, SimpleQueue
from threading import Thread, get_ident
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

from flowstone.errors import PluginHangs

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

T = TypeVar("T")
Answer = tuple[object, BaseException | None]


class Watchdog:
    """Calls functions one after the other, each with a time limit.

    Python can't kill a thread. One that hangs is abandoned, and the next call uses a new one. What
    the calls print is captured; output of other threads is not affected.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._calls: SimpleQueue[Callable[[], object] | None] | None = None
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._aside = (_Aside(sys.stdout), _Aside(sys.stderr))

    def __enter__(self) -> Self:
        sys.stdout, sys.stderr = self._aside
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        out, err = self._aside
        if sys.stdout is out:
            sys.stdout = out.stream
        if sys.stderr is err:
            sys.stderr = err.stream
        if self._calls is not None:
            self._calls.put(None)

    def call(self, function: Callable[[], T]) -> T:
        """Return what the function returns, or raise what it raises.

        Raises:
            PluginHangs: it did not end within the limit.
        """
        if self._calls is None:
            self._calls, self._answers = SimpleQueue(), SimpleQueue()
            arguments = (self._calls, self._answers)
            thread = Thread(target=_serve, args=arguments, name="flowstone-plugins", daemon=True)
            thread.start()
            for aside in self._aside:
                aside.thread = thread.ident
        self._calls.put(function)
        try:
            value, error = self._answers.get(timeout=self._seconds)
        except Empty:
            self._calls = None
            raise PluginHangs(self._seconds) from None
        if error is not None:
            raise error
        return cast("T", value)

    def take_printed(self) -> str:
        """Return what was printed since the last call."""
        return "".join(aside.take() for aside in self._aside)


def _serve(calls: SimpleQueue[Callable[[], object] | None], answers: SimpleQueue[Answer]) -> None:
    while (function := calls.get()) is not None:
        try:
            answers.put((function(), None))
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            answers.put((None, error))


class _Aside:
    """A stream that captures the output of one thread."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.thread: int | None = None
        self._kept: list[str] = []

    def write(self, text: str) -> int:
        if get_ident() != self.thread:
            return self.stream.write(text)
        self._kept.append(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def take(self) -> str:
        kept, self._kept = "".join(self._kept), []
        return kept
