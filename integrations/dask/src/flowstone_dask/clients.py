"""Dask clients inside a task, for the cluster that the task runs on."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from distributed import Client, get_client, get_worker, rejoin, secede

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractAsyncContextManager


@contextmanager
def get_dask_client(timeout: float | None = None, **client_kwargs: Any) -> Iterator[Client]:
    """Yield a client of the cluster that the task runs on, to compute Dask collections there.

    In a task on a worker, the task's slot is free for other tasks in the meantime. Elsewhere,
    it is the program's current client, or a new one with its own cluster.

    Args:
        timeout: seconds to wait for the connection; None for the timeout of Dask's settings.
        client_kwargs: arguments of `distributed.Client`; with any, a new client is created.
    """
    if client_kwargs:
        address = _find_scheduler()
        chosen = client_kwargs if address is None else {"address": address, **client_kwargs}
        with _free_place(), Client(timeout=timeout or "30s", **chosen) as client:
            yield client
        return
    client = get_client(timeout=timeout)
    with _free_place(), client.as_current():
        yield client


def get_async_dask_client(
    timeout: float | None = None, **client_kwargs: Any
) -> AbstractAsyncContextManager[Client]:
    """Return an asynchronous client of the cluster that the task runs on.

    Args:
        timeout: see `get_dask_client`.
        client_kwargs: see `get_dask_client`.
    """
    address = _find_scheduler()
    chosen = client_kwargs if address is None else {"address": address, **client_kwargs}
    defaults = {"timeout": timeout or "30s", "asynchronous": True, "set_as_default": False}
    return _open_async_client({**defaults, **chosen})


@asynccontextmanager
async def _open_async_client(options: dict[str, Any]) -> AsyncIterator[Client]:
    with _free_place():
        async with Client(**options) as client:
            yield client


@contextmanager
def _free_place() -> Iterator[None]:
    """Release the slot, if this is a worker: the computation may need it."""
    try:
        get_worker()
    except ValueError:
        yield
        return
    secede()
    try:
        yield
    finally:
        rejoin()


def _find_scheduler() -> str | None:
    """Return the address of the scheduler of the current worker, or of the client."""
    try:
        return str(get_worker().scheduler.address)
    except ValueError:
        pass
    try:
        client = Client.current()
    except ValueError:
        return None
    return str(client.scheduler.address)
