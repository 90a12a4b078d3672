"""Methods of tasks that send calls to the background, and serve them there."""

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
            **kwargs: the function's own keyword arguments.
        """
        return self.apply_async(args, kwargs)

    async def adelay(self, /, *args: object, **kwargs: object) -> DistributedFuture[R]:
        """Async version of `delay`; when it returns, the call has been stored."""
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

        The call is stored, with its arguments encrypted, until it is done. It is executed at least
        once, with the options of the task that is served. On an event loop, this returns at once,
        and a thread stores the call; `aapply_async` waits for that.

        Args:
            args: the function's own arguments. Futures of other background tasks are resolved by
                the process that executes the call, and those of submitted tasks by this one.
            kwargs: the function's own keyword arguments.
            wait_for: futures that must complete before the task starts.
            dependencies: further dependencies to record with the run: futures or run ids, under
                names of your choice.
            idempotency_key: all calls of the task with the same key are one run, and return its
                future.

        Raises:
            ParameterBindError: the arguments do not match the function's signature.
            NotSerializable: an argument can't be sent to another process.
            ConfigurationError: the task is a method of an object; or a submitted task has not
                ended, and waiting for it would block the event loop.
        """
        made: DistributedFuture[R]
        if sketch := current.sketch():
            named = {**(kwargs or {}), "wait_for": wait_for}
            made = sketch.submit(self, tuple(args or ()), named)
            return made
        given = self, args, kwargs, wait_for, dependencies, idempotency_key
        # It belongs to a higher layer, so it is named, not imported.
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
        """Async version of `apply_async`; when it returns, the call has been stored."""
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
        """Execute the calls that are sent to the background, until the process is stopped.

        The arguments are those of `flowstone.task_worker.serve`, which also accepts several tasks.
        """
        serve = import_module("flowstone.background.worker").serve
        serve(self, limit=limit, status_server_port=status_server_port, timeout=timeout)
