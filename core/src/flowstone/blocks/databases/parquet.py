"""Parquet files in an object store: load them into a table, and write the rows of a query."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from flowstone.blocks.databases.tables import import_arrow
from flowstone.errors import RowsInvalid, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from flowstone.blocks.object_stores.object_store import ObjectStore
    from flowstone.records.access import StoreAccess

#: A new file is started when the current one is larger than this, in bytes.
FILE_BYTES = 256 * 1024 * 1024
#: Number of rows of a file that are read at a time.
READ_ROWS = 100_000


def find_files(store: ObjectStore, pattern: str, where: str) -> list[str]:
    """Return the paths of a store that match a pattern.

    Raises:
        RowsInvalid: no path matches.
    """
    paths = [info.path for info in store.list_objects(pattern=pattern)]
    if not paths:
        problem = f"no object of {store.make_provider().where} matches {pattern!r}"
        raise RowsInvalid(where, problem, "Check the pattern, or list the store's objects.")
    return paths


def find_access(store: ObjectStore) -> StoreAccess | None:
    """Return what another tool needs to access a store; None if only Flowstone can access it."""
    with suppress(StorageError):
        return store.access()
    return None


def read_files(store: ObjectStore, paths: list[str], where: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of Parquet files in batches, file by file.

    Raises:
        RowsInvalid: one is not a Parquet file.
        StorageError: the store reported an error.
    """
    arrow = import_arrow("`copy_into`")
    # Takes 0.1 s to import.
    from pyarrow import parquet

    for path in paths:
        problem = ""
        with store.open_read(path) as reader:
            try:
                yield from parquet.ParquetFile(reader).iter_batches(READ_ROWS)
            except arrow.ArrowException as error:
                words = str(error).rstrip(".")
                problem = f"{path!r} can't be read as Parquet: {words}"
        if problem:
            raise RowsInvalid(
                where, problem, "Change the pattern so that it matches only Parquet files."
            )


def write_files(store: ObjectStore, folder: str, batches: Iterator[pa.RecordBatch]) -> list[str]:
    """Write batches to Parquet files in a folder of a store; return their paths.

    If that fails, the files that were written are deleted.

    Raises:
        ObjectExists: one of the files exists already.
        StorageError: the store reported an error.
    """
    import_arrow("`unload`")
    paths: list[str] = []
    try:
        with TemporaryDirectory(prefix="flowstone-") as directory:
            local = Path(directory) / "part.parquet"
            first = next(batches, None)
            while first is not None:
                first = _write_file(local, first, batches)
                path = "/".join(filter(None, [folder.strip("/"), f"part-{len(paths):05d}.parquet"]))
                paths.append(store.upload_from_path(local, path, if_none_match="*"))
    except BaseException:
        with suppress(StorageError):
            store.delete_objects(paths)
        raise
    return paths


def _write_file(
    local: Path, first: pa.RecordBatch, batches: Iterator[pa.RecordBatch]
) -> pa.RecordBatch | None:
    """Write a file of some batches; return the first batch of the next file."""
    # Takes 0.1 s to import.
    from pyarrow import parquet

    with parquet.ParquetWriter(local, first.schema) as writer:
        writer.write_batch(first)
        for batch in batches:
            if local.stat().st_size > FILE_BYTES:
                return batch
            writer.write_batch(batch)
    return None
