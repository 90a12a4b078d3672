"""Results and locks that simulated processes share, and what must hold of both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowstone.context import current
from flowstone.errors import ObjectMissing, Unreachable
from flowstone_testing.objects import MemoryObjects

from .faults import CALL
from .here import here

if TYPE_CHECKING:
    from .process import Process
    from .world import World


class Cache:
    """One world's kept results and locks: what is computed under a lock is computed once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.contents: dict[str, bytes] = {}
        self.locks: dict[str, tuple[Process, str]] = {}
        self.makers: dict[str, str] = {}  # the run that has kept each key
        self.busy: dict[str, tuple[Process, str]] = {}  # who computes each key
        self.excused: set[str] = set()  # runs that could not read what is kept
        self._has_lost = False  # somebody its lock, and another one computed beside it

    @contextmanager
    def computing(self, key: str, process: Process, run_id: str) -> Iterator[None]:
        other = self.busy.get(key)
        is_alone = (
            other is None
            or other[0].is_dead
            or any(self._may_be_lost(holder) for holder in (other[0], process))
        )
        process.check(is_alone, f"two compute {key!r} at the same time")
        maker = self.makers.get(key)
        is_excused = run_id in self.excused or self._has_lost or self._may_be_lost(process)
        is_first = maker in {None, run_id} or is_excused
        process.check(is_first, f"{key!r} is computed again, although it is kept")
        self.busy[key] = process, run_id
        try:
            yield
        finally:
            if self.busy.get(key) == (process, run_id):
                del self.busy[key]

    def _may_be_lost(self, holder: Process) -> bool:
        """Return whether a lock may have been lost, by one who could not renew its lease."""
        excused = self._world.locks_by_store and (holder.was_held_up or holder.slot_faults > 0)
        self._has_lost = self._has_lost or excused
        return excused

    def take(self, key: str, holder: str, *, waits: bool) -> bool:
        me, scheduler = here(), self._world.scheduler
        scheduler.pause()

        def is_free() -> bool:
            found = self.locks.get(key)
            return found is None or found[0].is_dead or found[1] == holder

        while not is_free():
            if not waits:
                return False
            scheduler.block(is_free)
        self.locks[key] = me, holder
        return True

    def let_go(self, key: str, holder: str) -> None:
        found = self.locks.get(key)
        if found is not None and found[1] == holder and not found[0].is_dead:
            del self.locks[key]

    def read(self, path: str, run_id: str) -> bytes:
        fault = self._step()
        if fault == "after":
            self.excused.add(run_id)
            raise Unreachable("the simulated results", "they can't be read", "Try again.")
        if path not in self.contents:
            raise ObjectMissing(path, "there is no such object", "Look again.")
        return self.contents[path]

    def write(self, path: str, content: bytes, run_id: str) -> str:
        fault = self._step()
        self.contents[path] = content
        self.makers[path] = run_id
        self._world.tell(f"keep {path}", ())
        self._world.scheduler.pause()
        if fault == "after":
            raise Unreachable("the simulated results", "they can't be written", "Try again.")
        return path

    def _step(self) -> str | None:
        self._world.scheduler.pause()
        fault = self._world.faults.of_call(CALL)
        if fault == "before":
            fault = "after" if self._world.faults.chance(0.5) else None
        if fault == "slow":
            self._world.scheduler.sleep(self._world.faults.seconds())
        return fault


def _run_id() -> str:
    scope = current.scope.get()
    assert scope is not None
    return scope.current.origin.id


class SimBlobs(MemoryObjects):
    """The results of the current world."""

    def read_path(self, path: Any, **_: Any) -> bytes:
        return here().world.cache.read(path, _run_id())

    def write_path(self, path: Any, content: bytes, **_: Any) -> str:
        return here().world.cache.write(path, content, _run_id())


class SimLocks:
    """The locks of the current world."""

    def acquire_lock(self, key: str, holder: str, acquire_timeout: float | None = None) -> bool:
        world = here().world
        if world.parts.leaky_locks:
            return True
        return world.cache.take(key, holder, waits=acquire_timeout is None)

    def release_lock(self, key: str, holder: str) -> None:
        here().world.cache.let_go(key, holder)

    def is_locked(self, key: str) -> bool:
        return key in here().world.cache.locks
