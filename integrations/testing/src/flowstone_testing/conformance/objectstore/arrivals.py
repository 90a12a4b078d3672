"""Tests of arrivals: waiting for an object, and handing out each new one once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from flowstone.errors import ConfigurationError, ObjectTimeout
from flowstone_testing.conformance.objectstore.base import ObjectStoreBase, names

if TYPE_CHECKING:
    from flowstone.blocks import ObjectStore


class ArrivalTests(ObjectStoreBase):
    """Wait for objects, and take each new one once."""

    def test_an_object_is_waited_for(self, store: ObjectStore) -> None:
        """Look at `head`: it must not cache that an object is missing."""
        with pytest.raises(ObjectTimeout, match="did not appear"):
            store.wait_for_object("in/a", 0.01, poll_seconds=0.005)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(store.wait_for_object, "in/a", 60, poll_seconds=0.01)
            store.write_path("in/a", b"12345")
            assert waiting.result().size == 5
        found = asyncio.run(store.await_for_object("in/a", 60, 0.02, poll_seconds=0.01))
        assert found == store.object_info("in/a")

    def test_seconds_that_make_no_sense_are_refused(self, store: ObjectStore) -> None:
        """Look for waiting in the block: -1 seconds is invalid, and NaN never ends."""
        store.write_path("in/a", b"1")
        for odd in (-1.0, float("nan"), float("inf")):
            with pytest.raises(ConfigurationError, match="timeout"):
                store.wait_for_object("in/a", odd)
            with pytest.raises(ConfigurationError, match="unchanged_for"):
                asyncio.run(store.await_for_object("in/a", 1, odd))
            with pytest.raises(ConfigurationError, match="poll_seconds"):
                store.wait_for_object("in/a", 1, poll_seconds=odd)
            with (
                pytest.raises(ConfigurationError, match="lease_seconds"),
                store.new_objects("in", cursor="odd", lease_seconds=odd),
            ):
                pytest.fail("it was handed out")
        assert store.wait_for_object("in/a", 0).size == 1

    def test_new_objects_are_handed_out_once(self, store: ObjectStore) -> None:
        """Look at the etags in `list`: they stay until the content changes."""
        for path in ("in/a", "in/b", "in/c/d", "other"):
            store.write_path(path, b"1")
        with store.new_objects("in", cursor="kept") as found:
            assert [info.path for info in found] == ["in/a", "in/b", "in/c/d"]
            with store.new_objects("in", cursor="kept") as others:
                assert others == []
        store.write_path("in/b", b"2")
        store.write_path("in/e", b"3")
        for _ in range(2):  # after an error, they are handed out again
            with suppress(LookupError), store.new_objects("in", cursor="kept", max_items=1) as some:
                assert [info.path for info in some] == ["in/b"]
                raise LookupError
        with store.new_objects("in", cursor="kept") as found:
            assert [(info.path, store.read_path(info)) for info in found] == [
                ("in/b", b"2"),
                ("in/e", b"3"),
            ]
        with store.new_objects("in", cursor="kept") as found:
            assert found == []

    def test_new_objects_are_moved_or_deleted(self, store: ObjectStore) -> None:
        """Look at `delete` and `copy`: an object that has been written again must stay."""
        for path in ("in/a", "in/b/c", "in/d"):
            store.write_path(path, b"1")
        with store.new_objects("in", cursor="moved", action="move", move_to="done") as found:
            assert len(found) == 3
            store.write_path("in/d", b"2")
            assert names(store) == ["in/a", "in/b/c", "in/d"]
        assert names(store) == ["done/a", "done/b/c", "in/d"]

        async def take() -> list[str]:
            async with store.anew_objects("in", cursor="deleted", action="delete") as found:
                return [info.path for info in found]

        assert asyncio.run(take()) == ["in/d"]
        assert names(store) == ["done/a", "done/b/c"]
