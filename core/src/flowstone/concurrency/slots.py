"""Slots held for the time of a block of code, sync or async; one class for both."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Self

from flowstone.concurrency.leases import warn
from flowstone.context import current
from flowstone.context.current import current_run
from flowstone.engine.blocking_calls import call_blocking
from flowstone.engine.story import arun_story, run_story
from flowstone.engine.thread_errors import cancel_error_in_thread, raise_in_thread
from flowstone.errors import ConfigurationError, SlotsLost
from flowstone.records.limits import KIND, SlotDemand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowstone.engine.story import Story
    from flowstone.ports.slots import TimedSlotRequest


class concurrency:  # noqa: N801 - the name that users know
    """Hold slots inside the block: ``with concurrency("db"):``, or ``async with``.

    Waits until they are free, first come, first served. They are given back at the end of the
    block, however it ends, and when the process dies.

    Args:
        names: of the limits. One that is not there limits nothing; that is said once in a log.
        occupy: how many slots under each of them; all are taken, or none.
        timeout_seconds: how long to wait for them; None waits as long as it takes.
        max_retries: how often to look again; None as often as it takes.
        lease_duration: so many seconds after its last sign of life the slots of a holder are
            free that can't be seen from here, as on another machine. A holder on this machine
            keeps them as long as it lives, and no longer.
        strict: raise where a limit is not there, or the lease is lost.
        holder: who holds them, as others see it; by default the run's name, or the process.
        raise_on_lease_renewal_failure: what happens to the block when the lease is lost: with
            True it is stopped by `SlotsLost`, with False it goes on, and takes the slots again
            when it can; None does as `strict` says.

    Raises:
        SlotTimeout: the time is over, or it was looked often enough; names who holds them.
        ObjectNotFound: with `strict`, there is no such limit; near ones are named.
        ConfigurationError: a limit never has so many slots, or an argument can't be used.
        SlotsLost: see above.
    """

    def __init__(
        self,
        names: str | Sequence[str],
        occupy: int = 1,
        timeout_seconds: float | None = None,
        max_retries: int | None = None,
        lease_duration: float = 300,
        strict: bool = False,
        holder: str | None = None,
        raise_on_lease_renewal_failure: bool | None = None,
    ) -> None:
        self._names = names
        if lease_duration <= 0:
            problem = f"lease_duration={lease_duration!r} ends at once"
            raise ConfigurationError("concurrency()", problem, "Use a number of seconds.")
        self._occupy, self._lease = occupy, lease_duration
        self._patience = timeout_seconds, max_retries
        self._strict, self._owner = strict, holder
        raises = raise_on_lease_renewal_failure
        self._raises = strict if raises is None else raises
        self._held: list[tuple[TimedSlotRequest, Interruption]] = []

    def __enter__(self) -> Self:
        interruption = _InThread() if self._raises else Interruption()
        turn = self._make_request(interruption)
        try:
            turn.wait(*self._patience)
            warn_of_missing(turn)
        except BaseException as error:
            run_story(_end(turn, interruption, type(error)))
            raise
        self._held.append((turn, interruption))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        run_story(_end(*self._held.pop(), kind))

    async def __aenter__(self) -> Self:
        interruption = _InTask() if self._raises else Interruption()
        turn = await call_blocking(self._make_request, interruption)
        try:
            await turn.await_slots(*self._patience)
            await call_blocking(warn_of_missing, turn)
        except BaseException as error:
            await arun_story(_end(turn, interruption, type(error)))
            raise
        self._held.append((turn, interruption))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        await arun_story(_end(*self._held.pop(), kind))

    def _make_request(self, interruption: Interruption) -> TimedSlotRequest:
        return make_slot_request(
            self._names,
            self._occupy,
            self._strict,
            owner=self._owner,
            lease=self._lease,
            on_lost=interruption.fire,
        )


def give_back(turn: TimedSlotRequest) -> Story[None]:
    """Give slots back; an interrupt that comes meanwhile does not keep them."""
    try:
        yield turn.give_back
    except BaseException:
        yield turn.give_back
        raise


def _end(
    turn: TimedSlotRequest, interruption: Interruption, kind: type[BaseException] | None
) -> Story[None]:
    """Give back the slots of a block, even if it was not entered.

    Args:
        turn: the request for the slots.
        interruption: of the block.
        kind: the type of the exception that the block raised, or None.

    Raises:
        SlotsLost: the block was stopped by that.
    """
    try:
        stopped = interruption.end(kind)
    finally:
        yield from give_back(turn)
    if stopped:
        raise SlotsLost(turn.wanted.owner, ", ".join(turn.wanted.names)) from None


class Interruption:
    """What happens to a block whose slots are lost: here, nothing."""

    fire: Callable[[], None] | None = None

    def end(self, kind: type[BaseException] | None) -> bool:  # noqa: ARG002 - others look at it
        """Let the block be; tell whether it was stopped by this."""
        return False


class _Lost(BaseException):
    """Raised in the middle of the block; not an `Exception`, so that no `except` swallows it."""


class _InThread(Interruption):
    """An error put into the thread; it comes up when the thread next runs Python code."""

    def __init__(self) -> None:
        self._error = type("_Lost", (_Lost,), {})
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._over = self._fired = False
        self.fire = self._stop

    def _stop(self) -> None:
        with self._lock:
            if not self._over:
                self._fired = True
                raise_in_thread(self._thread, self._error)

    def end(self, kind: type[BaseException] | None) -> bool:
        with self._lock:
            self._over = True
        came = kind is not None and issubclass(kind, self._error)
        if self._fired and not came:
            cancel_error_in_thread(self._thread)  # it must not come up later
        return came


class _InTask(Interruption):
    """The coroutine is cancelled."""

    def __init__(self) -> None:
        import asyncio  # 40 ms of start-up; here it is running already

        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelled = task, asyncio.CancelledError
        self._over = self._fired = False
        self.fire = self._stop

    def _stop(self) -> None:
        self._task.get_loop().call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if not self._over:
            self._fired = self._task.cancel()

    def end(self, kind: type[BaseException] | None) -> bool:
        self._over = True
        if not self._fired:
            return False
        self._task.uncancel()
        return kind is not None and issubclass(kind, self._cancelled)


def make_slot_request(
    names: str | Sequence[str],
    occupy: int,
    strict: bool,
    *,
    owner: str | None = None,
    lease: float | None = None,
    is_rate: bool = False,
    on_lost: Callable[[], None] | None = None,
) -> TimedSlotRequest:
    """Return a turn under these limits, in the name of the current run.

    Raises:
        ObjectNotFound: with `strict`, there is no such limit.
        ConfigurationError: `occupy` is no count.
    """
    if type(occupy) is not int or occupy < 1:
        problem = f"occupy={occupy!r} is no count of slots"
        raise ConfigurationError("slots under a limit", problem, "Use a whole number from 1 up.")
    services, run = current.services(), current_run()
    gate = services.slot_queue
    several = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    if current.sketch() is not None:
        several = ()  # a drawn flow waits for nothing
    for name in several if strict else ():
        if name not in gate.limits():
            services.documents.get(KIND, name)
    if owner is None:
        owner = f"pid {os.getpid()}" if run is None else run.name
    wanted = SlotDemand(
        several, occupy, owner, None if run is None else run.id, lease, is_rate, on_lost
    )
    return gate.make_request(wanted)


_told: set[str] = set()


def warn_of_missing(turn: TimedSlotRequest) -> None:
    """Warn of limits that are not there, once for each."""
    missing = set(turn.wanted.names) - set(turn.taken or ()) - _told
    if missing:
        for name in sorted(missing - current.services().slot_queue.limits().keys()):
            _told.add(name)
            warn(
                f"there is no limit {name!r}, so it limits nothing. Make it by "
                f"`flowstone limit set {name} --slots N`, or pass strict=True to have this raise."
            )
