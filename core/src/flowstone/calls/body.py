"""What a run calls: the function itself, one that logs its prints, one in another process."""

from __future__ import annotations

import inspect
from contextlib import ExitStack, aclosing, contextmanager
from functools import partial, update_wrapper
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from flowstone.engine.remote_call import Remote
from flowstone.logging.prints import captured_stdout
from flowstone.logging.run_logger import logged_prints, prints_are_logged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from flowstone.context.current import Scope
    from flowstone.ports import Caller
    from flowstone.records.specs import Spec
    from flowstone.settings import Settings

    #: Turns output into lines of the run's log; False lets it be.
    Output = Callable[[bool], AbstractContextManager[None]]


class Unit(Protocol):
    """A flow or task, as far as its function goes."""

    spec: Spec
    isasync: bool
    yields: bool

    @property
    def fn(self) -> Callable[..., Any]: ...


def callee(
    unit: Unit, settings: Settings, caller: Caller | None, scope: Scope, *, iterated: bool
) -> Callable[..., Any]:
    """Return the function to call: one that logs its prints, or is elsewhere, as is wanted.

    One that yields is iterated over, and then it is itself, or has its values collected.
    """
    fn: Callable[..., Any] = unit.fn
    if unit.yields:
        if iterated:
            return fn
        fn = collecting(fn)
    wanted = unit.spec.log_prints is not None or settings.log_prints  # asked for every task run
    log_prints = _logs_prints(unit.spec, settings) if wanted else None
    if log_prints is not None:
        fn = partial(_acalled if unit.isasync else _called, fn, logged_prints, log_prints)
    if settings.capture_stdout:
        captures = unit.spec.log_prints is not False
        fn = partial(_acalled if unit.isasync else _called, fn, captured_stdout, captures)
    return fn if caller is None else Remote(caller, fn, scope, unit.spec.timeout_seconds)


@contextmanager
def around(spec: Spec, settings: Settings) -> Iterator[None]:
    """Enter what is around a function that yields, in the run's own context."""
    log_prints = _logs_prints(spec, settings)
    with ExitStack() as stack:
        if settings.capture_stdout:
            stack.enter_context(captured_stdout(spec.log_prints is not False))
        if log_prints is not None:
            stack.enter_context(logged_prints(log_prints))
        yield


def _logs_prints(spec: Spec, settings: Settings) -> bool | None:
    """Tell whether prints are logged, or are not any more; None where it stays as it is."""
    if spec.log_prints is None:
        return True if settings.log_prints and not prints_are_logged() else None
    return spec.log_prints


def _called(fn: Callable[..., Any], output: Output, log: bool, *args: Any, **kwargs: Any) -> Any:
    with output(log):
        return fn(*args, **kwargs)


async def _acalled(
    fn: Callable[..., Any], output: Output, log: bool, *args: Any, **kwargs: Any
) -> Any:
    with output(log):
        return await fn(*args, **kwargs)


# ---------------------------------------------------------------- functions that yield


def yields(fn: Callable[..., Any]) -> bool:
    """Tell whether a function is a generator, sync or async."""
    return inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn)


def collecting(fn: Callable[..., Any], most: int | None = None) -> Callable[..., Any]:
    """Return a function whose value is the list of what `fn` yields; `fn` where it does not.

    Args:
        fn: any function.
        most: take no more values than so many.
    """
    if not yields(fn):
        return fn
    collect = _acollected if inspect.isasyncgenfunction(fn) else _collected
    collected = partial(collect, fn, most)
    update_wrapper(collected, fn)  # its source is the function's, for the keys of caches
    return collected


def _collected(fn: Callable[..., Any], most: int | None, *args: Any, **kwargs: Any) -> list[Any]:
    return list(islice(fn(*args, **kwargs), most))


async def _acollected(
    fn: Callable[..., Any], most: int | None, *args: Any, **kwargs: Any
) -> list[Any]:
    values: list[Any] = []
    async with aclosing(fn(*args, **kwargs)) as yielded:
        async for value in yielded:
            values.append(value)
            if len(values) == most:
                break
    return values
