"""Tests of content on its way: in streams, whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import os
import tarfile
import tracemalloc
import zipfile
from contextlib import contextmanager
from io import BufferedReader, BytesIO, RawIOBase, TextIOWrapper
from typing import TYPE_CHECKING, BinaryIO

import pytest

from flowstone.blocks.object_stores import object_key
from flowstone.errors import ObjectMissing, StorageError
from flowstone_testing.conformance.objectstore.base import MIB, ObjectStoreBase, assert_same, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flowstone.blocks import ObjectStore


class Broken(Exception):
    """What a source raises in the middle."""


class Pattern(RawIOBase):
    """So many bytes that are made as they are read; can't seek, may break in the middle."""

    def __init__(self, size: int, breaks_at: int | None = None) -> None:
        super().__init__()
        self._left, self._breaks_at, self._given = size, breaks_at, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._breaks_at is not None and self._given >= self._breaks_at:
            raise Broken
        count = min(len(buffer), self._left)
        buffer[:count] = (b"flowstone" * (count // 9 + 1))[:count]
        self._left -= count
        self._given += count
        return count


class TransferTests(ObjectStoreBase):
    """Streams, files, and what stays when a transfer breaks."""

    def test_a_reader_reads_in_parts(self, store: ObjectStore) -> None:
        """Look at what `get` returns: `read(n)` gives at most n, then b""."""
        content = bytes(range(256)) * 5000
        store.write_path("a", content)
        with store.open_read("a") as reader:
            assert_same(reader.read(10), content[:10])
            assert_same(reader.read(100_000), content[10:100_010])
            assert_same(reader.read(), content[100_010:])
            assert reader.read(1) == b""
        assert reader.closed

    def test_a_reader_seeks(self, store: ObjectStore) -> None:
        """Look at `get` from an offset, and at the size in `head`: archives are read so."""
        content = bytes(range(251)) * 12_000
        store.write_path("a", content)
        with store.open_read("a") as reader:
            assert reader.seekable()
            for offset, whence, at in (
                (-100, os.SEEK_END, len(content) - 100),
                (1000, os.SEEK_SET, 1000),
                (2_000_000, os.SEEK_CUR, 2_001_050),
                (-2_000_000, os.SEEK_CUR, 1100),
                (0, os.SEEK_END, len(content)),
                (len(content) + 10, os.SEEK_SET, len(content) + 10),
                (0, os.SEEK_SET, 0),
            ):
                assert reader.seek(offset, whence) == reader.tell() == at
                assert_same(reader.read(50), content[at : at + 50])
            with pytest.raises(OSError, match="before the start"):
                reader.seek(-len(content) - 1, os.SEEK_END)
            assert_same(reader.read(), content[50:])

    def test_a_range_is_read_alone(self, store: ObjectStore) -> None:
        """Look at a `read_range` of the provider's own: as a slice, and never more."""
        content = bytes(range(251)) * 100
        store.write_path("a", content)
        store.write_path("empty", b"")
        size = len(content)
        for offset, length in ((0, 10), (0, size), (5, 1), (size - 3, 10), (size, 1), (7, 0)):
            assert_same(store.read_range("a", offset, length), content[offset : offset + length])
        assert store.read_range("a", 2 * size, 10) == b""
        assert store.read_range("empty", 0, 10) == b""
        for offset, length in ((0, 10), (3, 0)):
            with pytest.raises(ObjectMissing):
                store.read_range("nothing", offset, length)
        for offset, length in ((-1, 10), (0, -1)):
            with pytest.raises(StorageError, match="Pass 0 or more"):
                store.read_range("a", offset, length)

    def test_an_archive_is_read_in_place(self, store: ObjectStore) -> None:
        """Look at `test_a_reader_seeks`."""
        files = {f"{number}.csv": f"name,number\nrow,{number}\n" * 5000 for number in range(3)}
        for kind, name in (("w", "a.zip"), ("w:gz", "a.tar.gz"), ("w:", "a.tar")):
            made = BytesIO()
            with _open_archive(made, kind) as put:
                for path, text in files.items():
                    put(path, text.encode())
            store.write_path(name, made.getvalue())
        with store.open_read("a.zip") as reader, zipfile.ZipFile(reader) as archive:
            assert {name: archive.read(name).decode() for name in archive.namelist()} == files
            with archive.open("1.csv") as inner, TextIOWrapper(inner, newline="") as rows:
                assert list(csv.DictReader(rows))[-1] == {"name": "row", "number": "1"}
        for name in ("a.tar.gz", "a.tar"):
            with store.open_read(name) as reader, tarfile.open(fileobj=reader) as tar:
                members = sorted(tar.getnames(), reverse=True)
                found = {name: tar.extractfile(name) for name in members}
                assert {k: v.read().decode() for k, v in found.items() if v} == files

    def test_a_provider_reads_from_an_offset(self, store: ObjectStore) -> None:
        """Look at the range that `get` asks for: a broken transfer is taken up there."""
        store.write_path("a", b"0123456789")
        provider = store.make_provider()
        for offset in (0, 1, 9):
            with provider.get(object_key(provider.folder, "a"), offset) as reader:
                assert reader.read() == b"0123456789"[offset:]

    def test_a_stream_comes_in_chunks(self, store: ObjectStore) -> None:
        """Look at `get`."""
        content = bytes(range(251)) * 9000
        store.write_path("a", content)
        chunks = list(store.stream("a", 1000_000))
        assert_same(b"".join(chunks), content)
        assert max(map(len, chunks)) <= 1000_000
        assert len(chunks) > 1

    def test_uploads_begin_where_the_file_stands(self, store: ObjectStore) -> None:
        """Look at `put`: it must not seek to the start of its source."""
        file = BytesIO(b"header|body")
        file.seek(7)
        assert store.upload_from_file_object(file, "a") == "a"
        assert store.read_path("a") == b"body"

    def test_a_source_need_not_seek(self, store: ObjectStore) -> None:
        """Look at `put` with `size` None: a pipe or a socket can't seek."""
        size = 9 * MIB + 7
        store.upload_from_file_object(BufferedReader(Pattern(size)), "a")
        assert store.object_info("a").size == size
        assert store.read_path("a").startswith(b"flowstone")

    def test_files_go_up_and_come_down(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look at `put` and `download` with files."""
        source = tmp_path / "source.bin"
        source.write_bytes(b"content" * 1000)
        assert store.upload_from_path(source) == "source.bin"
        assert store.upload_from_path(str(source), "as/named.bin") == "as/named.bin"
        target = tmp_path / "new/target.bin"
        assert store.download_object_to_path("as/named.bin", target) == target
        assert target.read_bytes() == source.read_bytes()
        (tmp_path / "into").mkdir()
        into = store.download_object_to_path("as/named.bin", tmp_path / "into")
        assert into == tmp_path / "into/named.bin"
        sink = BytesIO()
        assert store.download_object_to_file_object("source.bin", sink) is sink
        assert sink.getvalue() == source.read_bytes()

    def test_a_big_object_is_never_whole_in_memory(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        """Look for a `read()` without a size in `put`, `get` or `download`."""
        source, target = tmp_path / "source", tmp_path / "target"
        with source.open("wb") as file:
            for number in range(self.big_bytes // MIB):
                file.write(bytes([number % 256]) * MIB)
        with _peak() as peak:
            store.upload_from_path(source, "big")
            store.copy_object("big", "copy")
            store.download_object_to_path("copy", target)
            assert sum(len(chunk) for chunk in store.stream("big")) == self.big_bytes
        assert peak[0] < self.most_bytes
        assert _digest(source) == _digest(target)

    def test_a_broken_upload_leaves_nothing(self, store: ObjectStore) -> None:
        """Look at `put`: write elsewhere and put in place, or abort the parts."""
        store.write_path("kept", b"old")
        for path in ("new", "kept"):
            with pytest.raises(Broken):
                store.upload_from_file_object(
                    BufferedReader(Pattern(32 * MIB, breaks_at=12 * MIB)), path
                )
        assert names(store) == ["kept"]
        assert store.read_path("kept") == b"old"

    def test_a_broken_download_leaves_nothing(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look for a download of the provider's own that writes to the target itself."""
        target = tmp_path / "downloads/target"
        with pytest.raises(ObjectMissing):
            store.download_object_to_path("nothing", target)
        assert list(target.parent.iterdir()) == []
        target.write_bytes(b"old")
        with pytest.raises(ObjectMissing):
            store.download_object_to_path("nothing", target)
        assert target.read_bytes() == b"old"
        assert list(target.parent.iterdir()) == [target]


@contextmanager
def _open_archive(file: BinaryIO, kind: str) -> Iterator[Callable[[str, bytes], None]]:
    if kind == "w":
        with zipfile.ZipFile(file, "w") as archive:
            yield archive.writestr
        return

    def put(name: str, content: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, BytesIO(content))

    with tarfile.open(fileobj=file, mode="w:gz" if kind == "w:gz" else "w:") as tar:
        yield put


@contextmanager
def _peak() -> Iterator[list[int]]:
    found = [0]
    tracemalloc.start()
    try:
        yield found
        found[0] = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
