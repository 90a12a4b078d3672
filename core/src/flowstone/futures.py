"""Futures of submitted tasks, and what waits for many of them."""

from flowstone.calls.distributed_futures import DistributedFuture
from flowstone.calls.futures import (
    DoneAndNotDoneFutures,
    Future,
    FutureList,
    as_completed,
    resolve_futures_to_results,
    resolve_futures_to_states,
    wait,
)
from flowstone.calls.map_stream import FutureStream

__all__ = [
    "DistributedFuture",
    "DoneAndNotDoneFutures",
    "Future",
    "FutureList",
    "FutureStream",
    "as_completed",
    "resolve_futures_to_results",
    "resolve_futures_to_states",
    "wait",
]
