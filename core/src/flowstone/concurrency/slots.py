"""Slots held for the duration of a block of code, sync or async."""

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

    Waits until they are free, first come, first served. They are freed at the end of the block,
    even if it raises, and when the process dies.

    Args:
        names: the names of the limits. A limit that does not exist is not enforced; a warning is
            logged once.
        occupy: the number of slots under each of them; all are taken, or none.
        timeout_seconds: seconds to wait for them; None to wait forever.
        max_retries: the maximum number of retries; None for no maximum.
        lease_duration: if the holder's process can't be checked, as on another machine, its slots
            are freed this many seconds after its last heartbeat. A holder on this machine keeps
            them exactly as long as its process is alive.
        strict: whether to raise if a limit does not exist, or if the lease is lost.
        holder: the name of the holder, for others to see; by default that of the run or process.
        raise_on_lease_renewal_failure: what to do if the lease is lost: True stops the block with
            `SlotsLost`, False lets it continue, and takes the slots again when possible; None does
            what `strict` says.

    Raises:
        SlotTimeout: the timeout or the number of retries is exceeded; the message lists holders.
        ObjectNotFound: with `strict`, there is no such limit; the message lists similar names.
        ConfigurationError: a limit has fewer slots than requested, or an argument is not valid.
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
    """Free slots, even if an interrupt arrives in the meantime."""
    try:
        yield turn.give_back
    except BaseException:
        yield turn.give_back
        raise


def _end(
    turn: TimedSlotRequest, interruption: Interruption, kind: type[BaseException] | None
) -> Story[None]:
    """Free the slots of a block, even if it was not entered.

    Args:
        turn: the request for the slots.
        interruption: the interruption of the block.
        kind: the type of the exception that the block raised, or None.

    Raises:
        SlotsLost: the block was stopped because of that.
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
        """Stop interrupting; return whether the block was stopped by this."""
        return False


class _Lost(BaseException):
    """Raised in the middle of the block; not an `Exception`, so that no `except` swallows it."""


class _InThread(Interruption):
    """Raises an error in the thread when it next runs Python code."""

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
            cancel_error_in_thread(self._thread)  # it must not be raised later
        return came


class _InTask(Interruption):
    """Cancels the coroutine."""

    def __init__(self) -> None:
        import asyncio  # takes 40 ms to import; in a coroutine it is loaded already

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
    """Return a request for these limits, on behalf of the current run.

    Raises:
        ObjectNotFound: with `strict`, there is no such limit.
        ConfigurationError: `occupy` is not a valid number.
    """
    if type(occupy) is not int or occupy < 1:
        problem = f"occupy={occupy!r} is not a number of slots"
        raise ConfigurationError("slots under a limit", problem, "Use a whole number from 1 up.")
    services, run = current.services(), current_run()
    gate = services.slot_queue
    several = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    if current.sketch() is not None:
        several = ()  # a flow that is only drawn waits for nothing
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
    """Warn about limits that don't exist, once for each."""
    missing = set(turn.wanted.names) - set(turn.taken or ()) - _told
    if missing:
        for name in sorted(missing - current.services().slot_queue.limits().keys()):
            _told.add(name)
            warn(
                f"there is no limit {name!r}, so nothing is limited. Create it with "
                f"`flowstone limit set {name} --slots N`, or pass strict=True to raise an error."
            )
