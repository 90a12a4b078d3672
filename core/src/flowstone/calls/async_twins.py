"""Async versions of tasks: `as3_upload` is `s3_upload` in a thread, with the same parameters."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial, wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from flowstone.calls.task import Task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

P = ParamSpec("P")
R = TypeVar("R")


def make_async_twin(
    task: Task[P, R], elsewhere: Callable[[Callable[[], R]], Awaitable[R]] | None = None
) -> Task[P, Coroutine[object, object, R]]:
    """Return the async version of a task, which calls the same function without blocking the loop.

    It has the task's options and parameters, and its name with an ``a`` in front; assign it to that
    name in the same module, so that it can be sent to other processes.

    Args:
        task: a task of a plain function.
        elsewhere: runs blocking work outside the event loop; by default `asyncio.to_thread`.
    """
    fn = task.fn
    name = f"a{fn.__name__}"

    @wraps(fn)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        call = partial(fn, *args, **kwargs)
        if elsewhere is not None:
            return await elsewhere(call)
        # 40 ms to import; an event loop is running, so it is imported already.
        import asyncio

        return await asyncio.to_thread(call)

    run.__name__, run.__qualname__ = name, fn.__qualname__.replace(fn.__name__, name)
    run.__doc__ = f"Async version of `{fn.__name__}`."
    spec = replace(task.spec, name=f"a{task.name}", description=inspect.getdoc(run))
    return Task(run, spec)
