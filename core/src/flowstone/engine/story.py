"""Stories: generators that yield awaitables or calls, with the same code for sync and async."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextvars import copy_context
from typing import Any, TypeVar

from flowstone.engine.blocking_calls import call_blocking
from flowstone.engine.functions import is_awaitable

T = TypeVar("T")
#: An awaitable, or a function to call that may block.
Pending = Awaitable[object] | Callable[[], object]
#: A generator of awaitables or calls; each value is sent in.
Story = Generator[Pending, object, T]
#: A function and its arguments.
Call = tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]]
#: A generator of calls. Their values or errors are sent in; an error that is thrown in could not
#: be distinguished from the end of a story that is closed.
CallStory = Generator[Call, tuple[Any, BaseException | None], T]


def run_story(story: Story[T]) -> T:
    """Run a story in sync code, with a new loop for each awaitable."""
    return _run_to_end(_tell(story, _block_on))


async def arun_story(
    story: Story[T], call: Callable[[Callable[[], object]], Awaitable[object]] = call_blocking
) -> T:
    """Run a story on the event loop that is running.

    Args:
        story: the story.
        call: makes a blocking call in a thread.
    """

    async def wait(pending: Pending) -> object:
        return await (pending if is_awaitable(pending) else call(pending))

    return await _tell(story, wait)


async def _tell(story: Story[T], wait: Callable[[Pending], Awaitable[object]]) -> T:
    try:
        pending = next(story)
        while True:
            try:
                value = await wait(pending)
            except BaseException as error:  # noqa: BLE001 - the story decides what it means
                pending = story.throw(error)
            else:
                pending = story.send(value)
    except StopIteration as stop:
        end: T = stop.value
        return end


async def _block_on(pending: Pending) -> object:
    """Wait, blocking the loop, as it has no other coroutines."""
    return run_awaitable(pending) if is_awaitable(pending) else pending()


def _run_to_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits for a loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    raise AssertionError(coroutine)


def run_awaitable(awaitable: Awaitable[T]) -> T:
    """Return the value of an awaitable in sync code, such as an async hook of a sync run.

    If a loop runs in this thread already, the awaitable gets its own thread and loop.
    """
    import asyncio  # 40 ms to import, which most runs don't need

    async def wait() -> T:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    # Only needed beside a running loop; it can't be imported while the process exits.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1, "flowstone-hook") as aside:
        return aside.submit(copy_context().run, asyncio.run, wait()).result()


# ---------------------------------------------------------------- calls


def make_calls(story: CallStory[T]) -> T:
    """Make the calls that a story yields."""
    try:
        fn, args, kwargs = next(story)
        while True:
            try:
                value = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - the story decides what it means
                fn, args, kwargs = story.send((None, error))
            else:
                fn, args, kwargs = story.send((value, None))
    except StopIteration as stop:
        end: T = stop.value
        return end


async def amake_calls(story: CallStory[T]) -> T:
    """Async version of `make_calls`."""
    try:
        fn, args, kwargs = next(story)
        while True:
            try:
                value = await fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - the story decides what it means
                fn, args, kwargs = story.send((None, error))
            else:
                fn, args, kwargs = story.send((value, None))
    except StopIteration as stop:
        end: T = stop.value
        return end
