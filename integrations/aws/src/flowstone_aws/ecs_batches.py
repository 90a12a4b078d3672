"""ECS tasks that are polled at the same time, described by one request."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowstone_aws.records import Record

#: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html
MOST_TASKS = 100


@dataclass(slots=True, eq=False)
class _Question:
    """A task that a caller waits to have described."""

    arn: str
    found: Record | None = None
    error: Exception | None = None
    has_answer: bool = False


@dataclass(slots=True)
class TaskBatches:
    """Describes the tasks of a cluster, one request at a time.

    Callers that arrive during a request wait for it; then one of them sends a request for all.
    """

    _waiting: list[_Question] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def describe(self, arn: str, ask: Callable[[Sequence[str]], list[Record]]) -> Record | None:
        """Return a task as ECS describes it; None if there is no such task.

        Args:
            arn: the ARN of the task.
            ask: describes up to 100 tasks.
        """
        question = _Question(arn)
        with self._lock:
            self._waiting.append(question)
        with self._turn:
            while not question.has_answer:
                self._ask(ask)
        if question.error is not None:
            raise question.error
        return question.found

    def _ask(self, ask: Callable[[Sequence[str]], list[Record]]) -> None:
        with self._lock:
            questions = self._waiting[:MOST_TASKS]
        error, found = None, {}
        try:
            arns = list(dict.fromkeys(each.arn for each in questions))
            found = {task["taskArn"]: task for task in ask(arns)}
        except Exception as failed:  # noqa: BLE001 - each who waits gets it
            error = failed
        with self._lock:
            self._waiting = [each for each in self._waiting if each not in questions]
        for each in questions:
            each.found, each.error, each.has_answer = found.get(each.arn), error, True
