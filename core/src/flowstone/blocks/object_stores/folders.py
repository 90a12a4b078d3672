"""Folders of an object store: list, delete, upload and download them."""

from __future__ import annotations

from collections import deque
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from flowstone.blocks.async_twins import iterate, make_twin
from flowstone.blocks.ignore_files import is_ignored, read_rules
from flowstone.blocks.local_files import open_atomically, read_ignore_file, read_status, walk
from flowstone.blocks.object_stores.local_places import LocalPlaces
from flowstone.blocks.object_stores.parallel import batches, map_in_threads
from flowstone.blocks.object_stores.paths import ExactKey, FolderInfo, strip_folder
from flowstone.blocks.object_stores.transfer_progress import TransferTally, show_progress
from flowstone.errors import FilesLeftOut, ObjectMissing, PathInvalid, StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from flowstone.blocks.ignore_files import IgnoreRule
    from flowstone.blocks.object_stores.paths import ObjectInfo, ObjectPath
    from flowstone.blocks.object_stores.provider import ObjectStoreProvider


def read_pattern(where: str, pattern: str) -> list[IgnoreRule]:
    """Return the rules of a pattern of paths.

    Raises:
        StorageError: it is not a single pattern that can match.
    """
    rules = read_rules([pattern])
    if not rules or rules[0].keeps:
        problem = f"pattern {pattern!r} matches nothing"
        raise StorageError(where, problem, "Pass a pattern such as '*.csv' or '2026/**/*.csv'.")
    return rules


def check_max_items(where: str, max_items: int | None) -> None:
    """Refuse a negative number of items.

    Raises:
        StorageError: it is negative.
    """
    if max_items is not None and max_items < 0:
        raise StorageError(where, f"max_items is {max_items}", "Pass 0 or more, or None for all.")


class Folders:
    """The methods of `ObjectStore` for whole folders."""

    def make_provider(self) -> ObjectStoreProvider:
        """Return the provider for this store."""
        raise NotImplementedError

    def upload_from_path(self, from_path: Path | str, to_path: ObjectPath | None = None) -> str:
        """Upload a local file."""
        raise NotImplementedError

    @overload
    def list_objects(
        self,
        folder: ObjectPath = "",
        max_items: int | None = None,
        *,
        pattern: str | None = None,
        delimiter: None = None,
    ) -> Iterator[ObjectInfo]: ...

    @overload
    def list_objects(
        self,
        folder: ObjectPath = "",
        max_items: int | None = None,
        *,
        pattern: str | None = None,
        delimiter: Literal["/"],
    ) -> Iterator[ObjectInfo | FolderInfo]: ...

    def list_objects(
        self,
        folder: ObjectPath = "",
        max_items: int | None = None,
        *,
        pattern: str | None = None,
        delimiter: Literal["/"] | None = None,
    ) -> Iterator[ObjectInfo] | Iterator[ObjectInfo | FolderInfo]:
        """Yield the objects in a folder and its subfolders, ordered by path, page by page.

        Args:
            folder: the folder to list; the block's own by default.
            max_items: the maximum number of objects to yield.
            pattern: only yield paths that match this .gitignore pattern, relative to `folder`:
                ``*.csv`` matches at any depth, ``2026/*.csv`` only right in ``2026``,
                ``2026/**/*.csv`` at any depth in ``2026``.
            delimiter: "/" to yield only what is directly in the folder; each subfolder is yielded
                as a `FolderInfo`.

        Raises:
            BucketMissing: there is no such bucket, container or directory.
            StorageError: the arguments are not valid.
        """
        provider = self.make_provider()
        above, prefix = provider.make_prefix(), provider.make_prefix(folder)
        where = f"{provider.where}/{prefix}"
        if delimiter not in {None, "/"}:
            raise StorageError(where, f"delimiter is {delimiter!r}", "Pass '/' or None.")
        check_max_items(where, max_items)
        rules = None if pattern is None else read_pattern(where, pattern)
        found = provider.list_level(prefix) if delimiter else provider.list(prefix)

        def fits(info: ObjectInfo | FolderInfo) -> bool:
            if isinstance(info, FolderInfo):
                return rules is None or is_ignored(
                    rules, info.path.removeprefix(prefix).rstrip("/"), folder=True
                )
            if info.is_folder():
                return False
            return rules is None or is_ignored(rules, info.path.removeprefix(prefix), folder=False)

        wanted = (strip_folder(info, above) for info in found if fits(info))
        return islice(wanted, max_items)

    def delete_folder(self, folder: ObjectPath) -> int:
        """Delete all objects in a folder and its subfolders; return how many were deleted.

        If there is no such folder, nothing is deleted, and 0 is returned. Directories on a disk
        stay, empty.
        """
        provider = self.make_provider()
        count = 0
        for batch in batches(provider.list(provider.make_prefix(folder)), 1000):
            provider.delete([info.path for info in batch])
            count += sum(not info.is_folder() for info in batch)
        return count

    def get_directory(
        self,
        from_path: ObjectPath | None = None,
        local_path: Path | str | None = None,
        *,
        progress: bool | None = None,
    ) -> list[Path]:
        """Download a folder and its subfolders, in parallel; return the paths of the files.

        Args:
            from_path: the folder; None for the block's own.
            local_path: the directory to download to; None for the working directory.
            progress: as for `sync_up`.

        Raises:
            FilesLeftOut: some objects can't be files, such as `a` beside `a/b`; all others were
                downloaded.
            ObjectMissing: there is no such folder, or nothing in it. An empty bucket is no error.
        """
        provider = self.make_provider()
        prefix = provider.make_prefix(from_path or "")
        root = Path.cwd() if local_path is None else Path(local_path)
        what = f"{provider.where}/{prefix} to {root}"
        tally, places = TransferTally(), LocalPlaces(root, prefix)

        def fetch(item: tuple[ObjectInfo, Path]) -> Path | None:
            info, target = item
            try:
                with open_atomically(target) as file:
                    provider.download(info.path, file)
            except PathInvalid as error:
                places.left_out[info.path] = error.problem
                return None
            tally.add_transferred(info.size)
            return target

        def measure() -> Iterator[int]:
            return (info.size for info in provider.list(prefix) if not info.is_folder())

        infos = iter(provider.list(prefix))
        first = next(infos, None)
        if first is None and prefix:
            remedy = "Check its name: `list_objects` shows what is there."
            raise ObjectMissing(f"{provider.where}/{prefix}", "there is no such folder", remedy)
        infos = chain([] if first is None else [first], infos)
        wanted = ((info, place) for info in infos if (place := places.find(info)) is not None)
        with show_progress("get_directory", what, tally=tally, measure=measure, wanted=progress):
            done = list(map_in_threads(fetch, wanted, provider.parallel))
        if places.left_out:
            remedy = "Use `download_object_to_path` to save them under other names."
            raise FilesLeftOut(what, places.left_out, remedy)
        return [path for path in done if path is not None]

    def download_folder_to_path(
        self, from_folder: ObjectPath, to_folder: Path | str | None = None
    ) -> Path:
        """Download a folder and its subfolders, in parallel; return the local directory."""
        root = Path.cwd() if to_folder is None else Path(to_folder)
        self.get_directory(from_folder, root)
        return root

    def put_directory(
        self,
        local_path: Path | str | None = None,
        to_path: ObjectPath | None = None,
        ignore_file: Path | str | None = None,
        *,
        progress: bool | None = None,
    ) -> int:
        """Upload a local directory and its subdirectories, in parallel; return the file count.

        Args:
            local_path: the directory; None for the working directory.
            to_path: the folder to upload to; None for the block's own.
            ignore_file: a file in the format of .gitignore; matching files are not uploaded.
            progress: as for `sync_up`.

        Raises:
            FilesLeftOut: some are not regular files, such as named pipes, or have names that the
                store does not allow; all others were uploaded.
        """
        provider = self.make_provider()
        root = Path.cwd() if local_path is None else Path(local_path)
        folder = self._find_folder(to_path)
        rules, tally, left_out = read_ignore_file(ignore_file), TransferTally(), dict[str, str]()
        what = f"{root} to {provider.where}"

        def send(relative: str) -> None:
            size = read_status(root / relative).st_size
            try:
                self.upload_from_path(root / relative, ExactKey(folder + relative))
            except PathInvalid as error:
                left_out[relative] = error.problem
            else:
                tally.add_transferred(size)

        def measure() -> Iterator[int]:
            return (read_status(root / name).st_size for name in walk(root, rules, {}))

        files = walk(root, rules, left_out)
        with show_progress("put_directory", what, tally=tally, measure=measure, wanted=progress):
            deque(map_in_threads(send, files, provider.parallel), 0)
        if left_out:
            remedy = "List them in an ignore_file, or move them elsewhere."
            raise FilesLeftOut(what, left_out, remedy)
        return tally.transferred

    def upload_from_folder(
        self, from_folder: Path | str, to_folder: ObjectPath | None = None
    ) -> str:
        """Upload a local directory and its subdirectories, in parallel; return the folder."""
        self.put_directory(from_folder, to_folder)
        return self._find_folder(to_folder).removesuffix("/")

    def _find_folder(self, path: ObjectPath | None) -> str:
        provider = self.make_provider()
        return provider.make_prefix(path or "").removeprefix(provider.make_prefix())

    # In pairs: pydantic's plugin for mypy takes a name that stands alone for a field.
    aget_directory, aput_directory = make_twin(get_directory), make_twin(put_directory)
    adelete_folder, adownload_folder_to_path, aupload_from_folder = (
        make_twin(delete_folder),
        make_twin(download_folder_to_path),
        make_twin(upload_from_folder),
    )

    @overload
    def alist_objects(
        self,
        folder: ObjectPath = "",
        max_items: int | None = None,
        *,
        pattern: str | None = None,
        delimiter: None = None,
    ) -> AsyncIterator[ObjectInfo]: ...

    @overload
    def alist_objects(
        self,
        folder: ObjectPath = "",
        max_items: int | None = None,
        *,
        pattern: str | None = None,
        delimiter: Literal["/"],
    ) -> AsyncIterator[ObjectInfo | FolderInfo]: ...

    def alist_objects(
        self,
        folder: ObjectPath = "",
        max_items: int | None = None,
        *,
        pattern: str | None = None,
        delimiter: Literal["/"] | None = None,
    ) -> AsyncIterator[ObjectInfo] | AsyncIterator[ObjectInfo | FolderInfo]:
        """Async version of `list_objects`, for an `async for`."""
        return iterate(
            lambda: self.list_objects(folder, max_items, pattern=pattern, delimiter=delimiter)
        )
