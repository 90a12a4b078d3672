"""Async twins: `aread_path` is `read_path` in a thread, with the same parameters and types."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")

#: So many items of a sync iterator are fetched in one visit to a thread.
BATCH = 256


async def run_in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function in a thread, and let other coroutines run meanwhile."""
    import asyncio  # 40 ms of start-up; here it is running already

    return await asyncio.to_thread(function, *args, **kwargs)


def make_twin(
    method: Callable[Concatenate[S, P], T],
    elsewhere: Callable[[Callable[[], T]], Awaitable[T]] = run_in_thread,
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Return the async twin of a method; it calls whatever a subclass made of the method.

    Args:
        method: the sync one.
        elsewhere: does blocking work, and lets other coroutines run meanwhile.
    """
    name = method.__name__

    @wraps(method)
    async def run(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await elsewhere(lambda: getattr(self, name)(*args, **kwargs))
        return result

    run.__name__, run.__qualname__ = f"a{name}", method.__qualname__.replace(name, f"a{name}")
    run.__doc__ = f"Call `{name}` without blocking the event loop."
    return cast("Callable[Concatenate[S, P], Coroutine[Any, Any, T]]", run)


async def run_stoppable(
    work: Callable[[], T], stop: Callable[[], object], *, grace_seconds: float | None = None
) -> T:
    """Do blocking work in a thread; if the coroutine is cancelled, stop the work first.

    Args:
        work: what to do; it sees the context of the caller.
        stop: called from the event loop to make the work end.
        grace_seconds: how long to wait for its end then; None for as long as it takes.
    """
    import asyncio  # as above

    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait({running}, timeout=grace_seconds)
        if running.done():
            running.exception()  # it is known why it has ended
        raise


async def iterate(items: Callable[[], Iterable[T]], batch: int = BATCH) -> AsyncIterator[T]:
    """Walk a blocking iterable in threads, a batch at a time, and close it at the end."""
    iterator = await run_in_thread(lambda: iter(items()))

    def some() -> list[T]:
        return [item for _, item in zip(range(batch), iterator, strict=False)]

    try:
        while found := await run_in_thread(some):
            for item in found:
                yield item
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            await run_in_thread(close)
