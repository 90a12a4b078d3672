"""What ends a run from outside: SIGTERM, and a request to cancel it."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from flowstone.errors import CancelSignal, TerminationSignal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_cancelled = False


@contextmanager
def honest_end() -> Iterator[Callable[[], None]]:
    """Let a sync run be ended from outside; yields what ends it, from any thread.

    On the main thread, where nobody else handles SIGTERM, the signal becomes a
    `TerminationSignal` in the run, and ends the process once the run is recorded. A request to
    cancel comes the same way, as it breaks into blocking calls. On another thread, it is raised
    when that thread next runs Python code.
    """
    global _cancelled
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield partial(_cancel_thread, threading.get_ident())
        return
    _cancelled = False
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield partial(_cancel_main, threading.get_ident())
    except TerminationSignal:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, _: object) -> None:
    global _cancelled
    if _cancelled:
        _cancelled = False
        raise CancelSignal
    raise TerminationSignal(signal.Signals(number).name)


def _cancel_main(thread: int) -> None:
    global _cancelled
    if hasattr(signal, "pthread_kill"):
        _cancelled = True
        signal.pthread_kill(thread, signal.SIGTERM)
    else:
        _cancel_thread(thread)


def _cancel_thread(thread: int) -> None:
    # ctypes: 5 ms of start-up that only a run that is cancelled pays.
    from flowstone.engine.timeouts import put_error  # noqa: PLC0415

    put_error(thread, CancelSignal)


def task_canceller() -> Callable[[], None]:
    """Return what cancels the async run that asks, from any thread."""
    import asyncio  # noqa: PLC0415 - 40 ms of start-up; here it is running already

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def cancel() -> None:
        loop.call_soon_threadsafe(task.cancel)

    return cancel
