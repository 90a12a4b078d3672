"""Keep a local directory and a folder of a store alike: only what differs is transferred."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowstone.blocks.async_twins import make_twin
from flowstone.blocks.local_files import read_ignore_file
from flowstone.blocks.object_stores.sync_directions import SyncDown, SyncUp

if TYPE_CHECKING:
    from flowstone.blocks.object_stores.paths import ObjectPath
    from flowstone.blocks.object_stores.provider import ObjectStoreProvider
    from flowstone.blocks.object_stores.sync_directions import SyncResult


class Syncing:
    """The methods of `ObjectStore` that make a folder like a local directory, and back."""

    def make_provider(self) -> ObjectStoreProvider:
        """Return what reaches the place."""
        raise NotImplementedError

    def upload_from_path(self, from_path: Path | str, to_path: ObjectPath | None = None) -> str:
        """Upload a local file."""
        raise NotImplementedError

    def sync_up(
        self,
        local_path: Path | str | None = None,
        to_path: ObjectPath | None = None,
        *,
        ignore_file: Path | str | None = None,
        delete: bool = False,
        progress: bool | None = None,
    ) -> SyncResult:
        """Upload what is new or has changed in a local directory and below, in parallel.

        A file is unchanged where the object has its size and its checksum; where the service has
        no checksum, where it has its size and is not older than the file. What was interrupted is
        taken up where it is called again.

        Args:
            local_path: the directory; None for the working directory.
            to_path: the folder to make like it; None for the block's own.
            ignore_file: patterns of what to leave alone on both sides, as in a .gitignore.
            delete: whether to delete the objects in the folder that the directory has no files of,
                once all files are there.
            progress: False shows none. Else there is a bar on a terminal, with None where it takes
                a while, and an artifact in a run.

        Raises:
            FilesLeftOut: some are no files, as a named pipe, or have no possible names; all others
                are there.
            StorageError: there is no such directory, or a file can't be transferred: nothing is
                deleted then.
        """
        provider = self.make_provider()
        prefix = provider.make_prefix(to_path or "")
        sync = SyncUp(
            provider,
            Path.cwd() if local_path is None else Path(local_path),
            prefix,
            rules=read_ignore_file(ignore_file),
            deletes=delete,
            upload=self.upload_from_path,
        )
        return sync.run(progress)

    def sync_down(
        self,
        from_path: ObjectPath | None = None,
        local_path: Path | str | None = None,
        *,
        ignore_file: Path | str | None = None,
        delete: bool = False,
        progress: bool | None = None,
    ) -> SyncResult:
        """Download what is new or has changed in a folder and below, in parallel.

        What is unchanged is found as by `sync_up`, with the sides exchanged. New files have the
        times of their objects.

        Args:
            from_path: the folder; None for the block's own.
            local_path: the directory to make like it; None for the working directory.
            ignore_file: patterns of what to leave alone on both sides, as in a .gitignore.
            delete: whether to delete the files in the directory that the folder has no objects of,
                once all files are there; never those that links to other directories lead to.
            progress: as for `sync_up`.

        Raises:
            FilesLeftOut: a disk can't have some of them, such as `a` beside `a/b`; all others
                are there.
            ObjectMissing: there is no such folder.
            StorageError: an object can't be transferred: nothing is deleted then.
        """
        provider = self.make_provider()
        prefix = provider.make_prefix(from_path or "")
        sync = SyncDown(
            provider,
            Path.cwd() if local_path is None else Path(local_path),
            prefix,
            rules=read_ignore_file(ignore_file),
            deletes=delete,
        )
        return sync.run(progress)

    # In pairs: pydantic's plugin for mypy takes a name that stands alone for a field.
    async_up, async_down = make_twin(sync_up), make_twin(sync_down)
