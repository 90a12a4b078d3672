"""What sends calls of a task to the background, and what serves them there."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, ParamSpec, TypeVar, overload

from flowstone.calls.runnable import Runnable
from flowstone.context import current

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowstone.calls.distributed_futures import DistributedFuture
    from flowstone.calls.signatures import Awaits

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class BackgroundMethods(Runnable[P, R]):
    """The methods of a task whose calls other processes execute."""

    @overload
    def delay(self: Awaits[T], /, *args: object, **kwargs: object) -> DistributedFuture[T]: ...
    @overload
    def delay(self, /, *args: object, **kwargs: object) -> DistributedFuture[R]: ...
    def delay(self, /, *args: object, **kwargs: object) -> object:
        """Send a call to the background, where a process that serves the task executes it.

        Args:
            *args: the function's own arguments; see `apply_async`.
            **kwargs: likewise.
        """
        return self.apply_async(args, kwargs)

    async def adelay(self, /, *args: object, **kwargs: object) -> DistributedFuture[R]:
        """Do as `delay` does; the call is kept when this returns."""
        return await self.aapply_async(args, kwargs)

    def apply_async(
        self,
        args: Iterable[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        wait_for: Iterable[object] | None = None,
        dependencies: Mapping[str, Iterable[object]] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> DistributedFuture[R]:
        """Send a call to the background, where a process that serves the task executes it.

        The call is kept in the store, its arguments sealed, until it is done: it is executed at
        least once, with the options of the task as it is served. On an event loop this returns at
        once, while a thread keeps the call; `aapply_async` waits for that.

        Args:
            args: the function's own arguments. Futures of other background tasks are waited for
                where it is executed; those of submitted tasks here.
            kwargs: likewise.
            wait_for: futures that must have completed before the task starts.
            dependencies: what it depends on beside these, for its record: by any names, futures or
                the ids of runs.
            idempotency_key: many calls of the task by one key are one run, whose future they get.

        Raises:
            ParameterBindError: the arguments do not fit the function.
            NotSerializable: some can't be sent to another process.
            ConfigurationError: the task is a method of an object; or a submitted task has not
                ended, and waiting for it would block the event loop.
        """
        made: DistributedFuture[R]
        if sketch := current.sketch():
            named = {**(kwargs or {}), "wait_for": wait_for}
            made = sketch.submit(self, tuple(args or ()), named)
            return made
        given = self, args, kwargs, wait_for, dependencies, idempotency_key
        # A layer above this one, so it is named, not imported.
        made = import_module("flowstone.background.sending").send(*given)
        return made

    async def aapply_async(
        self,
        args: Iterable[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        wait_for: Iterable[object] | None = None,
        dependencies: Mapping[str, Iterable[object]] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> DistributedFuture[R]:
        """Do as `apply_async` does; the call is kept when this returns."""
        if current.sketch():
            return self.apply_async(args, kwargs, wait_for)
        given = self, args, kwargs, wait_for, dependencies, idempotency_key
        asend = import_module("flowstone.background.sending").asend
        made: DistributedFuture[R] = await asend(*given)
        return made

    def serve(
        self,
        *,
        limit: int | None = 10,
        status_server_port: int | None = None,
        timeout: float | None = None,
    ) -> None:
        """Execute the calls that are sent to the background, until this is stopped.

        The arguments are those of `flowstone.task_worker.serve`, which also takes several tasks.
        """
        serve = import_module("flowstone.background.worker").serve
        serve(self, limit=limit, status_server_port=status_server_port, timeout=timeout)
