"""What the caller gets when a run has ended: a value, a state, or an error."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeGuard

from flowstone.context import current
from flowstone.engine.blocking_calls import call_blocking, finish_blocking
from flowstone.errors import StoreError
from flowstone.records.states import COMPLETED, StoredValue

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from flowstone.records.specs import Spec
    from flowstone.records.states import State


def reraise_stop_signal(state: State) -> None:
    """Raise the signal that ended the run again, so that it ends the program."""
    if _is_stop(state.data):
        with suppress(StoreError):  # logs of the final hooks; a signal leaves no time for more
            current.services().journal.flush()
        raise _trim_traceback(state.data)


def show_tree(spec: Spec) -> AbstractContextManager[object]:
    """Show the live tree of a root flow run, if the settings and the terminal allow it."""
    if spec.kind == "task" or not current.services().settings.live_tree:
        return nullcontext()
    # It belongs to a higher layer, so it is named, not imported.
    show: Callable[[], AbstractContextManager[object]]
    show = import_module("flowstone.cli.run.screen").show_alone
    return show()


async def areraise_stop_signal(state: State) -> None:
    """Async version of `reraise_stop_signal`."""
    if _is_stop(state.data):
        with suppress(StoreError):  # as above; a cancellation has no further effect
            await finish_blocking(current.services().journal.flush, [])
        raise _trim_traceback(state.data)


def _is_stop(data: object) -> TypeGuard[BaseException]:
    return isinstance(data, BaseException) and not isinstance(data, Exception)


async def aunwrap(state: State, return_state: bool) -> object:
    """Async version of `unwrap`."""
    if _is_stop(state.data):
        raise _trim_traceback(state.data)  # its logs are flushed at the end of the root
    if isinstance(state.data, StoredValue) and not return_state:
        return await call_blocking(unwrap, state, return_state)
    return unwrap(state, return_state)


def unwrap(state: State, return_state: bool) -> Any:
    """Return the value or state, or raise the error without the engine's frames."""
    reraise_stop_signal(state)
    if return_state:
        return state
    if isinstance(state.data, BaseException) and state.type is not COMPLETED:
        raise _trim_traceback(state.data)
    return state.result()


def _trim_traceback(error: BaseException) -> BaseException:
    """Let the error's traceback begin with the first frame outside of the engine; return it."""
    traceback = error.__traceback__
    while traceback is not None:
        if not traceback.tb_frame.f_globals.get("__name__", "").startswith("flowstone."):
            break
        traceback = traceback.tb_next
    return error.with_traceback(traceback)
