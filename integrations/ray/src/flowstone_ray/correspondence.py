"""The messages of one call on a cluster, in the order in which they were sent."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from flowstone_ray.errors import describe_loss

if TYPE_CHECKING:
    from flowstone.task_runners.remote_pool import SentCall
    from flowstone_ray.mailbox import Letter
    from flowstone_ray.worker_calls import CallEnd


class _Execution:
    """The letters of one execution of a call."""

    def __init__(self) -> None:
        self.delivered = 0
        self.early: dict[int, Letter] = {}


class Correspondence:
    """Delivers the letters of a call in order, and then its end, which arrives separately."""

    def __init__(self, call: SentCall) -> None:
        self._call = call
        self._lock = threading.Lock()
        self._executions: defaultdict[str, _Execution] = defaultdict(_Execution)
        self._end: CallEnd | None = None
        self._asking: deque[str] = deque()

    def take_letter(self, letter: Letter) -> None:
        """Accept a letter."""
        with self._lock:
            execution = self._executions[letter.execution]
            execution.early[letter.number] = letter
            while (following := execution.early.pop(execution.delivered, None)) is not None:
                execution.delivered += 1
                if following.is_question:
                    self._asking.append(following.execution)
                self._call.deliver(following.message)
            self._deliver_end()

    def pop_asking(self) -> str:
        """Return the execution that sent the first question without an answer, which is due now."""
        with self._lock:
            return self._asking.popleft()

    def lose(self, error: BaseException) -> None:
        """Report that all further letters are lost."""
        self._call.deliver(describe_loss(error, self._call))

    def take_end(self, end: CallEnd) -> None:
        """Accept the end of the call; some of its letters may still arrive."""
        with self._lock:
            self._end = end
            self._deliver_end()

    def _deliver_end(self) -> None:
        end = self._end
        if end is not None and self._executions[end.execution].delivered == end.letters:
            self._end = None
            self._call.deliver(end.message)
