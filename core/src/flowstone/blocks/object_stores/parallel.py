"""Work done in parallel with a bound on threads and on what waits."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

A = TypeVar("A")
B = TypeVar("B")


def map_in_threads(work: Callable[[A], B], items: Iterable[A], workers: int) -> Iterator[B]:
    """Yield the results of `work` on items, in their order.

    Items are taken as they are needed: at most twice as many as workers are under way or waiting.
    The first error stops the rest: what has not begun is dropped, what has is waited for.
    """
    waiting: deque[Future[B]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="flowstone-transfer")
    try:
        for item in items:
            waiting.append(pool.submit(copy_context().run, work, item))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def batches(items: Iterable[A], size: int) -> Iterator[list[A]]:
    """Yield items in lists of so many; `itertools.batched` comes with Python 3.12 only."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
