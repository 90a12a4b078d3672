"""Sync a local directory with a folder of a store, transferring only the files that differ."""

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
    """The methods of `ObjectStore` that sync a folder with a local directory."""

    def make_provider(self) -> ObjectStoreProvider:
        """Return the provider for this store."""
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
        """Upload the new and changed files of a local directory, in parallel.

        A file is unchanged if the object has the same size and checksum. If the service has no
        checksum of the object, a file is unchanged if the object has the same size and is not
        older than the file. After an interruption, call it again to upload the rest.

        Args:
            local_path: the directory; None for the working directory.
            to_path: the folder to upload to; None for the block's own.
            ignore_file: a file in the format of .gitignore; matching files are neither uploaded
                nor deleted.
            delete: whether to delete objects that have no file in the directory, once all files
                are uploaded.
            progress: False to show no progress, True to show a bar on a terminal from the start,
                None to show it only if the sync takes a while. Inside a run, progress is also
                saved as an artifact, unless False.

        Raises:
            FilesLeftOut: some are not regular files, such as named pipes, or have names that the
                store does not allow; all others were uploaded.
            StorageError: there is no such directory, or a file can't be uploaded. Nothing is
                deleted in that case.
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
        """Download the new and changed objects of a folder, in parallel.

        Objects are compared with files as in `sync_up`. Downloaded files get the modification
        times of their objects.

        Args:
            from_path: the folder; None for the block's own.
            local_path: the directory to download to; None for the working directory.
            ignore_file: a file in the format of .gitignore; matching files are neither
                downloaded nor deleted.
            delete: whether to delete files that have no object in the folder, once all objects
                are downloaded. Files behind symbolic links to directories are never deleted.
            progress: as for `sync_up`.

        Raises:
            FilesLeftOut: some objects can't be files, such as `a` beside `a/b`; all others were
                downloaded.
            ObjectMissing: there is no such folder.
            StorageError: an object can't be downloaded. Nothing is deleted in that case.
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
