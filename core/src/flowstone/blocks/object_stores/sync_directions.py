"""The two directions of a sync: up, to a store, and down, to a local directory."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

from flowstone.blocks.ignore_files import is_ignored_anywhere
from flowstone.blocks.local_files import (
    is_draft,
    open_atomically,
    read_status,
    translate_read_error,
    translate_write_error,
    walk,
)
from flowstone.blocks.object_stores.local_places import OrderedPlaces
from flowstone.blocks.object_stores.merging import Pair, check_order, merge, open_spool
from flowstone.blocks.object_stores.parallel import batches, map_in_threads
from flowstone.blocks.object_stores.paths import ExactKey
from flowstone.blocks.object_stores.transfer_progress import TransferTally, show_progress
from flowstone.context.external_work import record_measures
from flowstone.errors import BucketMissing, FilesLeftOut, ObjectMissing, PathInvalid, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from flowstone.blocks.ignore_files import IgnoreRule
    from flowstone.blocks.object_stores.merging import NameSpool
    from flowstone.blocks.object_stores.paths import ObjectInfo
    from flowstone.blocks.object_stores.provider import ObjectStoreProvider

T = TypeVar("T")

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class SyncResult:
    """The result of a sync, as numbers of files.

    Attributes:
        transferred: files that were new or changed.
        unchanged: files that were the same on both sides.
        deleted: files that the source does not have; 0 without ``delete=True``.
        bytes_transferred: the total size of the transferred files.
    """

    transferred: int = 0
    unchanged: int = 0
    deleted: int = 0
    bytes_transferred: int = 0


class Sync(ABC, Generic[T]):
    """One sync; `T` describes a file to be transferred.

    Args:
        provider: the store's provider.
        root: the local directory.
        prefix: the prefix of the folder's keys.
        rules: which files to ignore on both sides.
        deletes: whether to delete from the destination what the source does not have.
    """

    title: ClassVar[str]

    def __init__(
        self,
        provider: ObjectStoreProvider,
        root: Path,
        prefix: str,
        *,
        rules: Sequence[IgnoreRule],
        deletes: bool,
    ) -> None:
        self._provider, self._root, self._prefix = provider, root, prefix
        self._rules, self._deletes = rules, deletes
        self._place = f"{provider.where}/{prefix}"
        self._tally = TransferTally()
        self._deleted = 0
        self._left_out: dict[str, str] = {}
        #: Files whose path is blocked by something at the destination, tried again after deletions.
        self._blocked: list[tuple[T, str]] = []

    def run(self, progress: bool | None) -> SyncResult:
        """Transfer what differs, then delete; see `ObjectStore.sync_up`."""
        with (
            open_spool() as surplus,
            show_progress(
                self.title,
                self._describe(),
                tally=self._tally,
                measure=self._measure,
                wanted=progress,
            ),
        ):
            try:
                self._transfer_all(self._plan(surplus))
                self._delete(surplus)
                if self._deleted:
                    blocked, self._blocked = self._blocked, []
                    self._transfer_all(item for item, _ in blocked)
            finally:
                self._record()
        self._left_out.update({self._name(item): problem for item, problem in self._blocked})
        if self._left_out:
            raise self._make_error()
        tally = self._tally
        return SyncResult(
            tally.transferred, tally.unchanged, self._deleted, tally.bytes_transferred
        )

    @abstractmethod
    def _describe(self) -> str:
        """Return the source and the destination, for messages."""

    @abstractmethod
    def _measure(self) -> Iterator[int]:
        """Yield the size of each file of the source."""

    @abstractmethod
    def _plan(self, surplus: NameSpool) -> Iterator[T]:
        """Yield the files of the source; add the names only the destination has to `surplus`."""

    @abstractmethod
    def _transfer(self, item: T) -> None:
        """Transfer a file if it has changed.

        Raises:
            PathInvalid: the destination does not allow the name.
        """

    @abstractmethod
    def _delete(self, surplus: Iterable[str]) -> None:
        """Delete names from the destination, and count them."""

    @abstractmethod
    def _name(self, item: T) -> str:
        """Return the name of a file in `FilesLeftOut`."""

    @abstractmethod
    def _make_error(self) -> FilesLeftOut:
        """Return the error for files that were left out."""

    @abstractmethod
    def _record(self) -> None:
        """Record the measures of the sync in the current run."""

    def _transfer_all(self, items: Iterable[T]) -> None:
        for _ in map_in_threads(self._attempt, items, self._provider.parallel):
            pass

    def _attempt(self, item: T) -> None:
        try:
            self._transfer(item)
        except PathInvalid as error:
            self._blocked.append((item, error.problem))

    def _walk(self, left_out: dict[str, str], *, follow_links: bool = True) -> Iterator[str]:
        """Yield the names of the directory's files, except unfinished downloads."""
        names = walk(self._root, self._rules, left_out, follow_links=follow_links)
        return (name for name in names if not is_draft(name.rpartition("/")[2]))

    def _list(self) -> Iterator[ObjectInfo]:
        return check_order(self._provider.list(self._prefix), self._place)

    def _has_content(self, info: ObjectInfo, file: Path, found: os.stat_result) -> bool | None:
        """Return whether both have the same content; None if there is no checksum."""
        if found.st_size != info.size:
            return False
        try:
            return self._provider.matches(info, file)
        except ObjectMissing:  # deleted in the meantime
            return False
        except StorageError:
            raise
        except OSError as error:
            raise translate_read_error(file, error) from error


class SyncUp(Sync[Pair]):
    """A sync from a local directory to a store.

    Args:
        upload: a function that uploads a file to a path of the block. For the other arguments,
            see `Sync`.
    """

    title = "sync_up"

    def __init__(
        self,
        provider: ObjectStoreProvider,
        root: Path,
        prefix: str,
        *,
        rules: Sequence[IgnoreRule],
        deletes: bool,
        upload: Callable[[Path, ExactKey], str],
    ) -> None:
        super().__init__(provider, root, prefix, rules=rules, deletes=deletes)
        self._upload = upload
        self._folder = prefix.removeprefix(provider.make_prefix())

    def _describe(self) -> str:
        return f"{self._root} to {self._place}"

    def _measure(self) -> Iterator[int]:
        for name in self._walk({}):
            with suppress(StorageError):  # deleted in the meantime
                yield read_status(self._root / name).st_size

    def _plan(self, surplus: NameSpool) -> Iterator[Pair]:
        for pair in merge(self._walk(self._left_out), self._list_existing(), self._prefix):
            if pair.has_file:
                yield pair
            elif self._deletes and not is_ignored_anywhere(self._rules, pair.name):
                surplus.add(pair.name)

    def _list_existing(self) -> Iterator[ObjectInfo]:
        try:
            yield from (info for info in self._list() if not info.is_folder())
        except BucketMissing:
            return  # the first upload creates it, or raises a helpful error

    def _transfer(self, item: Pair) -> None:
        path, info = self._root / item.name, item.info
        found = read_status(path)
        if info is not None:
            is_same = self._has_content(info, path, found)
            if is_same or (is_same is None and info.modified >= _read_time(found)):
                self._tally.add_unchanged(found.st_size)
                return
        self._upload(path, ExactKey(self._folder + item.name))
        self._tally.add_transferred(found.st_size)

    def _delete(self, surplus: Iterable[str]) -> None:
        keys = (self._prefix + name for name in surplus if not self._is_left_out(name))
        for batch in batches(keys, 1000):
            self._provider.delete(batch)
            self._provider.remove_empty_folders(self._prefix, batch)
            self._deleted += len(batch)

    def _is_left_out(self, name: str) -> bool:
        """Return whether the name, or a directory above it, was left out of the upload."""
        parts = name.split("/")
        return any("/".join(parts[: n + 1]) in self._left_out for n in range(len(parts)))

    def _name(self, item: Pair) -> str:
        return item.name

    def _make_error(self) -> FilesLeftOut:
        remedy = "List them in an ignore_file, or move them elsewhere."
        return FilesLeftOut(self._describe(), self._left_out, remedy)

    def _record(self) -> None:
        record_measures(
            objects_written=self._tally.transferred, bytes_written=self._tally.bytes_transferred
        )
        if self._deleted:
            record_measures(objects_deleted=self._deleted)


class Download(NamedTuple):
    """An object, and the file to download it to."""

    info: ObjectInfo
    target: Path


class SyncDown(Sync[Download]):
    """A sync from a store to a local directory."""

    title = "sync_down"

    def __init__(
        self,
        provider: ObjectStoreProvider,
        root: Path,
        prefix: str,
        *,
        rules: Sequence[IgnoreRule],
        deletes: bool,
    ) -> None:
        super().__init__(provider, root, prefix, rules=rules, deletes=deletes)
        if root.exists() and not root.is_dir():
            remedy = "Pass a directory, or a path that does not exist yet."
            raise PathInvalid(str(root), "it is a file, not a directory", remedy)
        self._places = OrderedPlaces(root, prefix)
        self._left_out = self._places.left_out

    def _describe(self) -> str:
        return f"{self._place} to {self._root}"

    def _measure(self) -> Iterator[int]:
        for info in self._list():
            if not info.is_folder() and not self._is_ignored(info):
                yield info.size

    def _plan(self, surplus: NameSpool) -> Iterator[Download]:
        lists_files = self._deletes and self._root.is_dir()
        files = self._walk({}, follow_links=False) if lists_files else ()
        exists = not self._prefix
        for pair in merge(files, self._list(), self._prefix):
            if pair.info is None:
                surplus.add(pair.name)
                continue
            exists = True
            if not self._is_ignored(pair.info):
                target = self._places.find(pair.info)
                if target is not None:
                    yield Download(pair.info, target)
        if not exists:
            remedy = "Check its name: `list_objects` shows what is there."
            raise ObjectMissing(self._place, "there is no such folder", remedy)

    def _is_ignored(self, info: ObjectInfo) -> bool:
        return is_ignored_anywhere(self._rules, info.path.removeprefix(self._prefix))

    def _transfer(self, item: Download) -> None:
        info, target = item
        namesake = self._places.find_namesake(info, target)
        if namesake is not None and self._exists(namesake):
            raise PathInvalid(info.path, f"{namesake!r} is the same file")
        try:
            found = target.stat()
        except OSError:
            found = None
        if found is not None and stat.S_ISREG(found.st_mode):
            is_same = self._has_content(info, target, found)
            if is_same or (is_same is None and _read_time(found) >= info.modified):
                self._tally.add_unchanged(info.size)
                return
        self._download(info, target)

    def _exists(self, key: str) -> bool:
        try:
            self._provider.head(key)
        except ObjectMissing:
            return False
        return True

    def _download(self, info: ObjectInfo, target: Path) -> None:
        size = 0

        def place(draft: Path, path: Path) -> None:
            nonlocal size
            size = draft.stat().st_size
            # Lets a later sync without checksums find it unchanged, in both directions.
            nanoseconds = (info.modified - _EPOCH) // timedelta(microseconds=1) * 1000
            os.utime(draft, ns=(nanoseconds, nanoseconds))
            draft.replace(path)

        with open_atomically(target, put_in_place=place) as file:
            self._provider.download(info.path, file)
        self._tally.add_transferred(size)

    def _delete(self, surplus: Iterable[str]) -> None:
        for name in surplus:
            if not self._places.is_renamed(name):
                self._unlink(self._root / name)

    def _unlink(self, path: Path) -> None:
        try:
            path.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            raise translate_write_error(path, error) from error
        self._deleted += 1
        with suppress(OSError):  # stop at the first directory that is not empty
            for folder in takewhile(lambda above: above != self._root, path.parents):
                folder.rmdir()

    def _name(self, item: Download) -> str:
        return item.info.path

    def _make_error(self) -> FilesLeftOut:
        remedy = "Use `download_object_to_path` to save them under other names."
        return FilesLeftOut(self._describe(), self._left_out, remedy)

    def _record(self) -> None:
        record_measures(
            objects_read=self._tally.transferred, bytes_read=self._tally.bytes_transferred
        )


def _read_time(found: os.stat_result) -> datetime:
    return _EPOCH + timedelta(microseconds=found.st_mtime_ns // 1000)
