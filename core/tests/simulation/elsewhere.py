"""Calls of functions in child processes, which can be killed: a `RemoteCaller` with fake time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flowstone.errors import ProcessDied, RunTimeout

if TYPE_CHECKING:
    from flowstone.records.runs import Run

    from .process import Process


class Elsewhere:
    """Calls functions in place of a child process that is killed when its time is over."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def call(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        runs: tuple[Run, Run],
        seconds: float | None,
    ) -> Any:
        node = self._process.nodes[args[0]]
        takes = sum(node.naps)
        if seconds is not None and takes > seconds:
            self._process.begin(node)
            self._process.nap(seconds)
            raise RunTimeout(runs[0].name, seconds)
        if self._process.world.faults.of_child():
            self._process.begin(node)
            raise ProcessDied(runs[0].name, runs[0].id, -9)
        return fn(*args, **kwargs)

    def interrupt(self, thread: int) -> None:
        """The call goes on until it next asks the clock."""
