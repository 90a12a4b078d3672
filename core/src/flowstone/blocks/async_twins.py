"""Async versions: `aread_path` is `read_path` in a thread, with the same parameters and types."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")

#: Number of items of a sync iterator that are fetched per call of a thread.
BATCH = 256


async def run_in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function in a thread, without blocking the event loop."""
    import asyncio  # takes 40 ms to import; in a coroutine it is loaded already

    return await asyncio.to_thread(function, *args, **kwargs)


def make_twin(
    method: Callable[Concatenate[S, P], T],
    elsewhere: Callable[[Callable[[], T]], Awaitable[T]] = run_in_thread,
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Return the async version of a method, which calls the method as subclasses override it.

    Args:
        method: the sync method.
        elsewhere: does blocking work without blocking the event loop.
    """
    name = method.__name__

    @wraps(method)
    async def run(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await elsewhere(lambda: getattr(self, name)(*args, **kwargs))
        return result

    run.__name__, run.__qualname__ = f"a{name}", method.__qualname__.replace(name, f"a{name}")
    run.__doc__ = f"Async version of `{name}`."
    return cast("Callable[Concatenate[S, P], Coroutine[Any, Any, T]]", run)


async def run_stoppable(
    work: Callable[[], T], stop: Callable[[], object], *, grace_seconds: float | None = None
) -> T:
    """Do blocking work in a thread; if the coroutine is cancelled, stop the work first.

    Args:
        work: the blocking work; it runs in the caller's context.
        stop: called from the event loop to stop the work.
        grace_seconds: seconds to wait for the work to end after that; None to wait forever.
    """
    import asyncio  # as above

    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait({running}, timeout=grace_seconds)
        if running.done():
            running.exception()  # or asyncio would log that it was never retrieved
        raise


async def iterate(items: Callable[[], Iterable[T]], batch: int = BATCH) -> AsyncIterator[T]:
    """Iterate over a blocking iterable in threads, a batch at a time, and close it at the end."""
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
