"""The function that a run calls: itself, with its prints logged, or in another process."""

from __future__ import annotations

from contextlib import ExitStack, aclosing, contextmanager
from functools import partial, update_wrapper
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from flowstone.engine.functions import is_async_generator_function, is_generator_function
from flowstone.engine.remote_call import Remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from flowstone.ports import RemoteCaller
    from flowstone.records.specs import Spec
    from flowstone.settings import Settings

    #: Logs output to the run's log; False leaves it unchanged.
    Output = Callable[[bool], AbstractContextManager[None]]


class CallableUnit(Protocol):
    """The part of a flow or task that concerns its function."""

    spec: Spec
    isasync: bool
    yields: bool

    @property
    def fn(self) -> Callable[..., Any]: ...


def choose_function(
    unit: CallableUnit,
    settings: Settings,
    caller: RemoteCaller | None,
    *,
    iterated: bool,
) -> Callable[..., Any]:
    """Return the function to call: it logs its prints, or runs elsewhere, according to the options.

    A generator function is returned unchanged if it is iterated over; otherwise, its values are
    collected.
    """
    fn: Callable[..., Any] = unit.fn
    if unit.yields:
        if iterated:
            return fn
        fn = collect_values(fn)
    is_sent = caller is not None
    # Called for every task run.
    wanted = unit.spec.log_prints is not None or settings.log_prints or is_sent
    log_prints = _decide_log_prints(unit.spec, settings, is_sent=is_sent) if wanted else None
    call = _acall_with_output if unit.isasync else _call_with_output
    if log_prints is not None:
        fn = partial(call, fn, _redirect_prints, log_prints)
    if settings.capture_stdout:
        fn = partial(call, fn, _capture_stdout, _captures(unit.spec))
    return fn if caller is None else Remote(caller, fn, unit.spec.timeout_seconds)


@contextmanager
def redirect_output(spec: Spec, settings: Settings) -> Iterator[None]:
    """Redirect the output of a generator function, in the run's own context."""
    log_prints = _decide_log_prints(spec, settings)
    with ExitStack() as stack:
        if settings.capture_stdout:
            stack.enter_context(_capture_stdout(_captures(spec)))
        if log_prints is not None:
            stack.enter_context(_redirect_prints(log_prints))
        yield


# `logging` takes 8 ms to import, which the first run of a flow pays.


def _redirect_prints(log: bool) -> AbstractContextManager[None]:
    from flowstone.logging.run_logger import redirect_prints  # see above

    return redirect_prints(log)


def _capture_stdout(log: bool) -> AbstractContextManager[None]:
    from flowstone.logging.prints import capture_stdout  # see above

    return capture_stdout(log)


def _is_logging_prints() -> bool | None:
    from flowstone.logging.run_logger import is_logging_prints  # see above

    return is_logging_prints()


def _decide_log_prints(spec: Spec, settings: Settings, *, is_sent: bool = False) -> bool | None:
    """Return whether to start or stop logging prints; None for no change.

    Args:
        spec: the spec of the flow or task.
        settings: the settings, used if neither the spec nor the enclosing run sets it.
        is_sent: whether the function is called elsewhere, without an enclosing run.
    """
    around = _is_logging_prints()
    if spec.log_prints is not None:
        return spec.log_prints
    if around is None:
        return settings.log_prints or None
    return around if is_sent else None


def _captures(spec: Spec) -> bool:
    return (_is_logging_prints() if spec.log_prints is None else spec.log_prints) is not False


def _call_with_output(
    fn: Callable[..., object], output: Output, log: bool, /, *args: object, **kwargs: object
) -> object:
    with output(log):
        return fn(*args, **kwargs)


async def _acall_with_output(
    fn: Callable[..., Any], output: Output, log: bool, /, *args: Any, **kwargs: Any
) -> Any:
    with output(log):
        return await fn(*args, **kwargs)


# ---------------------------------------------------------------- generator functions


def is_generator(fn: Callable[..., object]) -> bool:
    """Return whether a function is a generator function, sync or async."""
    return is_generator_function(fn) or is_async_generator_function(fn)


def collect_values(fn: Callable[..., Any], most: int | None = None) -> Callable[..., Any]:
    """Return a function that returns the values of `fn` as a list; `fn` if it doesn't yield.

    Args:
        fn: any function.
        most: the maximum number of values.
    """
    if not is_generator(fn):
        return fn
    collect = _acollect if is_async_generator_function(fn) else _collect
    collected = partial(collect, fn, most)
    update_wrapper(collected, fn)  # cache keys use the source of the wrapped function
    return collected


def _collect(fn: Callable[..., Any], most: int | None, /, *args: Any, **kwargs: Any) -> list[Any]:
    return list(islice(fn(*args, **kwargs), most))


async def _acollect(
    fn: Callable[..., Any], most: int | None, /, *args: Any, **kwargs: Any
) -> list[Any]:
    values: list[Any] = []
    async with aclosing(fn(*args, **kwargs)) as yielded:
        async for value in yielded:
            values.append(value)
            if len(values) == most:
                break
    return values
