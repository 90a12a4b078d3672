"""What arrives in an object store: wait for one object, or take each new one once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from flowstone.blocks.object_stores.cursors import FolderCursor
from flowstone.context import current
from flowstone.context.current import services
from flowstone.engine.story import arun_story, run_story
from flowstone.errors import ConfigurationError, ObjectMissing, ObjectTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from flowstone.blocks.object_stores.paths import ObjectInfo, ObjectPath
    from flowstone.blocks.object_stores.provider import ObjectStoreProvider

Action: TypeAlias = Literal["keep", "move", "delete"]

#: No sleep is longer, in seconds: a run in a thread is cancelled when its code next runs.
NAP = 1.0


class WatchedStore(Protocol):
    """What is asked of an `ObjectStore` here."""

    def make_provider(self) -> ObjectStoreProvider: ...
    def object_info(self, path: ObjectPath) -> ObjectInfo: ...
    def delete_object(self, path: ObjectPath) -> None: ...
    def move_object(self, from_path: ObjectPath, to_path: ObjectPath) -> str: ...
    def list_objects(
        self, folder: ObjectPath = "", *, pattern: str | None = None
    ) -> Iterator[ObjectInfo]: ...


class Watch:
    """Waits for an object that is there, and stays as it is for a while.

    Args:
        store: where.
        path: the object.
        timeout: seconds to wait; None for ever.
        unchanged_for: seconds for which neither size nor etag may change.
        poll_seconds: between two looks.
    """

    def __init__(
        self,
        store: WatchedStore,
        path: ObjectPath,
        *,
        timeout: float | None,
        unchanged_for: float,
        poll_seconds: float,
    ) -> None:
        if poll_seconds <= 0:
            problem, remedy = f"poll_seconds is {poll_seconds!r}", "Pass more than 0."
            raise ConfigurationError("wait_for_object", problem, remedy)
        self._store, self._path = store, path
        self._timeout, self._unchanged_for, self._poll = timeout, unchanged_for, poll_seconds
        self._clock = services().clock
        self._began = self._since = self._clock.time()
        self._last: ObjectInfo | None = None

    def look(self) -> ObjectInfo | float:
        """Return the object where it may be taken, else the seconds until the next look.

        Raises:
            ObjectTimeout: the time is over.
        """
        try:
            info = self._store.object_info(self._path)
        except ObjectMissing:
            info = None
        now = self._clock.time()
        if info is None or info != self._last:
            self._last, self._since = info, now
        if info is not None and now - self._since >= self._unchanged_for:
            return info
        left = float("inf") if self._timeout is None else self._began + self._timeout - now
        if left <= 0:
            provider = self._store.make_provider()
            where = f"{provider.where}/{provider.make_key(self._path)}"
            raise ObjectTimeout(where, self._timeout or 0, info is not None)
        ripe = float("inf") if info is None else self._since + self._unchanged_for - now
        return float(max(0.001, min(self._poll, left, ripe)))


class NewObjects:
    """Objects that were claimed under a cursor, and what becomes of them.

    Args:
        store: where.
        folder: in which.
        cursor: a name for what was handed out.
        action: what is done with them at the end.
        move_to: the folder to move them to.
    """

    def __init__(
        self,
        store: WatchedStore,
        folder: ObjectPath,
        cursor: str,
        *,
        action: Action,
        move_to: ObjectPath | None,
    ) -> None:
        _check_action(action, move_to)
        provider = store.make_provider()
        prefix = provider.make_prefix(folder)
        if move_to is not None and provider.make_prefix(move_to).startswith(prefix):
            problem = f"move_to {str(move_to)!r} is in the folder that is looked at"
            raise ConfigurationError("new_objects", problem, "Choose a folder beside it.")
        self._prefix = prefix.removeprefix(provider.make_prefix())
        place = f"{provider.where}/{prefix}"
        self._store, self._folder, self._action, self._move_to = store, folder, action, move_to
        self._cursor = FolderCursor(cursor, place)
        self.objects: list[ObjectInfo] = []

    def claim(self, pattern: str | None, max_items: int | None, lease_seconds: float) -> None:
        """Find what is new, and claim it."""
        found = self._store.list_objects(self._folder, pattern=pattern)
        self.objects = self._cursor.claim(found, max_items, lease_seconds)

    def commit(self) -> None:
        """Do what is to be done with the objects, which are then not handed out again."""
        done: list[ObjectInfo] = []
        try:
            for info in self.objects:
                if self._action != "keep":
                    self._remove(info)
                done.append(info)
        finally:
            self._cursor.release(done)

    def rollback(self) -> None:
        """Let others have the objects."""
        self._cursor.release()

    def _remove(self, info: ObjectInfo) -> None:
        try:
            if self._store.object_info(info) != info:
                return  # its new content has not been handed out
        except ObjectMissing:
            return
        if self._move_to is None:
            self._store.delete_object(info)
        else:
            target = f"{str(self._move_to).rstrip('/')}/{info.path.removeprefix(self._prefix)}"
            self._store.move_object(info, target)


class Arrivals:
    """The methods of `ObjectStore` for objects that others bring."""

    def wait_for_object(
        self: WatchedStore,
        path: ObjectPath,
        timeout: float | None = None,
        unchanged_for: float = 0,
        *,
        poll_seconds: float = 5,
    ) -> ObjectInfo:
        """Wait until an object is there, and return what is known of it.

        Args:
            path: the object.
            timeout: seconds to wait; None for as long as it takes.
            unchanged_for: seconds for which its size and etag must have stayed the same, as seen
                from here: for writers that write in place.
            poll_seconds: between two looks.

        Raises:
            ObjectTimeout: it did not come, or did not stay unchanged, in that time.
        """
        watch = Watch(
            self,
            path,
            timeout=timeout,
            unchanged_for=unchanged_for,
            poll_seconds=poll_seconds,
        )
        clock = services().clock
        while isinstance(found := watch.look(), float):
            while found > 0:
                clock.sleep(min(found, NAP))
                found -= NAP
        return found

    async def await_for_object(
        self: WatchedStore,
        path: ObjectPath,
        timeout: float | None = None,  # noqa: ASYNC109 - the sync one's
        unchanged_for: float = 0,
        *,
        poll_seconds: float = 5,
    ) -> ObjectInfo:
        """Do as `wait_for_object`, and let other coroutines run meanwhile."""
        watch = Watch(
            self,
            path,
            timeout=timeout,
            unchanged_for=unchanged_for,
            poll_seconds=poll_seconds,
        )
        while isinstance(found := await asyncio.to_thread(watch.look), float):
            await services().clock.asleep(found)
        return found

    @contextmanager
    def new_objects(
        self: WatchedStore,
        folder: ObjectPath = "",
        *,
        cursor: str,
        action: Action = "keep",
        move_to: ObjectPath | None = None,
        pattern: str | None = None,
        max_items: int | None = None,
        lease_seconds: float = 3600,
    ) -> Iterator[list[ObjectInfo]]:
        """Hand out the objects of a folder that are new, each once; use it in a `with`.

        Where the block ends well they count as handed out; in a transaction, at its commit. Where
        it raises, or the transaction is rolled back, they are handed out again. An object that is
        written again is new again. What one run has is not given to another meanwhile.

        Args:
            folder: what is looked at, and below; the block's own by default.
            cursor: a name for what was handed out, kept with the runs; one for each folder.
            action: what is done with the objects then: ``keep``, ``move`` or ``delete``. Those
                that were written again meanwhile stay. With ``keep``, marks of all objects of the
                folder are kept: move or delete where there are more than some 100,000.
            move_to: with ``move``, the folder to move them to, outside of `folder`.
            pattern: of paths, as for `list_objects`.
            max_items: the most to hand out.
            lease_seconds: how long the objects are kept from others, should this process die.

        Raises:
            ConfigurationError: the cursor stands for another folder, or the arguments don't fit.
        """
        new = NewObjects(self, folder, cursor, action=action, move_to=move_to)
        new.claim(pattern, max_items, lease_seconds)
        try:
            yield new.objects
        except BaseException:
            new.rollback()
            raise
        around = current.transaction.get()
        if around is None:
            new.commit()
            return
        hooks = [lambda _: new.commit()], [lambda _: new.rollback()]
        run_story(around.stage_run(f"new objects of {cursor}", None, *hooks))

    @asynccontextmanager
    async def anew_objects(
        self: WatchedStore,
        folder: ObjectPath = "",
        *,
        cursor: str,
        action: Action = "keep",
        move_to: ObjectPath | None = None,
        pattern: str | None = None,
        max_items: int | None = None,
        lease_seconds: float = 3600,
    ) -> AsyncIterator[list[ObjectInfo]]:
        """Do as `new_objects`, in an `async with`."""
        new = NewObjects(self, folder, cursor, action=action, move_to=move_to)
        await asyncio.to_thread(new.claim, pattern, max_items, lease_seconds)
        try:
            yield new.objects
        except BaseException:
            await asyncio.to_thread(new.rollback)
            raise
        around = current.transaction.get()
        if around is None:
            await asyncio.to_thread(new.commit)
            return
        hooks = (
            [lambda _: asyncio.to_thread(new.commit)],
            [lambda _: asyncio.to_thread(new.rollback)],
        )
        await arun_story(around.stage_run(f"new objects of {cursor}", None, *hooks))


def _check_action(action: str, move_to: ObjectPath | None) -> None:
    if action not in {"keep", "move", "delete"}:
        problem, remedy = f"action is {action!r}", "Pass 'keep', 'move' or 'delete'."
    elif action == "move" and move_to is None:
        problem, remedy = "no folder is named to move them to", "Pass move_to."
    elif action != "move" and move_to is not None:
        problem, remedy = f"move_to does not go with the action {action!r}", "Drop it."
    else:
        return
    raise ConfigurationError("new_objects", problem, remedy)
