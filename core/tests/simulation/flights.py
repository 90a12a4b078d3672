"""The runs of a stream that are in flight: never more than its window has room for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from flowstone import task
from flowstone.context import current
from flowstone.engine.annotations import unmapped
from flowstone.tasks import Task

from .here import here

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.futures import Future

    from .process import Process
    from .programs import Node


class Flight:
    """One stream, in one attempt of its flow."""

    def __init__(self, process: Process, node: Node) -> None:
        self._process, self._node = process, node
        scope = current.scope.get()
        assert scope is not None
        self._root = scope.run.root_id
        self._drawn = self._alive = self.handed = 0
        self.is_walked = False

    def begins(self, future: Future[Any]) -> None:
        """Take note of a run that was drawn."""
        self._drawn += 1
        self._alive += 1
        future.add_done_callback(self._ends)
        used = max(self._alive, self._drawn - self.handed if self.is_walked else 0)
        # What a stop came into is in flight, but the stream has not got it.
        stops = self._process.stops + self._process.world.auditor.requests(self._root)
        self._process.check(
            used <= self._node.window + stops,
            f"{used} runs of stream {self._node.number} are in flight: {self._node.window} may be",
        )
        self._process.futures.append(future)

    def _ends(self, _: object) -> None:
        self._alive -= 1


class Flying(Task[..., Any]):
    """A task whose submitted runs are counted."""

    def _submit(self, *args: Any) -> Future[Any]:
        future = super()._submit(*args)
        here().flights[args[0][0].value].begins(future)  # it is `unmapped`
        return future


def fly(node: Node, work: Callable[..., Any]) -> None:
    """Act out a stream: walk over some of it, and ask for the rest, or leave it."""
    process = here()
    flight = process.flights[node.number] = Flight(process, node)
    unit = _unit(work, node.retries)
    stream = unit.map(unmapped(node.number), iter(range(node.count)), max_in_flight=node.window)
    stream._supply.__class__ = process.world.parts.supply
    flight.is_walked = True
    try:
        for number in range(node.walks):
            future = next(stream)
            flight.handed += 1
            value = future.result(raise_on_failure=False)
            ok = value == (node.number, number) or isinstance(value, BaseException)
            process.check(ok, f"stream {node.number} gave {value!r} as its {number}.")
    finally:
        flight.is_walked = False
    if node.asks:
        values = stream.result(raise_on_failure=False)
        count = len(values) + node.walks
        process.check(count == node.count, f"stream {node.number} gave {count} of {node.count}")


@cache
def _unit(work: Callable[..., Any], retries: int) -> Flying:
    made: Any = task(name="s", retries=retries)(work)
    return Flying(made.fn, made.spec)
