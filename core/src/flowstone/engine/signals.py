"""SIGTERM while a run is driven on the main thread: the run is ended honestly, then the process."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowstone.errors import TerminationSignal

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def honest_end() -> Iterator[None]:
    """Turn SIGTERM into a `TerminationSignal`; after the run is recorded, let it end the process.

    Only where nobody else handles the signal, and only on the main thread, where Python
    delivers it.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except TerminationSignal:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, _: object) -> None:
    raise TerminationSignal(signal.Signals(number).name)
