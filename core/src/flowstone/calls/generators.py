"""The iterators that calls of generator flows and tasks return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.calls.outcome import unwrap
from flowstone.context.current import has_services, services
from flowstone.engine.blocking_calls import call_blocking
from flowstone.engine.generators import CONSUMER, SyncGeneratorRun
from flowstone.engine.policy import is_cancellation
from flowstone.errors import ConfigurationError, StopSignal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from flowstone.engine.generators import GeneratorParts, GeneratorRun
    from flowstone.records.specs import Spec


def make_iterator(spec: Spec, begin: Callable[[], GeneratorParts], *, isasync: bool) -> object:
    """Return the iterator of a run, which begins with its first value.

    Raises:
        ConfigurationError: a task's values would have to be persisted, which is not supported.
    """
    if spec.kind == "task" and (spec.persist_result or spec.asks_to_keep):
        raise ConfigurationError(
            f"a call of task {spec.name!r}",
            "its values are yielded, not stored, so they can't be cached or persisted",
            f"Use {spec.name}.submit(...), whose result is the list of the values.",
        )
    return aiterate_values(begin) if isasync else iterate_values(begin)


def iterate_values(begin: Callable[[], GeneratorParts]) -> Generator[object, object, object]:
    """Begin a run at the first `next`, and yield its values; return the run's return value."""
    run = SyncGeneratorRun(begin())
    sent: Any = None
    error: BaseException | None = None
    while True:
        value = run.advance(sent, error)
        if run.end is not None:
            return _unwrap_end(run, error)
        run.record_value(value)
        sent = error = None
        try:
            sent = yield value
        except BaseException as raised:  # noqa: BLE001 - the function decides what it means
            error = raised


async def aiterate_values(begin: Callable[[], GeneratorParts]) -> AsyncGenerator[object, object]:
    """Async version of `iterate_values`."""
    # asyncio takes 40 ms to import; a loop is running, so it is imported already.
    from flowstone.engine.async_generators import AsyncGeneratorRun

    if not has_services():
        await call_blocking(services)  # opens the store
    run = AsyncGeneratorRun(begin())
    sent: Any = None
    error: BaseException | None = None
    cancelled: BaseException | None = None
    while True:
        value = await run.advance(sent, error)
        if run.end is not None:
            _unwrap_end(run, error)
            if cancelled is not None:
                raise cancelled
            return
        run.record_value(value)
        sent = error = None
        try:
            sent = yield value
        except BaseException as raised:  # noqa: BLE001 - the function decides what it means
            error = raised
            if is_cancellation(raised):  # the loop ends, and cancelled the closing of this
                error, cancelled = GeneratorExit(), raised


def _unwrap_end(run: GeneratorRun, last: BaseException | None) -> object:
    """Return or raise the result of a run's end, after the caller has thrown in `last`."""
    closed, end = run.progress.closed, run.end
    assert end is not None
    if isinstance(last, GeneratorExit) and isinstance(end.data, StopSignal):
        return None  # the caller no longer wants the result
    if closed is not None and closed.closer != CONSUMER and not isinstance(last, GeneratorExit):
        raise closed  # the loop must not treat this as the last value
    return unwrap(end, return_state=False)
