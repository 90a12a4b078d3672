"""Parallel work with a limit on threads and on pending items."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import copy_context
from itertools import count, islice, takewhile
from threading import Event, Lock
from typing import TYPE_CHECKING, BinaryIO, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

A = TypeVar("A")
B = TypeVar("B")


def map_in_threads(work: Callable[[A], B], items: Iterable[A], workers: int) -> Iterator[B]:
    """Yield the results of `work` on items, in their order.

    Items are fetched as needed: at most twice as many as workers are in progress or waiting. The
    first error stops the rest: pending items are dropped, running ones are waited for.

    Args:
        work: the function to call with each item.
        items: the items; read lazily.
        workers: the maximum number of threads.
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


def send_in_parts(
    source: BinaryIO,
    send: Callable[[int, bytes], A],
    *,
    choose_bytes: Callable[[int], int],
    workers: int,
    bound: AbstractContextManager[object] | None = None,
) -> list[A]:
    """Send a file from its current position in parts, several at a time; return their results.

    Only the parts that are being sent are in memory. The first error stops the rest.

    Args:
        source: read in order, by one thread at a time; it need not be seekable.
        send: takes the number of a part, from 0 on, and its content, which is never empty.
        choose_bytes: returns the size of the part with that number; the last one may be smaller.
        workers: the maximum number of parts sent at a time.
        bound: entered before a part is read and exited once it is sent, by several threads at a
            time: a semaphore that other transfers share.
    """
    reading, ended, numbers = Lock(), Event(), count()

    def read_next() -> tuple[int, bytes] | None:
        with reading:
            if ended.is_set():
                return None
            number = next(numbers)
            try:
                content = _read(source, choose_bytes(number))
            except BaseException:
                ended.set()
                raise
            if not content:
                ended.set()
                return None
        return number, content

    def send_next(_: int) -> tuple[int, A] | None:
        with bound or nullcontext():
            part = read_next()
            return None if part is None else (part[0], send(*part))

    turns = takewhile(lambda _: not ended.is_set(), count())
    try:
        sent = [part for part in map_in_threads(send_next, turns, workers) if part is not None]
    finally:
        ended.set()
    return [part for _, part in sorted(sent, key=lambda numbered: numbered[0])]


def _read(source: BinaryIO, size: int) -> bytes:
    """Return that many bytes, fewer only at the end: a single read of a pipe may return less."""
    chunks: list[bytes] = []
    while size > 0 and (chunk := source.read(size)):
        chunks.append(chunk)
        size -= len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def batches(items: Iterable[A], size: int) -> Iterator[list[A]]:
    """Yield items in lists of that size; `itertools.batched` needs Python 3.12."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
