"""Tests of writes with a content type, with metadata, and with conditions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from typing import TYPE_CHECKING, Literal, TypedDict, cast

import pytest

from flowstone.errors import ObjectChanged, ObjectExists, StorageError
from flowstone_testing.conformance.objectstore.base import MIB, ObjectStoreBase, names
from flowstone_testing.conformance.objectstore.transfers import Pattern
from flowstone_testing.conformance.suite import capability, needs

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.blocks import ObjectStore


class Options(TypedDict, total=False):
    """Options of `write_path`."""

    if_none_match: Literal["*"]
    if_match: str
    content_type: str
    metadata: dict[str, str]


class WriteOptionTests(ObjectStoreBase):
    """Options of writes, and conditions under which nothing is written."""

    @capability("conditional_writes", StorageError, "does not support conditional writes")
    def test_a_new_object_is_never_written_over(self, store: ObjectStore) -> None:
        """Look at `write` with `is_new`: the service must decide, not a check before."""
        assert store.write_path("a/b", b"first", if_none_match="*") == "a/b"
        with pytest.raises(ObjectExists, match="a/b"):
            store.write_path("a/b", b"second", if_none_match="*")
        assert store.read_path("a/b") == b"first"
        store.delete_object("a/b")
        store.write_path("a/b", b"third", if_none_match="*")
        assert store.read_path("a/b") == b"third"

    @needs("conditional_writes")
    def test_only_one_of_many_makes_an_object(self, store: ObjectStore) -> None:
        """Look at `write` with `is_new`: of concurrent writers, all but one are refused."""

        def work(number: int) -> bool:
            try:
                store.write_path("lock", b"%d" % number, if_none_match="*")
            except ObjectExists:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(work, range(16)))
        assert won.count(True) == 1
        assert store.read_path("lock") == b"%d" % won.index(True)

    @needs("conditional_writes")
    def test_what_was_changed_is_not_written_over(self, store: ObjectStore) -> None:
        """Look at `write` with `if_match`, and at the etag: equal size is not equal content."""
        store.write_path("a", b"one")
        etag = store.object_info("a").etag
        assert etag
        store.write_path("a", b"two", if_match=etag)
        with pytest.raises(ObjectChanged, match="it was changed"):
            store.write_path("a", b"three", if_match=etag)
        assert store.read_path("a") == b"two"

    @needs("conditional_writes")
    def test_what_was_deleted_is_not_written_over(self, store: ObjectStore) -> None:
        """Look at `write` with `if_match`, and at `head`: the error must say that it is missing."""
        store.write_path("a", b"one")
        etag = store.object_info("a").etag
        store.delete_object("a")
        with pytest.raises(ObjectChanged, match="there is no such object") as caught:
            store.write_path("a", b"two", if_match=etag)
        assert not caught.value.is_there
        assert not store.exists("a")

    @needs("conditional_writes")
    def test_no_count_is_lost_between_writers(self, store: ObjectStore) -> None:
        """Look at `write` with `if_match`: of concurrent writers, one wins each time."""
        store.write_path("count", b"0")

        def add(_: int) -> None:
            while True:
                info = store.object_info("count")
                count = int(store.read_path("count"))
                try:
                    store.write_path("count", b"%d" % (count + 1), if_match=info.etag)
                except ObjectChanged:
                    continue
                return

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(add, range(12)))
        assert store.read_path("count") == b"12"

    @needs("conditional_writes")
    def test_a_large_new_object_is_never_written_over(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        """Look at `write` with `is_new` in multipart uploads, and for a source without a size."""
        source = tmp_path / "large"
        source.write_bytes(b"large" * (4 * MIB))
        stream = BufferedReader(Pattern(9 * MIB))
        store.upload_from_file_object(stream, "large", if_none_match="*")
        with pytest.raises(ObjectExists):
            store.upload_from_path(source, "large", if_none_match="*")
        assert store.object_info("large").size == 9 * MIB
        assert names(store) == ["large"]

    @needs("conditional_writes")
    def test_a_large_object_that_was_changed_is_not_written_over(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        """Look at `write` with `if_match` in multipart uploads."""
        source = tmp_path / "large"
        source.write_bytes(b"large" * (4 * MIB))
        store.write_path("large", b"small")
        etag = store.object_info("large").etag
        store.upload_from_path(source, "large", if_match=etag)
        store.write_path("large", b"small again")
        with pytest.raises(ObjectChanged):
            store.upload_from_path(source, "large", if_match=etag)
        assert store.read_path("large") == b"small again"

    def test_conditions_that_make_no_sense_are_refused(self, store: ObjectStore) -> None:
        """Look for a `write_path` that the block defines."""
        odd: list[Options] = [
            {"if_none_match": cast("Literal['*']", "etag")},
            {"if_none_match": "*", "if_match": "etag"},
            {"content_type": "text/csv\r\nx: y"},
            {"metadata": {"Team": "data"}},
            {"metadata": {"team-name": "data"}},
            {"metadata": {"team": "Zoë"}},
            {"metadata": {"team": "two\nlines"}},
            {"metadata": {"team": " outer spaces"}},
            {"metadata": {"team": "x" * 3000}},
        ]
        for options in odd:
            with pytest.raises(StorageError):
                store.write_path("a", b"1", **options)
        assert names(store) == []

    @capability("keeps_metadata", StorageError, "does not support metadata")
    def test_metadata_and_type_come_back(self, store: ObjectStore, tmp_path: Path) -> None:
        """Look at `write` and `head`, also for multipart uploads."""
        metadata = {"team": "data", "run": "0190-ab", "empty": ""}
        store.write_path("a.bin", b"1", content_type="text/csv", metadata=metadata)
        info = store.object_info("a.bin")
        assert info.content_type == "text/csv"
        assert {name: info.metadata.get(name) for name in metadata} == metadata
        source = tmp_path / "large.bin"
        source.write_bytes(b"large" * (4 * MIB))
        store.upload_from_path(source, "b", content_type="text/csv", metadata={"team": "two"})
        info = store.object_info("b")
        assert (info.content_type, dict(info.metadata)) == ("text/csv", {"team": "two"})
        store.write_path("a.bin", b"2")
        assert not store.object_info("a.bin").metadata

    @needs("keeps_metadata")
    def test_names_of_metadata_may_have_underscores(self, store: ObjectStore) -> None:
        """Look at `write`: the header's name must keep them."""
        store.write_path("a", b"1", metadata={"run_id": "0190-ab"})
        assert dict(store.object_info("a").metadata) == {"run_id": "0190-ab"}

    @needs("keeps_metadata")
    def test_a_copy_has_the_metadata(self, store: ObjectStore) -> None:
        """Look at `copy` within the service."""
        store.write_path("a", b"1", content_type="text/csv", metadata={"team": "data"})
        store.copy_object("a", "b")
        info = store.object_info("b")
        assert (info.content_type, dict(info.metadata)) == ("text/csv", {"team": "data"})
