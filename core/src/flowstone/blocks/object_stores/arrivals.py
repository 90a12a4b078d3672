"""New objects in an object store: wait for one, or process each of them once."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from flowstone.blocks.async_twins import run_in_thread
from flowstone.blocks.ignore_files import is_ignored
from flowstone.blocks.object_stores.cursors import FolderCursor, make_fingerprint
from flowstone.blocks.object_stores.folders import check_max_items, read_pattern
from flowstone.context import current
from flowstone.context.current import services
from flowstone.engine.story import arun_story, run_story
from flowstone.errors import ConfigurationError, ObjectMissing, ObjectTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from flowstone.blocks.object_stores.paths import ObjectInfo, ObjectPath
    from flowstone.blocks.object_stores.provider import ObjectStoreProvider

Action: TypeAlias = Literal["keep", "move", "delete"]

#: The longest sleep, in seconds: a run in a thread is only cancelled when its code next runs.
MAX_SLEEP = 1.0


class WatchedStore(Protocol):
    """The methods of `ObjectStore` that this module calls."""

    def make_provider(self) -> ObjectStoreProvider: ...
    def object_info(self, path: ObjectPath) -> ObjectInfo: ...
    def delete_object(self, path: ObjectPath) -> None: ...
    def move_object(self, from_path: ObjectPath, to_path: ObjectPath) -> str: ...
    def list_objects(self, folder: ObjectPath = "") -> Iterator[ObjectInfo]: ...


class ObjectWait:
    """Waits until an object exists and has not changed for some time.

    Args:
        store: the store to look in.
        path: the object.
        timeout: seconds to wait; None to wait forever.
        unchanged_for: seconds for which neither size nor etag may change.
        poll_seconds: seconds between two checks.
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
        _check_seconds("wait_for_object", "timeout", timeout, or_none=True)
        _check_seconds("wait_for_object", "unchanged_for", unchanged_for)
        _check_seconds("wait_for_object", "poll_seconds", poll_seconds, is_above_0=True)
        self._store, self._path = store, path
        self._timeout, self._unchanged_for, self._poll = timeout, unchanged_for, poll_seconds
        self._clock = services().clock
        self._started = self._unchanged_since = self._clock.time()
        self._last: ObjectInfo | None = None

    def check(self) -> ObjectInfo | float:
        """Return the object if the wait is over, else the seconds until the next check.

        Raises:
            ObjectTimeout: the timeout has expired.
        """
        try:
            info = self._store.object_info(self._path)
        except ObjectMissing:
            info = None
        now = self._clock.time()
        if info is None or info != self._last:
            self._last, self._unchanged_since = info, now
        if info is not None and now - self._unchanged_since >= self._unchanged_for:
            return info
        infinity = float("inf")
        remaining = infinity if self._timeout is None else self._started + self._timeout - now
        if remaining <= 0:
            provider = self._store.make_provider()
            where = f"{provider.where}/{provider.make_key(self._path)}"
            raise ObjectTimeout(where, self._timeout or 0, info is not None)
        settled = infinity if info is None else self._unchanged_since + self._unchanged_for - now
        return float(max(0.001, min(self._poll, remaining, settled)))


class NewObjects:
    """The new objects of a folder, claimed under a cursor and then committed or rolled back.

    Args:
        store: the store to look in.
        folder: the folder.
        cursor: the name under which processed objects are remembered.
        action: what to do with the objects on commit.
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
            problem = f"move_to {str(move_to)!r} is inside the folder {str(folder)!r}"
            remedy = "Choose a folder outside of it, or moved objects would be new again."
            raise ConfigurationError("new_objects", problem, remedy)
        self._prefix = prefix.removeprefix(provider.make_prefix())
        place = f"{provider.where}/{prefix}"
        self._store, self._folder, self._action, self._move_to = store, folder, action, move_to
        self._cursor = FolderCursor(cursor, place)
        self.objects: list[ObjectInfo] = []

    def claim(self, pattern: str | None, max_items: int | None, lease_seconds: float) -> None:
        """List the folder, and claim the objects that are new."""
        place = self._cursor.place
        check_max_items(place, max_items)
        _check_seconds("new_objects", "lease_seconds", lease_seconds, is_above_0=True)
        rules = None if pattern is None else read_pattern(place, pattern)

        def is_wanted(info: ObjectInfo) -> bool:
            path = info.path.removeprefix(self._prefix)
            return rules is None or is_ignored(rules, path, folder=False)

        found = self._store.list_objects(self._folder)
        self.objects = self._cursor.claim(found, is_wanted, max_items, lease_seconds)

    def commit(self) -> None:
        """Keep, move or delete the objects, and mark them as processed."""
        done: list[ObjectInfo] = []
        try:
            for info in self.objects:
                if self._action != "keep":
                    self._remove(info)
                done.append(info)
        finally:
            self._cursor.release(done)

    def rollback(self) -> None:
        """Release the objects, so that they are new again."""
        self._cursor.release()

    def _remove(self, info: ObjectInfo) -> None:
        try:
            # Not the infos: a service may round times in a listing and not elsewhere.
            if make_fingerprint(self._store.object_info(info)) != make_fingerprint(info):
                return  # it was overwritten, and its new content is not processed yet
        except ObjectMissing:
            return
        if self._move_to is None:
            self._store.delete_object(info)
        else:
            target = f"{str(self._move_to).rstrip('/')}/{info.path.removeprefix(self._prefix)}"
            self._store.move_object(info, target)


class Arrivals:
    """The methods of `ObjectStore` that wait for objects, or process new ones."""

    def wait_for_object(
        self: WatchedStore,
        path: ObjectPath,
        timeout: float | None = None,
        unchanged_for: float = 0,
        *,
        poll_seconds: float = 5,
    ) -> ObjectInfo:
        """Wait until an object exists, and return its size, time, etag and metadata.

        Args:
            path: the object.
            timeout: seconds to wait; None to wait forever.
            unchanged_for: seconds for which its size and etag must not change. Set it if the
                writer appends to the object or overwrites it.
            poll_seconds: seconds between two checks.

        Raises:
            ConfigurationError: a number of seconds is negative or not finite.
            ObjectTimeout: the object did not appear, or kept changing, until the timeout.
        """
        wait = ObjectWait(
            self,
            path,
            timeout=timeout,
            unchanged_for=unchanged_for,
            poll_seconds=poll_seconds,
        )
        clock = services().clock
        while isinstance(found := wait.check(), float):
            while found > 0:
                clock.sleep(min(found, MAX_SLEEP))
                found -= MAX_SLEEP
        return found

    async def await_for_object(
        self: WatchedStore,
        path: ObjectPath,
        timeout: float | None = None,  # noqa: ASYNC109 - the sync one's
        unchanged_for: float = 0,
        *,
        poll_seconds: float = 5,
    ) -> ObjectInfo:
        """Async version of `wait_for_object`."""
        wait = ObjectWait(
            self,
            path,
            timeout=timeout,
            unchanged_for=unchanged_for,
            poll_seconds=poll_seconds,
        )
        while isinstance(found := await run_in_thread(wait.check), float):
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
        """Return a context manager that yields the objects of a folder not yet processed.

        If the body of the `with` succeeds, the objects are marked as processed; inside a
        transaction, when it commits. If the body raises, or the transaction is rolled back, they
        are yielded again next time. An object that is overwritten becomes new again. While one
        run holds objects, other runs don't get them.

        Args:
            folder: the folder to look in, with all of its subfolders; the block's own by default.
            cursor: a name under which processed objects are remembered, in the same store as
                runs. Use one name for each folder.
            action: what to do with processed objects: ``keep``, ``move`` or ``delete``. Objects
                that were overwritten in the meantime stay. With ``keep``, the cursor remembers
                every object of the folder: beyond some 100,000, move or delete them instead.
            move_to: with ``move``, the folder to move them to, outside of `folder`.
            pattern: only yield paths that match, as in `list_objects`.
            max_items: the maximum number of objects to yield.
            lease_seconds: how long other runs don't get the objects if this process dies.

        Raises:
            ConfigurationError: the cursor belongs to another folder, or the arguments don't go
                together.
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
        """Async version of `new_objects`, for an `async with`."""
        new = NewObjects(self, folder, cursor, action=action, move_to=move_to)
        await run_in_thread(new.claim, pattern, max_items, lease_seconds)
        try:
            yield new.objects
        except BaseException:
            await run_in_thread(new.rollback)
            raise
        around = current.transaction.get()
        if around is None:
            await run_in_thread(new.commit)
            return
        hooks = (
            [lambda _: run_in_thread(new.commit)],
            [lambda _: run_in_thread(new.rollback)],
        )
        await arun_story(around.stage_run(f"new objects of {cursor}", None, *hooks))


def _check_seconds(
    what: str, name: str, value: float | None, *, is_above_0: bool = False, or_none: bool = False
) -> None:
    """Refuse a negative number of seconds, NaN and infinity; with `is_above_0`, 0 as well."""
    if value is None and or_none:
        return
    if value is None or not 0 <= value < float("inf") or (is_above_0 and not value):
        least = "a number above 0" if is_above_0 else "0 or more"
        remedy = f"Pass {least}, or None to wait forever." if or_none else f"Pass {least}."
        raise ConfigurationError(what, f"{name} is {value!r}", remedy)


def _check_action(action: str, move_to: ObjectPath | None) -> None:
    if action not in {"keep", "move", "delete"}:
        problem, remedy = f"action is {action!r}", "Pass 'keep', 'move' or 'delete'."
    elif action == "move" and move_to is None:
        problem, remedy = "action='move' needs a folder to move objects to", "Pass move_to."
    elif action != "move" and move_to is not None:
        problem = f"move_to can't be combined with action={action!r}"
        remedy = "Pass action='move', or remove move_to."
    else:
        return
    raise ConfigurationError("new_objects", problem, remedy)
