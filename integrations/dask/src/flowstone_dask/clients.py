"""Dask's clients inside a task: of the cluster that the task runs on."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from distributed import Client, get_client, get_worker, rejoin, secede

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractAsyncContextManager


@contextmanager
def get_dask_client(timeout: float | None = None, **client_kwargs: Any) -> Iterator[Client]:
    """Give a client of the cluster that the task runs on, to compute Dask's collections there.

    In a task on a worker, the worker's place is free for others meanwhile. Elsewhere it is the
    current client of the program, or one with a cluster of its own.

    Args:
        timeout: seconds to wait for the connection; None for what Dask's settings say.
        client_kwargs: arguments of `distributed.Client`; with any, it is a client of its own.
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
    """Give an asynchronous client of the cluster that the task runs on.

    Args:
        timeout: as `get_dask_client` has it.
        client_kwargs: as well.
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
    """Leave the worker's pool, where this is a worker: what is computed may need the place."""
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
    """Return the address of the scheduler of the worker that this runs on, or of the client."""
    try:
        return str(get_worker().scheduler.address)
    except ValueError:
        pass
    try:
        client = Client.current()
    except ValueError:
        return None
    return str(client.scheduler.address)
